package tui

import (
	"fmt"
	"strings"

	"spate/internal/units"
)

// pieceMap draws the pieces as cells in at most height rows. Each cell stands for
// perCell pieces; it is darker the more of them are complete. A cell with pieces that
// are being downloaded and none that is complete has a special mark.
func pieceMap(pieces []Piece, width, height int) (rows []string, perCell int) {
	if len(pieces) == 0 || width <= 0 || height <= 0 {
		return nil, 0
	}
	perCell = (len(pieces) + width*height - 1) / (width * height)
	var row strings.Builder
	cells := 0
	for from := 0; from < len(pieces); from += perCell {
		row.WriteRune(cell(pieces[from:min(from+perCell, len(pieces))]))
		cells++
		if cells%width == 0 {
			rows = append(rows, row.String())
			row.Reset()
		}
	}
	if row.Len() > 0 {
		rows = append(rows, row.String())
	}
	return rows, perCell
}

// cell returns the mark for the given pieces.
func cell(pieces []Piece) rune {
	var n [Skipped + 1]int
	for _, p := range pieces {
		n[min(p, Skipped)]++
	}
	wanted := len(pieces) - n[Skipped]
	switch {
	case wanted == 0:
		return ' '
	case n[Have] == wanted:
		return '█'
	case n[Open] > 0 && n[Have] == 0:
		return '◦'
	case n[Have] == 0:
		return '·'
	}
	return []rune("░▒▓")[min(2, n[Have]*3/wanted)]
}

// pieceCounts describes the pieces in words.
func pieceCounts(pieces []Piece) string {
	var n [Skipped + 1]int
	for _, p := range pieces {
		n[min(p, Skipped)]++
	}
	s := units.PartOf(n[Have], len(pieces)-n[Skipped], "piece")
	if n[Open] > 0 {
		s += fmt.Sprintf(", %d downloading", n[Open])
	}
	if n[Skipped] > 0 {
		s += fmt.Sprintf(", %d not wanted", n[Skipped])
	}
	return s
}

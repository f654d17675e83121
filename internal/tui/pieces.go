package tui

import (
	"fmt"
	"strings"
)

// pieceMap draws pieces as cells, in as many rows as there is room for. A cell
// stands for equally many pieces and is as dark as the share of them that is
// there; one that is being fetched has a mark of its own.
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

// cell is the mark for some pieces.
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

// pieceCounts says in words what the map shows.
func pieceCounts(pieces []Piece) string {
	var n [Skipped + 1]int
	for _, p := range pieces {
		n[min(p, Skipped)]++
	}
	s := fmt.Sprintf("%d of %d pieces", n[Have], len(pieces)-n[Skipped])
	if n[Open] > 0 {
		s += fmt.Sprintf(", %d being fetched", n[Open])
	}
	if n[Skipped] > 0 {
		s += fmt.Sprintf(", %d not wanted", n[Skipped])
	}
	return s
}

package classic

import (
	"fmt"
	"strings"
)

// File is a file of a torrent.
type File struct {
	Path   string
	Length int64
}

// Metainfo holds what btshowmetainfo shows of a .torrent file. The caller escapes its texts.
type Metainfo struct {
	File        string // the base name of the .torrent file
	InfoHash    string
	Name        string
	Files       []File // nil: a single file
	Length      int64
	PieceLength int64
	Tiers       [][]string
	HTTPSeeds   []string
	Comment     string
}

// ShowHeader returns the first lines that btshowmetainfo prints.
func ShowHeader(name string) string {
	return name + " 20030621 - decode BitTorrent metainfo files\n\n"
}

// String returns m in the layout of btshowmetainfo, which scripts parse.
func (m *Metainfo) String() string {
	var b strings.Builder
	row := func(label, value string) { fmt.Fprintf(&b, "%s %s\n", label, value) }
	row("metainfo file.:", m.File)
	row("info hash.....:", m.InfoHash)
	size := "file size.....:"
	if m.Files == nil {
		row("file name.....:", m.Name)
	} else {
		size = "archive size..:"
		row("directory name:", m.Name)
		row("files.........:", "")
		for _, f := range m.Files {
			fmt.Fprintf(&b, "   %s (%d)\n", f.Path, f.Length)
		}
	}
	row(size, fmt.Sprintf("%d (%d * %d + %d)", m.Length, m.Length/m.PieceLength, m.PieceLength, m.Length%m.PieceLength))
	announce := ""
	if len(m.Tiers) > 0 {
		announce = m.Tiers[0][0]
	}
	row("announce url..:", announce)
	if len(m.Tiers) > 1 || len(m.Tiers) == 1 && len(m.Tiers[0]) > 1 {
		row("announce-list.:", JoinTiers(m.Tiers))
	}
	if len(m.HTTPSeeds) > 0 {
		row("http seeds....:", strings.Join(m.HTTPSeeds, "|"))
	}
	if m.Comment != "" {
		row("comment.......:", m.Comment)
	}
	return b.String()
}

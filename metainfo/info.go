package metainfo

import (
	"sort"

	"spate"
)

// Format names which halves a torrent has.
type Format string

// The formats.
const (
	V1     Format = "v1"     // BEP 3
	V2     Format = "v2"     // BEP 52
	Hybrid Format = "hybrid" // both, over the same data (BEP 52, "Upgrade Path")
)

// Info is what the info-hash covers: the data that a torrent stands for.
//
// Pieces and blocks live in one byte space, in which the files follow each other
// in the order of Files. In a v1 torrent they touch. In a hybrid one pad files
// (BEP 47) fill the space to the next piece. In a pure v2 one every file that is
// not empty starts at a piece, without an entry for the gap before it.
type Info struct {
	Name        string           // safe: the file, or the directory that holds the files
	RawName     string           // as it stands in the torrent; empty if it is Name
	PieceLength int64            // bytes
	Files       []File           // in the torrent's order, at least one
	Pieces      []byte           // v1: a SHA-1 of 20 bytes for each piece; nil without a v1 half
	Private     bool             // BEP 27
	Source      string           // a mark that some sites put in, to change the info-hash
	MetaVersion int              // 2 with a v2 half (BEP 52), otherwise 0 or 1
	Similar     []spate.InfoHash // BEP 38: torrents that probably share files
	Collections []string         // BEP 38

	renamed int // files whose Path is not what the torrent says
}

// HasV1 reports whether there is a v1 half.
func (i *Info) HasV1() bool { return i.MetaVersion < 2 || i.Pieces != nil }

// HasV2 reports whether there is a v2 half.
func (i *Info) HasV2() bool { return i.MetaVersion >= 2 }

// Format names the halves.
func (i *Info) Format() Format {
	switch {
	case !i.HasV2():
		return V1
	case i.HasV1():
		return Hybrid
	}
	return V2
}

// Single reports whether the torrent is one file called Name, rather than a
// directory of that name.
func (i *Info) Single() bool { return len(i.Files) > 0 && i.Files[0].Path == nil && !i.Files[0].Pad() }

// TotalLength returns the size of the byte space: pad files and the gaps of v2
// included.
func (i *Info) TotalLength() int64 {
	if len(i.Files) == 0 {
		return 0
	}
	last := &i.Files[len(i.Files)-1]
	return last.Offset + last.Length
}

// DataLength returns the size of all files without padding. It takes time in
// proportion to the number of files.
func (i *Info) DataLength() int64 {
	var n int64
	for k := range i.Files {
		if f := &i.Files[k]; !f.Pad() {
			n += f.Length
		}
	}
	return n
}

// NumPieces returns the number of pieces.
func (i *Info) NumPieces() int {
	if i.PieceLength <= 0 {
		return 0
	}
	return int(ceilDiv(i.TotalLength(), i.PieceLength))
}

// PieceSize returns the size in bytes of piece k, 0 for one that does not exist.
// All are PieceLength but the last one, and in a pure v2 torrent the last one of
// each file.
func (i *Info) PieceSize(k int) int64 {
	if k < 0 || k >= i.NumPieces() {
		return 0
	}
	start := int64(k) * i.PieceLength
	if i.HasV1() {
		return min(i.PieceLength, i.TotalLength()-start)
	}
	f := &i.Files[i.FileAt(start)]
	return min(i.PieceLength, f.Offset+f.Length-start)
}

// PieceHashV1 returns the SHA-1 of piece k. It panics without a v1 half or for a
// piece that does not exist.
func (i *Info) PieceHashV1(k int) [20]byte { return [20]byte(i.Pieces[k*20:]) }

// FileAt returns the index of the last file that is not empty and starts at or
// before off: the one that holds this byte, if any does. It is -1 for a
// negative off, and where only empty files are.
func (i *Info) FileAt(off int64) int {
	k := sort.Search(len(i.Files), func(k int) bool { return i.Files[k].Offset > off }) - 1
	for k >= 0 && i.Files[k].Length == 0 {
		k--
	}
	return k
}

func ceilDiv(a, b int64) int64 {
	n := a / b
	if a%b != 0 {
		n++
	}
	return n
}

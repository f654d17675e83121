package metainfo

import (
	"sort"

	"spate"
)

// Format is the format of a torrent.
type Format string

// The formats of torrents.
const (
	V1     Format = "v1"     // BEP 3
	V2     Format = "v2"     // BEP 52
	Hybrid Format = "hybrid" // both v1 and v2 for the same data (BEP 52, "Upgrade Path")
)

// Info is the content of the info dictionary, which the info-hash covers: it describes
// the data of the torrent.
//
// Pieces and blocks are parts of one byte space, in which the files follow each other
// in the order of Files. In a v1 torrent there are no gaps between files. In a hybrid
// torrent pad files (BEP 47) fill the space up to the next piece. In a v2 torrent every
// file that is not empty starts at a piece, and the gap before it has no entry.
type Info struct {
	Name        string           // safe name of the file or of the directory that contains the files
	RawName     string           // original name; empty if it equals Name
	PieceLength int64            // in bytes
	Files       []File           // in the order of the torrent, at least one
	Pieces      []byte           // SHA-1 hashes of 20 bytes, one for each piece; nil in a v2 torrent
	Private     bool             // BEP 27
	Source      string           // a tag that some sites add to change the info-hash
	MetaVersion int              // 2 in v2 and hybrid torrents (BEP 52), otherwise 0 or 1
	Similar     []spate.InfoHash // BEP 38: torrents that may share files with this one
	Collections []string         // BEP 38

	renamed  int  // number of files whose Path differs from the original one
	twoNames bool // the torrent or a file has another name in UTF-8
	decoded  bool // the name of the torrent or of a file was decoded from the charset of the key encoding
}

// Decoded reports whether names were decoded from the charset that [MetaInfo.Encoding] names.
func (i *Info) Decoded() bool { return i.decoded }

// HasV1 reports whether this is a v1 or hybrid torrent.
func (i *Info) HasV1() bool { return i.MetaVersion < 2 || i.Pieces != nil }

// HasV2 reports whether this is a v2 or hybrid torrent.
func (i *Info) HasV2() bool { return i.MetaVersion >= 2 }

// Format returns the format of the torrent.
func (i *Info) Format() Format {
	switch {
	case !i.HasV2():
		return V1
	case i.HasV1():
		return Hybrid
	}
	return V2
}

// Single reports whether the torrent is a single file called Name. Otherwise Name is a
// directory.
func (i *Info) Single() bool { return len(i.Files) > 0 && i.Files[0].Path == nil && !i.Files[0].Pad() }

// TotalLength returns the length of the byte space, including pad files and gaps.
func (i *Info) TotalLength() int64 {
	if len(i.Files) == 0 {
		return 0
	}
	last := &i.Files[len(i.Files)-1]
	return last.Offset + last.Length
}

// DataLength returns the length of all files without padding. It takes time
// proportional to the number of files.
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

// PieceSize returns the size in bytes of piece k, or 0 if there is no such piece. In a v1
// or hybrid torrent only the last piece can be shorter than PieceLength. In a v2 torrent
// the last piece of each file can be.
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

// PieceHashV1 returns the SHA-1 hash of piece k. It panics in a v2 torrent or if there
// is no such piece.
func (i *Info) PieceHashV1(k int) [20]byte { return [20]byte(i.Pieces[k*20:]) }

// FileAt returns the index of the last nonempty file that starts at or before off, or -1 if
// no file does. If a file contains the byte at off, FileAt returns that file.
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

package maker

import (
	"fmt"

	"spate/bitfield"
)

// Report is the result of a check.
type Report struct {
	Pieces  int
	Good    int // pieces that have every hash that the torrent has for them
	Bad     int // pieces that were read and are not what the torrent says
	Missing int // pieces of which something could not be read

	// Differ is how many of Bad are good by one half of a hybrid only. Over 0,
	// the torrent stands for two different things and is not to be trusted.
	Differ int

	Have  bitfield.Bitfield // the good pieces
	Files []FileReport      // in the torrent's order, without pad files
}

// Whole reports whether all data is there and right, and nothing is too long.
func (r *Report) Whole() bool {
	for i := range r.Files {
		if r.Files[i].State != FileWhole {
			return false
		}
	}
	return r.Good == r.Pieces
}

// FileReport is what a check found of one file.
type FileReport struct {
	Path   string // slash-separated, below the torrent's directory; for a single file its name
	State  FileState
	Length int64 // bytes, as the torrent says
	Size   int64 // bytes found

	// Damaged are the bytes in bad or missing pieces, in order. Unverified are
	// those that share a piece of v1 with a file that is missing: nothing says
	// whether they are good.
	Damaged, Unverified []Range

	Err error // why it is missing or could not be read
}

// Range is the bytes [From, To) of a file.
type Range struct{ From, To int64 }

// String returns the range as "from-to", both of them in it.
func (r Range) String() string { return fmt.Sprintf("%d-%d", r.From, r.To-1) }

// FileState says what a check found.
type FileState uint8

const (
	FileWhole      FileState = iota
	FileDamaged              // some bytes are wrong, or are not there
	FileMissing              // there is no such file
	FileTooLong              // what the torrent has of it is right, and more follows
	FileUnverified           // nothing wrong was found, but not all could be checked
	FileUnreadable           // see Err
)

var fileStates = [...]string{"whole", "damaged", "missing", "too long", "unverified", "unreadable"}

func (s FileState) String() string { return fileStates[s] }

// addRange appends [from, to) to list, or makes the last range longer.
func addRange(list []Range, from, to int64) []Range {
	if n := len(list); n > 0 && list[n-1].To == from {
		list[n-1].To = to
		return list
	}
	return append(list, Range{from, to})
}

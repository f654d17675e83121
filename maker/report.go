package maker

import (
	"fmt"

	"spate/bitfield"
)

// Report is the result of [Verify].
type Report struct {
	Pieces  int
	Good    int // number of pieces that match all their hashes
	Bad     int // number of pieces that were read and do not match
	Missing int // number of pieces that could not be read completely, or contain only zeros and do not match
	Zeros   int // number of missing pieces that contain only zeros, because they were not downloaded yet

	// Differ is the number of bad pieces of a hybrid torrent that match only their v1 hash
	// or only their v2 hash. If Differ is not 0, the torrent describes different data for
	// v1 and v2, so do not trust it.
	Differ int

	Have  bitfield.Bitfield // the good pieces
	Files []FileReport      // in the order of the torrent, without pad files
}

// Whole reports whether all data is complete and correct, and no file is too long.
func (r *Report) Whole() bool {
	for i := range r.Files {
		if r.Files[i].State != FileWhole {
			return false
		}
	}
	return r.Good == r.Pieces
}

// Incomplete reports whether data is missing because it was not downloaded yet, and no other
// data is wrong.
func (r *Report) Incomplete() bool { return r.Bad == 0 && r.Zeros > 0 }

// FileReport is the result for one file.
type FileReport struct {
	Path   string // path below the top directory, separated by slashes; for a single file its name
	State  FileState
	Length int64 // length in the torrent in bytes
	Size   int64 // length on disk in bytes

	// Damaged are the ranges of the file in bad or missing pieces, in order. Unverified are
	// the ranges in v1 pieces that also contain data of a missing file, so that they cannot
	// be checked. Both are empty if the file matches its root in the v2 hashes of the torrent.
	Damaged, Unverified []Range

	Err error // why the file is missing or could not be read
}

// Range is a range of bytes [From, To) of a file.
type Range struct{ From, To int64 }

// String returns the range as "from-to", including both ends.
func (r Range) String() string { return fmt.Sprintf("%d-%d", r.From, r.To-1) }

// FileState is the state of a file.
type FileState uint8

const (
	FileWhole      FileState = iota
	FileDamaged              // some bytes are wrong or missing
	FileMissing              // the file does not exist
	FileTooLong              // the data is correct, but more bytes follow it
	FileUnverified           // no error was found, but some bytes could not be checked
	FileUnreadable           // the file could not be read, see Err
	FileIncomplete           // some pieces contain only zeros, and no other data is wrong
)

var fileStates = [...]string{"whole", "damaged", "missing", "too long", "unverified", "unreadable", "incomplete"}

func (s FileState) String() string { return fileStates[s] }

// addRange appends [from, to) to list, or extends the last range.
func addRange(list []Range, from, to int64) []Range {
	if n := len(list); n > 0 && list[n-1].To == from {
		list[n-1].To = to
		return list
	}
	return append(list, Range{from, to})
}

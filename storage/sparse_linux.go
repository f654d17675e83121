package storage

import (
	"errors"
	"os"
	"syscall"
)

// seekData is SEEK_DATA of lseek(2).
const seekData = 3

// nextData returns where the next stored byte at or after off begins, and
// false when there is none before the end of the file. A file system that
// cannot tell says that everything is stored.
func nextData(f *os.File, off int64) (int64, bool) {
	// The shared offset that this moves is used by nobody: all reads and writes
	// give theirs.
	at, err := f.Seek(off, seekData)
	if errors.Is(err, syscall.ENXIO) {
		return 0, false
	}
	if err != nil {
		return off, true
	}
	return at, true
}

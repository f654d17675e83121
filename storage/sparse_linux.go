package storage

import (
	"errors"
	"os"
	"syscall"
)

// seekData is SEEK_DATA of lseek(2).
const seekData = 3

// nextData returns the offset of the first data at or after off, and false if there is
// none before the end of the file. File systems that cannot find holes report
// everything as data.
func nextData(f *os.File, off int64) (int64, bool) {
	// Seek moves the shared offset of the file, which is not used: all reads and writes
	// pass an offset.
	at, err := f.Seek(off, seekData)
	if errors.Is(err, syscall.ENXIO) {
		return 0, false
	}
	if err != nil {
		return off, true
	}
	return at, true
}

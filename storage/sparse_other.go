//go:build !linux

package storage

import "os"

// nextData returns the offset of the first data at or after off, and false if there is
// none. This system cannot find holes, so everything before the end of the file counts
// as data.
func nextData(f *os.File, off int64) (int64, bool) {
	fi, err := f.Stat()
	if err != nil {
		return off, true
	}
	return off, off < fi.Size()
}

//go:build !linux

package storage

import "os"

// nextData returns where the next stored byte at or after off begins, and
// false when there is none. Without a way to ask, what lies before the end of
// the file counts as stored.
func nextData(f *os.File, off int64) (int64, bool) {
	fi, err := f.Stat()
	if err != nil {
		return off, true
	}
	return off, off < fi.Size()
}

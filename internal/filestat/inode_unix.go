//go:build unix

package filestat

import (
	"io/fs"
	"syscall"
)

// Inode returns the inode number, which differs if another file has replaced a file. It is 0 if
// the system has none.
func Inode(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}

// Device returns the number of the file system that contains a file. It is 0 if the system has
// none.
func Device(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}

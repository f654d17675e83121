//go:build unix

package storage

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// openFlags keep an open from hanging on a pipe that lies where a file should.
const openFlags = syscall.O_NONBLOCK

// classifyErrno names the reason behind a system error, nil if it is none that
// is told apart.
func classifyErrno(err syscall.Errno, write bool) error {
	switch err {
	case syscall.ENOSPC, syscall.EDQUOT:
		return ErrFull
	case syscall.EROFS:
		return ErrReadOnly
	case syscall.EACCES, syscall.EPERM:
		if write {
			return ErrReadOnly
		}
		return ErrDenied
	case syscall.ENOENT, syscall.ESTALE, syscall.ENODEV:
		return ErrMissing
	case syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP, syscall.ENXIO, syscall.EEXIST:
		return ErrObstructed
	case syscall.EMFILE, syscall.ENFILE:
		return ErrDescriptors
	}
	return nil
}

// inode returns the number that tells a file from another in its place.
func inode(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}

// device returns the number of the file system that a file is on.
func device(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}

// maxDescriptors returns how many descriptors the process may have open.
func maxDescriptors() int {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return 256
	}
	return int(min(uint64(lim.Cur), 1<<20))
}

// syncDir makes names in a directory durable.
func syncDir(d *os.File) error { return d.Sync() }

// isCrossDevice reports whether a rename failed because it would have to copy.
func isCrossDevice(err error) bool { return errors.Is(err, syscall.EXDEV) }

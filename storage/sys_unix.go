//go:build unix

package storage

import (
	"errors"
	"syscall"
)

// openFlags keeps open from blocking if the path is a named pipe.
const openFlags = syscall.O_NONBLOCK

// classifyErrno returns the reason for a system error, or nil if no Err value of this
// package describes the error.
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
	case syscall.ENAMETOOLONG, syscall.EILSEQ:
		if write {
			return ErrName
		}
		return ErrMissing // no file has such a name
	case syscall.EFBIG:
		return ErrTooLarge
	case syscall.EMFILE, syscall.ENFILE:
		return ErrDescriptors
	}
	return nil
}

// maxDescriptors returns the number of descriptors that the process may open.
func maxDescriptors() int {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return 256
	}
	return int(min(uint64(lim.Cur), 1<<20))
}

// isCrossDevice reports whether a rename failed because the paths are on different file
// systems.
func isCrossDevice(err error) bool { return errors.Is(err, syscall.EXDEV) }

package storage

import (
	"errors"
	"syscall"
)

const openFlags = 0

// Error codes of Windows that package syscall does not define.
const (
	errorWriteProtect     = syscall.Errno(19)
	errorSharingViolation = syscall.Errno(32)
	errorHandleDiskFull   = syscall.Errno(39)
	errorDiskFull         = syscall.Errno(112)
	errorInvalidName      = syscall.Errno(123)
	errorFilenameTooLong  = syscall.Errno(206)
	errorFileTooLarge     = syscall.Errno(223)
)

func classifyErrno(err syscall.Errno, write bool) error {
	switch err {
	case errorDiskFull, errorHandleDiskFull:
		return ErrFull
	case errorWriteProtect:
		return ErrReadOnly
	case syscall.ERROR_ACCESS_DENIED, errorSharingViolation:
		if write {
			return ErrReadOnly
		}
		return ErrDenied
	case syscall.ERROR_FILE_NOT_FOUND, syscall.ERROR_PATH_NOT_FOUND:
		return ErrMissing
	case errorInvalidName, errorFilenameTooLong:
		if write {
			return ErrName
		}
		return ErrMissing // no file has such a name
	case errorFileTooLarge:
		return ErrTooLarge
	case syscall.ERROR_ALREADY_EXISTS, syscall.ERROR_FILE_EXISTS:
		return ErrObstructed
	}
	return nil
}

func maxDescriptors() int { return 4096 }

// isCrossDevice reports whether a rename failed because the paths are on different file
// systems (ERROR_NOT_SAME_DEVICE).
func isCrossDevice(err error) bool { return errors.Is(err, syscall.Errno(17)) }

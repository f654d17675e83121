package daemon

import (
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks f, or returns ErrLocked. It locks a byte far after the process id, so that
// other processes can still read the id.
func tryLock(f *os.File) error {
	at := windows.Overlapped{Offset: 1 << 20}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if err == windows.ERROR_LOCK_VIOLATION {
		return ErrLocked
	}
	return err
}

//go:build unix

package daemon

import (
	"os"

	"golang.org/x/sys/unix"
)

// tryLock locks f, or returns ErrLocked.
func tryLock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return ErrLocked
	}
	return err
}

//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package daemon

import (
	"errors"
	"syscall"
)

// reusePort returns an error, because this system cannot share a port.
func reusePort(_, _ string, _ syscall.RawConn) error {
	return errors.New("this system cannot share a port between processes")
}

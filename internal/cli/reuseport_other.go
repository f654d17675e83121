//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package cli

import (
	"errors"
	"syscall"
)

// reusePort says that this system has nothing of the kind.
func reusePort(_, _ string, _ syscall.RawConn) error {
	return errors.New("--reuse-port is not for this system")
}

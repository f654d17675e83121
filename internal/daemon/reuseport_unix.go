//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package daemon

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// reusePort lets another process of this user listen on the same address.
func reusePort(_, _ string, raw syscall.RawConn) error {
	var err error
	if cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); cerr != nil {
		return cerr
	}
	return err
}

package sockqueue

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// LimitUnsent limits the bytes in the send queue of a TCP socket that were not sent yet: a
// write waits while the queue has limit or more of them. The connections that a listener
// accepts inherit the limit of the listener, unless the listener uses Multipath TCP, which
// is the default of package net: see [net.ListenConfig.SetMultipathTCP].
func LimitUnsent(c syscall.Conn, limit int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, limit) })
	if cerr != nil {
		return cerr
	}
	return err
}

// Unacked returns how many bytes were written to a TCP socket and have not been
// acknowledged by the other side. It returns -1 if the kernel does not report the number,
// for example for a closed socket.
func Unacked(raw syscall.RawConn) int {
	unacked := -1
	raw.Control(func(fd uintptr) {
		if n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			unacked = n
		}
	})
	return unacked
}

package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unacked returns how many bytes written to a socket the other side has not
// acknowledged.
func unacked(raw syscall.RawConn) int {
	n := -1
	raw.Control(func(fd uintptr) {
		if sent, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			n = sent
		}
	})
	return n
}

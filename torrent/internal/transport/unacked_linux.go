package torrent

import (
	"net"

	"golang.org/x/sys/unix"
)

// unackedOf returns a function that reports how many bytes written to nc the other
// side has not acknowledged, or nil if that cannot be known.
func unackedOf(nc net.Conn) func() int {
	if s, ok := nc.(interface{ Unacked() int }); ok {
		return s.Unacked
	}
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return func() (n int) {
		raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		return n
	}
}

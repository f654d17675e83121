package trackerserver

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// maxUnsent bounds the bytes that wait in a socket to be sent for the first time. So
// little keeps a line busy between two writes, at the cost of a quarter more CPU time for
// each byte over loopback. Without it, megabytes that a client never reads count as
// taken by it.
const maxUnsent = 64 << 10

// limitUnsent bounds what waits to be sent in the sockets that l accepts: they inherit
// the option.
func limitUnsent(l net.Listener) {
	if t, ok := l.(*net.TCPListener); ok {
		if raw, err := t.SyscallConn(); err == nil {
			control(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent) })
		}
	}
}

// exhausted reports whether descriptors, or memory for them, have run out.
func exhausted(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}

package sockqueue

import (
	"math"
	"sync"
	"syscall"
	"time"

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
	return SetUnsent(raw, limit)
}

// SetUnsent is like LimitUnsent for one socket. The limit 0 selects that of the system.
func SetUnsent(raw syscall.RawConn, limit int) error {
	return control(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, limit) })
}

// UnsentLimit returns the limit that LimitUnsent or SetUnsent has set, or 0 if there is none.
func UnsentLimit(raw syscall.RawConn) int {
	limit := 0
	err := control(raw, func(fd int) (err error) {
		limit, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
		return err
	})
	if err != nil {
		return 0
	}
	return limit
}

// SetPace limits the rate at which the kernel sends the bytes of a TCP socket, so that it
// sends no bursts. The rate is in bytes per second; 0 means no limit.
func SetPace(raw syscall.RawConn, rate int64) error {
	pace := uint64(rate)
	if rate == 0 {
		pace = math.MaxUint64
	}
	return control(raw, func(fd int) error { return unix.SetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, pace) })
}

// control calls f with the descriptor.
func control(raw syscall.RawConn, f func(fd int) error) error {
	var err error
	if cerr := raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// ReadPath returns what the kernel knows about the path of a TCP socket. It returns false if
// the kernel does not know it, for example for a closed socket.
func ReadPath(raw syscall.RawConn) (Path, bool) {
	var info *unix.TCPInfo
	queued := 0
	err := control(raw, func(fd int) (err error) {
		if queued, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ); err != nil {
			return err
		}
		info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	})
	if err != nil {
		return Path{}, false
	}
	return Path{
		RTT: micros(info.Rtt), MinRTT: micros(info.Min_rtt), Acked: info.Bytes_acked,
		Queued: queued, Unsent: int(info.Notsent_bytes),
	}, true
}

func micros(n uint32) time.Duration { return time.Duration(n) * time.Microsecond }

// An Unacked counts the bytes that were written to a TCP socket and have not been acknowledged
// by the other side. It allocates nothing after [NewUnacked]. All methods may be called
// concurrently.
type Unacked struct {
	raw  syscall.RawConn
	read func(fd uintptr)

	mu sync.Mutex
	n  int // the result of read
}

// NewUnacked returns a counter for a socket.
func NewUnacked(raw syscall.RawConn) *Unacked {
	u := &Unacked{raw: raw}
	u.read = func(fd uintptr) {
		if n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			u.n = n
		}
	}
	return u
}

// Bytes returns the number. It returns -1 if the kernel does not report it, for example for
// a closed socket.
func (u *Unacked) Bytes() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n = -1
	u.raw.Control(u.read)
	return u.n
}

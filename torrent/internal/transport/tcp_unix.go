//go:build unix

package transport

import (
	"io"
	"net"
	"syscall"

	"spate/internal/sockqueue"
)

// tcp is a socket of this system. All reads happen inside one call of RawConn.Read:
// while nothing has arrived the goroutine is parked there.
type tcp struct {
	net.Conn
	raw     syscall.RawConn
	fd      int // valid inside a call of raw.Read
	pause   pause
	last    int // bytes of the last read, if it emptied the socket; else 0
	unacked *sockqueue.Unacked
}

// systemSocket returns nc as a [Socket], or nil if it is no socket of this system.
func systemSocket(nc net.Conn, from *Buffers) Socket {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return &tcp{Conn: nc, raw: raw, pause: pause{slots: from.pauses}, unacked: sockqueue.NewUnacked(raw)}
}

func (t *tcp) WaitReadable(f func() bool) error {
	defer t.pause.release()
	return t.raw.Read(func(fd uintptr) bool {
		t.fd = int(fd)
		return f()
	})
}

func (t *tcp) TryRead(b []byte) (int, error) {
	if t.last > 0 {
		t.pause.after(t.fd, t.last)
		t.last = 0
	}
	for {
		n, err := syscall.Read(t.fd, b)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			t.pause.end(t.fd)
			return 0, nil
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		}
		if n < len(b) {
			t.last = n
		}
		return n, nil
	}
}

func (t *tcp) TryWrite(b []byte) (n int) {
	t.raw.Write(func(fd uintptr) bool {
		n, _ = syscall.Write(int(fd), b)
		return true
	})
	return max(n, 0)
}

func (t *tcp) WriteBuffers(v *net.Buffers) error {
	_, err := v.WriteTo(t.Conn)
	return err
}

func (t *tcp) Unacked() int { return t.unacked.Bytes() }

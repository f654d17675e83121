//go:build unix

package torrent

import (
	"io"
	"syscall"
)

// receive reads until the connection ends, and consumes what comes.
//
// All of it happens inside one call of RawConn.Read: while nothing is there the
// goroutine is parked and holds no buffer. It parks only after a read that found
// nothing: one that did not fill its buffer may have left the end of the stream
// behind, which is not told again when it came together with the last bytes.
func (c *conn) receive() error {
	sc, ok := c.nc.(syscall.Conn)
	if !ok || c.t.s.opt.portableIO {
		return c.receivePortable()
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	c.raw = raw
	pause := pause{slots: c.t.s.pauses}
	var cause error
	read := func(fd uintptr) bool {
		for {
			b := c.limitRead(c.in.space(c.need))
			n, err := syscall.Read(int(fd), b)
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN:
				pause.end(int(fd))
				c.in.idle()
				return false
			case err != nil:
				cause = err
				return true
			case n == 0:
				cause = io.EOF
				return true
			}
			c.in.read(n)
			if cause = c.took(n); cause != nil {
				return true
			}
			if n < len(b) {
				pause.after(int(fd), n)
			}
		}
	}
	err = raw.Read(read)
	pause.release()
	if cause == nil {
		return err
	}
	return cause
}

// writeNow writes as much as the socket takes without waiting, and returns how much.
// An error is left to the next write to find.
func writeNow(raw syscall.RawConn, b []byte) int {
	n := 0
	raw.Write(func(fd uintptr) bool {
		n, _ = syscall.Write(int(fd), b)
		return true
	})
	return max(n, 0)
}

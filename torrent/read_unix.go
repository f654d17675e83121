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
	var cause error
	read := func(fd uintptr) bool {
		for {
			b := c.limitRead(c.in.space(c.need))
			n, err := syscall.Read(int(fd), b)
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN:
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
		}
	}
	if err := raw.Read(read); cause == nil {
		return err
	}
	return cause
}

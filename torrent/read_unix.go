//go:build unix

package torrent

import (
	"errors"
	"io"
	"os"
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
				if c.rest() {
					continue
				}
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
	for {
		err = raw.Read(read)
		switch {
		case cause != nil:
			return cause
		case !errors.Is(err, os.ErrDeadlineExceeded) || !c.pairTimeout():
			return err
		}
	}
}

// rest is called when the socket is empty. It finishes the pieces that are whole,
// unless another is about to be, and reports whether more may have come meanwhile.
func (c *conn) rest() bool {
	c.in.idle()
	if len(c.whole) == 0 || c.awaitPair() {
		return false
	}
	c.finishWhole()
	return true
}

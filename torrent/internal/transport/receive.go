package transport

import (
	"context"
)

// Handler handles the bytes that a connection received.
type Handler interface {
	// Received handles the whole messages in [Conn.In] and discards them. need is the
	// length of the next, incomplete message, or 0 if that is unknown. An error ends the
	// connection.
	Received() (need int, err error)
}

// Receive reads until the connection ends or h returns an error, and returns that error. It
// then gives its buffer back.
func (c *Conn) Receive(ctx context.Context, h Handler) error {
	defer c.In.Release()
	if c.sock == nil {
		return c.receiveWaiting(ctx, h)
	}
	return c.receive(ctx, h)
}

// Replay passes bytes that were read before Receive to h, as if they had just arrived.
func (c *Conn) Replay(b []byte, h Handler) error {
	for len(b) > 0 {
		n := copy(c.In.Space(c.need), b)
		b = b[n:]
		c.In.Fill(n)
		var err error
		if c.need, err = h.Received(); err != nil {
			c.In.Release()
			return err
		}
	}
	c.In.Idle()
	return nil
}

// receive reads from a [Socket]. It waits for the socket only after a read that found
// nothing. After a shorter read the end of the stream may already have been signaled
// together with the last bytes, and the system does not signal it again.
func (c *Conn) receive(ctx context.Context, h Handler) error {
	var cause error
	err := c.sock.WaitReadable(func() bool {
		for {
			n, err := c.sock.TryRead(c.space())
			if n == 0 && err == nil {
				c.In.Idle()
				return false
			}
			if cause = err; cause == nil {
				c.In.Fill(n)
				cause = c.handle(ctx, h, n)
			}
			if cause != nil {
				return true
			}
		}
	})
	if cause == nil {
		return err
	}
	return cause
}

// receiveWaiting reads from a connection that is not a [Socket], whose reads wait for data.
// It waits for the first bytes of a message with a tiny buffer of its own, so that an idle
// connection holds no shared buffer.
func (c *Conn) receiveWaiting(ctx context.Context, h Handler) error {
	var first [16]byte
	for {
		b := first[:]
		held := c.In.Held()
		if held {
			b = c.space()
		}
		n, err := c.nc.Read(b)
		if n > 0 {
			if !held {
				copy(c.In.Space(0), b[:n])
			}
			c.In.Fill(n)
			if err := c.handle(ctx, h, n); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if n < len(b) || !held {
			c.In.Idle()
		}
	}
}

// space returns the buffer for the next read. While a download limit is set, the buffer is
// shorter, so that connections take turns at the limit.
func (c *Conn) space() []byte {
	b := c.In.Space(c.need)
	return b[:batch(c.down, len(b))]
}

// handle passes n bytes that were read to h, and waits for the download limits.
func (c *Conn) handle(ctx context.Context, h Handler, n int) (err error) {
	if c.need, err = h.Received(); err != nil {
		return err
	}
	return waitFor(ctx, c.down, n, Normal, &c.waitingDown)
}

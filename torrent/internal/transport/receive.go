package transport

import (
	"context"
)

// Handler handles what a connection received.
type Handler interface {
	// Received uses the whole messages in [Conn.In]. It returns how long the message
	// is that is only partly there, 0 if that is unknown. An error ends the connection.
	Received() (need int, err error)
}

// Receive reads until the connection ends, or h returns an error, and returns why. It
// gives the buffer back that it holds then.
func (c *Conn) Receive(ctx context.Context, h Handler) error {
	defer c.In.Release()
	if c.sock == nil {
		return c.receiveWaiting(ctx, h)
	}
	return c.receive(ctx, h)
}

// Replay gives bytes to h that were read before Receive, as if they had just arrived.
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

// receive waits for the socket only after a read that found nothing: a read that did
// not fill its buffer may have left the end of the stream behind, which is not
// reported again if it came together with the last bytes.
func (c *Conn) receive(ctx context.Context, h Handler) error {
	var cause error
	err := c.sock.WaitReadable(func() bool {
		for {
			n, err := c.sock.TryRead(c.space())
			if err == ErrNotReady {
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

// receiveWaiting is for connections that can only be read by waiting for them. It waits
// for the first bytes of a message with a few bytes of its own, so that an idle
// connection holds no buffer here either.
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

// space returns where the next read may write: less than there is while a download
// limit is set.
func (c *Conn) space() []byte {
	b := c.In.Space(c.need)
	return b[:batch(c.down, len(b))]
}

// handle lets h use n bytes that were read, and waits for the download limits.
func (c *Conn) handle(ctx context.Context, h Handler, n int) (err error) {
	if c.need, err = h.Received(); err != nil {
		return err
	}
	return waitFor(ctx, c.down, n, &c.waitingDown)
}

package torrent

// limitRead shortens the space for a read while a download limit is set, so that
// connections take turns at it.
func (c *conn) limitRead(b []byte) []byte {
	return b[:min(len(b), c.t.down.Batch(), c.t.s.down.Batch())]
}

// took consumes n bytes that were read into the inbox, and waits as long as the
// limits ask, so that the peer is held back by its full socket.
func (c *conn) took(n int) error {
	if err := c.consume(); err != nil {
		return err
	}
	if c.t.down.Rate() == 0 && c.t.s.down.Rate() == 0 {
		return nil
	}
	c.held.Store(true)
	defer c.held.Store(false)
	if err := c.t.down.Wait(c.t.ctx, n); err != nil {
		return err
	}
	return c.t.s.down.Wait(c.t.ctx, n)
}

// receivePortable is receive for connections that are not sockets of this
// system. It waits for the first bytes of a message with a few bytes of its own,
// so that here too an idle connection holds no buffer.
func (c *conn) receivePortable() error {
	var first [16]byte
	for {
		if c.in.b == nil {
			n, err := c.nc.Read(first[:])
			if n > 0 {
				c.in.read(copy(c.in.space(0), first[:n]))
				if err := c.took(n); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
			c.in.idle()
			continue
		}
		b := c.limitRead(c.in.space(c.need))
		n, err := c.nc.Read(b)
		if n > 0 {
			c.in.read(n)
			if err := c.took(n); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if n < len(b) {
			c.in.idle()
		}
	}
}

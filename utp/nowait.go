package utp

import "net"

// WaitReadable calls f until it returns true. Before the first call and after each call that
// returned false it waits until TryRead returns bytes or an error. It returns an error if the
// connection is closed or the read deadline passes meanwhile. A reader that uses it needs no buffer
// while it waits.
func (c *Conn) WaitReadable(f func() bool) error {
	for {
		if err := c.waitReadable(); err != nil {
			return err
		}
		if f() {
			return nil
		}
	}
}

// waitReadable returns when bytes or the end of the stream can be read.
func (c *Conn) waitReadable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.m.closed || c.read.passed {
			_, err := c.readNow(nil)
			return err
		}
		if n, eof := c.m.readable(); n > 0 || eof {
			return nil
		}
		c.readers.Wait()
	}
}

// TryRead reads bytes that have arrived into p. It returns 0 and no error if none have, and [io.EOF]
// at the end of the stream. It does not wait, except that it gives a peer that sends fast up to two
// milliseconds to send more.
func (c *Conn) TryRead(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.readNow(p)
	switch {
	case n > 0:
		c.gatherer.fast = c.gatherer.fast || n >= gatherFrom
	case err == nil && c.gatherer.fast && len(p) > 0:
		n = c.gather(p)
	}
	return n, err
}

// TryWrite queues as much of p for sending as fits into the send buffer, and returns the number of
// bytes. If the connection has failed, it returns 0, and the next call of Write returns the error.
func (c *Conn) TryWrite(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writeError() != nil {
		return 0
	}
	n := c.m.write(c.s.now(), p)
	c.flush()
	return n
}

// WriteBuffers queues all of v for sending, as one Write of the joined buffers would, and consumes
// v. It copies each byte once, into its packet.
func (c *Conn) WriteBuffers(v *net.Buffers) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.flush()
	for ; len(*v) > 0; *v = (*v)[1:] {
		if _, err := c.queue((*v)[0]); err != nil {
			return err
		}
	}
	return nil
}

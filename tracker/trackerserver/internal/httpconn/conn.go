package httpconn

import (
	"errors"
	"io"
	"net"
)

// stdConn is a connection that net/http serves.
type stdConn struct {
	net.Conn
	read []byte // bytes that were read already, for the first calls of Read
	gate *gate
	slot *slot // released when the connection is closed

	closing func() // called before the connection is closed; may be nil

	requests int // number of requests that are being answered, from Busy; guarded by gate.mu
}

// Read reads the bytes that were read already, and then from the connection.
func (c *stdConn) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		if len(c.read) == 0 {
			c.read = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}

// Write writes to the connection and tells the gate.
func (c *stdConn) Write(p []byte) (int, error) {
	c.gate.write(c)
	n, err := c.Conn.Write(p)
	c.gate.wrote(c, int64(n))
	return n, err
}

// ReadFrom lets the kernel send files.
func (c *stdConn) ReadFrom(r io.Reader) (int64, error) {
	c.gate.write(c)
	n, err := io.Copy(c.Conn, r)
	c.gate.wrote(c, n)
	return n, err
}

// CloseWrite closes the sending direction. net/http uses it to read the rest of a request.
func (c *stdConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close releases the slot and closes the connection.
func (c *stdConn) Close() error {
	c.gate.leave(c.gate.o.Now(), c.slot)
	if c.closing != nil {
		c.closing()
	}
	return c.Conn.Close()
}

// end implements ender. net/http then gets an error and calls Close.
func (c *stdConn) end() { go c.Conn.Close() }

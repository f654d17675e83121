package transport

import (
	"context"
	"net"
)

// CanTryWrite reports whether TryWrite may write anything.
func (c *Conn) CanTryWrite() bool { return c.sock != nil }

// TryWrite writes as much of b as the socket takes without waiting, and returns the number
// of bytes. The next write returns the error, if any. Only one goroutine may write at a time.
func (c *Conn) TryWrite(b []byte) int {
	if c.sock == nil {
		return 0
	}
	return c.sock.TryWrite(b)
}

// WaitUp returns when the upload limits let n bytes pass, or with the error of ctx.
func (c *Conn) WaitUp(ctx context.Context, n int, p Priority) error {
	return waitFor(ctx, c.up, n, p, &c.waitingUp)
}

// UpBatch returns how many of n bytes may be written at once, so that connections take
// turns at the upload limits.
func (c *Conn) UpBatch(n int) int { return batch(c.up, n) }

// Write writes all of b. It waits while the socket takes no bytes.
func (c *Conn) Write(b []byte) error {
	_, err := c.nc.Write(b)
	return err
}

// WriteBuffers writes all of v in one write. It waits while the socket takes no bytes. It
// consumes v, and may change the bytes in it. After an error nothing more may be written.
func (c *Conn) WriteBuffers(v *net.Buffers) error {
	if c.sock != nil {
		return c.sock.WriteBuffers(v)
	}
	if tcp, ok := c.nc.(*net.TCPConn); ok {
		_, err := v.WriteTo(tcp)
		return err
	}
	// Other connections would make one write for each buffer.
	size := 0
	for _, b := range *v {
		size += len(b)
	}
	joined := make([]byte, 0, size)
	for _, b := range *v {
		joined = append(joined, b...)
	}
	*v = nil
	return c.Write(joined)
}

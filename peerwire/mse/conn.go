package mse

import (
	"net"
	"sync"
)

// Conn is a connection whose data is encrypted with RC4. Like any [net.Conn] it is safe for
// concurrent use.
//
// Read and Write suffice to use it. Code that can read and write the connection below faster than
// that uses [Conn.NetConn] and passes the bytes through [Conn.Decrypt] and [Conn.Encrypt]: each
// byte once and in its order, because each moves the key stream.
type Conn struct {
	net.Conn

	reading sync.Mutex
	receive *stream // guarded by reading

	writing sync.Mutex
	send    *stream // guarded by writing
	broken  error   // guarded by writing: a write ended early, so that the other side cannot decrypt what follows
}

// buffers holds the memory that Write encrypts into. An idle connection holds none.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// NewConn returns the encrypted connection after a handshake over nc that selected [RC4]. The
// result of a handshake is used for one connection.
func NewConn(nc net.Conn, r *Result) *Conn {
	return &Conn{Conn: nc, receive: r.receive, send: r.send}
}

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Decrypt decrypts b in place. b holds the next bytes that were read from the connection below.
func (c *Conn) Decrypt(b []byte) {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.receive.xor(b, b)
}

// Encrypt encrypts src into dst, which has at least the length of src, and is the same memory or
// does not overlap with it. The caller writes the result to the connection below, after all that
// was encrypted before.
func (c *Conn) Encrypt(dst, src []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.send.xor(dst, src)
}

// Unencrypt takes back the last n bytes that Encrypt has encrypted, because they were not written.
// They must be encrypted again.
func (c *Conn) Unencrypt(n int) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.send.back(n)
}

// Read reads and decrypts.
func (c *Conn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	n, err := c.Conn.Read(b)
	c.receive.xor(b[:n], b[:n])
	return n, err
}

// Write encrypts and writes b, which it does not change. After an error all writes fail.
func (c *Conn) Write(b []byte) (written int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for len(b) > 0 {
		if c.broken != nil {
			return written, c.broken
		}
		part := b[:min(len(b), len(buf))]
		c.send.xor(buf[:], part)
		n, err := c.Conn.Write(buf[:len(part)])
		written += n
		if err != nil {
			c.broken = err
			return written, err
		}
		b = b[len(part):]
	}
	return written, nil
}

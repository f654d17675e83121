package transport

import (
	"net"

	"spate/peerwire/mse"
)

// encrypted is an encrypted connection (MSE) over another [Socket]. It decrypts in the buffer that
// was read into, and encrypts in the buffers that are written, so that no byte is copied more often
// than without encryption.
type encrypted struct {
	Socket
	c    *mse.Conn
	free *FreeList // memory of TryWrite, which must not change its argument
}

// TryRead implements [Socket].
func (e *encrypted) TryRead(b []byte) (int, error) {
	n, err := e.Socket.TryRead(b)
	e.c.Decrypt(b[:n])
	return n, err
}

// TryWrite implements [Socket].
func (e *encrypted) TryWrite(b []byte) (written int) {
	buf := e.free.Get()
	defer e.free.Put(buf)
	for len(b) > 0 {
		part := buf[:min(len(b), len(buf))]
		e.c.Encrypt(part, b[:len(part)])
		n := e.Socket.TryWrite(part)
		written += n
		if n < len(part) {
			e.c.Unencrypt(len(part) - n)
			break
		}
		b = b[n:]
	}
	return written
}

// WriteBuffers implements [Socket].
func (e *encrypted) WriteBuffers(v *net.Buffers) error {
	for _, b := range *v {
		e.c.Encrypt(b, b)
	}
	return e.Socket.WriteBuffers(v)
}

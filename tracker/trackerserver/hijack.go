package trackerserver

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"time"
)

// hijacked lets package websocket take over the connection of a request with very small buffers,
// because with those of net/http each idle client would take 8 KiB more. The package reads and
// writes larger messages without a buffer.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn // set by WriteHeader
	rest []byte   // bytes that were read after the request
	err  error
}

// smallBuffer is the size in bytes of the buffers; it is the smallest of bufio, and holds the head of
// a frame.
const smallBuffer = 16

// WriteHeader takes over the connection to send the status 101. Other statuses are sent as usual.
func (h *hijacked) WriteHeader(status int) {
	if status != http.StatusSwitchingProtocols {
		h.ResponseWriter.WriteHeader(status)
		return
	}
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		h.err = err
		return
	}
	h.conn = conn
	h.rest, _ = rw.Reader.Peek(rw.Reader.Buffered())
	h.rest = bytes.Clone(h.rest) // without the large buffer
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	h.Header().Write(&b)
	b.WriteString("\r\n")
	conn.SetWriteDeadline(time.Now().Add(sendTime))
	_, h.err = conn.Write(b.Bytes())
}

// Hijack returns the connection that WriteHeader took over.
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if h.err != nil || h.conn == nil {
		return nil, nil, fmt.Errorf("taking over a connection: %w", h.err)
	}
	conn := h.conn
	if len(h.rest) > 0 {
		conn = &startedConn{Conn: h.conn, read: h.rest} // package websocket drops what the reader holds
	}
	return conn, bufio.NewReadWriter(bufio.NewReaderSize(conn, smallBuffer), bufio.NewWriterSize(&frameWriter{conn: h.conn}, smallBuffer)), nil
}

// startedConn is a connection whose first bytes were read already.
type startedConn struct {
	net.Conn
	read []byte
}

// Read reads the bytes that were read already, and then from the connection.
func (c *startedConn) Read(p []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.read)
	if c.read = c.read[n:]; len(c.read) == 0 {
		c.read = nil
	}
	return n, nil
}

// frameWriter is below the small buffer of a writer, which writes a longer frame in two parts. It
// sends both with one system call.
type frameWriter struct {
	conn  net.Conn
	first []byte // the first part; empty if none is held back
}

// Write writes p, or holds p back if it is the first part of a frame.
func (w *frameWriter) Write(p []byte) (int, error) {
	if len(w.first) == 0 && len(p) == smallBuffer && frameLen(p) > smallBuffer {
		w.first = append(w.first, p...)
		return len(p), nil
	}
	if len(w.first) == 0 {
		return w.conn.Write(p)
	}
	whole := append(append(make([]byte, 0, smallBuffer+len(p)), w.first...), p...)
	w.first = w.first[:0]
	if _, err := w.conn.Write(whole); err != nil {
		return 0, err
	}
	return len(p), nil
}

// frameLen returns the length of the frame of a server that starts with p (RFC 6455, section 5.2).
func frameLen(p []byte) uint64 {
	switch n := p[1] & 0x7f; n {
	case 126:
		return 4 + uint64(binary.BigEndian.Uint16(p[2:]))
	case 127:
		return 10 + binary.BigEndian.Uint64(p[2:])
	default:
		return 2 + uint64(n)
	}
}

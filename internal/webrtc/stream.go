package webrtc

import (
	"net"
	"net/netip"
	"time"

	"spate/internal/webrtc/sctp"
)

// Stream is an open data channel. It implements [net.Conn]: Read and Write treat the channel as a
// stream of bytes, and the boundaries of messages have no meaning. Write waits while the other side
// takes no data: at most 64 KiB wait beyond what the path holds. Its methods are safe for
// concurrent use.
type Stream struct {
	l    *link
	ch   *sctp.Channel
	send sendState
}

var _ net.Conn = (*Stream)(nil)

// Read reads bytes that have arrived. A Stream that waits holds no buffer.
func (s *Stream) Read(b []byte) (int, error) { return s.ch.Read(b) }

// Write writes all of b in messages of at most 64 KiB.
func (s *Stream) Write(b []byte) (int, error) { return s.ch.Write(b) }

// Unacked returns the number of bytes that were written and that the other side has not
// acknowledged.
func (s *Stream) Unacked() int { return s.ch.Unacked() }

// Close ends the connection. Bytes that the other side has not acknowledged may be lost.
func (s *Stream) Close() error {
	s.ch.Close()
	s.l.end(net.ErrClosed) // the end may have been told to another goroutine, which has not come so far
	return nil
}

// LocalAddr returns an [Addr].
func (s *Stream) LocalAddr() net.Addr { return Addr{} }

// RemoteAddr returns an [Addr], because others cannot dial the other side.
func (s *Stream) RemoteAddr() net.Addr { return Addr{} }

// From returns the address from which the packets of the other side come now.
func (s *Stream) From() netip.AddrPort { return s.l.remoteAddr() }

// SetDeadline implements [net.Conn].
func (s *Stream) SetDeadline(t time.Time) error {
	s.ch.SetReadDeadline(t)
	s.ch.SetWriteDeadline(t)
	return nil
}

// SetReadDeadline implements [net.Conn].
func (s *Stream) SetReadDeadline(t time.Time) error { s.ch.SetReadDeadline(t); return nil }

// SetWriteDeadline implements [net.Conn].
func (s *Stream) SetWriteDeadline(t time.Time) error { s.ch.SetWriteDeadline(t); return nil }

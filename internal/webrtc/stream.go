package webrtc

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/sctp"
)

// maxWrite is the length in bytes of the longest message that a Stream sends.
const maxWrite = 64 << 10

// Stream is an open data channel. It implements [net.Conn]: Read and Write treat the channel as a
// stream of bytes, and the boundaries of messages have no meaning. Write waits while the other side
// takes no data: at most one message of 64 KiB waits beyond what the path holds. One goroutine may
// read and one may write at a time; the other methods may be called at any time.
type Stream struct {
	l     *link
	a     *sctp.Association
	s     *sctp.Stream
	limit int // bytes of one message to write
	rest  []byte
	once  sync.Once
	wrote atomic.Uint64 // bytes that were given to SCTP
	send  sendState
}

var _ net.Conn = (*Stream)(nil)

func newStream(l *link, a *sctp.Association, s *sctp.Stream) *Stream {
	return &Stream{l: l, a: a, s: s, limit: min(maxWrite, l.theirs.maxMessage)}
}

// Read reads bytes that have arrived. A Stream that waits holds no buffer.
func (s *Stream) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		if len(s.rest) > 0 {
			n := copy(b, s.rest)
			if s.rest = s.rest[n:]; len(s.rest) == 0 {
				s.rest = nil
			}
			return n, nil
		}
		n, kind, err := s.s.ReadSCTP(b)
		if errors.Is(err, io.ErrShortBuffer) { // the message is still there
			if n > ourMaxMessage {
				return 0, errLongMessage
			}
			whole := make([]byte, n)
			if n, kind, err = s.s.ReadSCTP(whole); err == nil && isData(kind) {
				s.rest = whole[:n]
			}
			if err == nil {
				continue
			}
		}
		if err != nil {
			return 0, err
		}
		if isData(kind) && n > 0 {
			return n, nil
		}
	}
}

var errLongMessage = errors.New("webrtc: the other side sent a message that is longer than this side takes")

// isData reports whether a message holds bytes of the stream. Others are empty messages, and the
// acknowledgment that the channel is open.
func isData(kind sctp.PayloadProtocolIdentifier) bool {
	return kind == sctp.PayloadTypeWebRTCBinary || kind == sctp.PayloadTypeWebRTCString
}

// Write writes all of b in messages of at most 64 KiB.
func (s *Stream) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		part := b[:min(len(b), s.limit)]
		s.wrote.Add(uint64(len(part)))
		m, err := s.s.WriteSCTP(part, sctp.PayloadTypeWebRTCBinary)
		n += m
		if err != nil {
			s.wrote.Add(-uint64(len(part) - m)) // SCTP has forgotten them
			return n, err
		}
		b = b[len(part):]
	}
	return n, nil
}

// Unacked returns the number of bytes that were written and that the other side has not
// acknowledged.
func (s *Stream) Unacked() int { return int(s.s.BufferedAmount()) }

// Close ends the connection. Bytes that the other side has not acknowledged may be lost.
func (s *Stream) Close() error {
	s.once.Do(func() {
		s.s.Close() // tells the other side, if its packet still leaves
		s.a.Close() // closes DTLS, which ends the link
		s.l.end(net.ErrClosed)
	})
	return nil
}

// LocalAddr returns an [Addr].
func (s *Stream) LocalAddr() net.Addr { return Addr{} }

// RemoteAddr returns an [Addr], because others cannot dial the other side.
func (s *Stream) RemoteAddr() net.Addr { return Addr{} }

// From returns the address from which the packets of the other side come now.
func (s *Stream) From() netip.AddrPort { return s.l.remoteAddr() }

// SetDeadline implements [net.Conn].
func (s *Stream) SetDeadline(t time.Time) error { return s.s.SetDeadline(t) }

// SetReadDeadline implements [net.Conn].
func (s *Stream) SetReadDeadline(t time.Time) error { return s.s.SetReadDeadline(t) }

// SetWriteDeadline implements [net.Conn].
func (s *Stream) SetWriteDeadline(t time.Time) error { return s.s.SetWriteDeadline(t) }

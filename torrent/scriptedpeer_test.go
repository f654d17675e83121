package torrent

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"spate"
	"spate/metainfo"
	"spate/peerwire"
)

// scriptedPeer is a peer whose messages a test writes and reads one by one.
type scriptedPeer struct {
	t   testing.TB
	c   net.Conn
	hs  peerwire.Handshake // the handshake of the session
	buf []byte
	raw []byte // the message that next returned last
}

// extendedAndFast returns the bits of a handshake with extensions and Fast (BEP 10, BEP 6).
func extendedAndFast() (r peerwire.Reserved) {
	r.SetExtended()
	r.SetFast()
	return r
}

// dialPeer connects to a session and exchanges handshakes.
func dialPeer(t testing.TB, addr netip.AddrPort, hash spate.InfoHash, r peerwire.Reserved) *scriptedPeer {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return handshakeOver(t, c, hash, r)
}

// handshakeOver exchanges handshakes over a connection.
func handshakeOver(t testing.TB, c net.Conn, hash spate.InfoHash, r peerwire.Reserved) *scriptedPeer {
	t.Helper()
	return handshakeAs(t, c, peerwire.Handshake{Reserved: r, InfoHash: hash, PeerID: spate.NewPeerID()})
}

// handshakeAs sends hs over a connection and reads the handshake of the session.
func handshakeAs(t testing.TB, c net.Conn, hs peerwire.Handshake) *scriptedPeer {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	p := &scriptedPeer{t: t, c: c}
	p.send(hs.Append(nil))
	var err error
	if p.hs, err = readHandshake(c); err != nil {
		t.Fatalf("no handshake: %v", err)
	}
	return p
}

func (p *scriptedPeer) send(b []byte) {
	p.t.Helper()
	p.c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.c.Write(b); err != nil && !errors.Is(err, net.ErrClosed) {
		p.t.Logf("sending: %v", err)
	}
}

// next returns the next message, or the error that ended the connection.
func (p *scriptedPeer) next() (peerwire.Message, error) { return p.nextIn(patience) }

// nextIn returns the next message if it arrives within limit.
func (p *scriptedPeer) nextIn(limit time.Duration) (peerwire.Message, error) {
	p.buf = p.buf[len(p.raw):]
	p.raw = nil
	p.c.SetReadDeadline(time.Now().Add(limit))
	for {
		var m peerwire.Message
		n, _, err := peerwire.Parse(p.buf, &m)
		if err != nil {
			p.t.Fatalf("the session sent a malformed message: %v", err)
		}
		if n > 0 {
			p.raw = p.buf[:n]
			return m, nil
		}
		var b [16 << 10]byte
		n, err = p.c.Read(b[:])
		p.buf = append(p.buf, b[:n]...)
		if err != nil {
			return m, err
		}
	}
}

// await skips messages until a message with that id arrives, and returns it.
func (p *scriptedPeer) await(id peerwire.ID) peerwire.Message {
	p.t.Helper()
	for {
		m, err := p.next()
		if err != nil {
			p.t.Fatalf("no %v: %v", id, err)
		}
		if m.ID == id {
			return m
		}
	}
}

// hears reports whether a message with that id arrives within a time.
func (p *scriptedPeer) hears(id peerwire.ID, within time.Duration) bool {
	for end := time.Now().Add(within); ; {
		left := time.Until(end)
		if left <= 0 {
			return false
		}
		m, err := p.nextIn(left)
		if err != nil {
			return false
		}
		if m.ID == id {
			return true
		}
	}
}

// dropped waits until the session has ended the connection.
func (p *scriptedPeer) dropped() {
	p.t.Helper()
	p.c.SetReadDeadline(time.Now().Add(patience))
	var err error
	for b := make([]byte, 64<<10); err == nil; {
		_, err = p.c.Read(b)
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		p.t.Error("the connection was not ended")
	} else if !errors.Is(err, io.EOF) {
		p.t.Logf("ended by %v", err)
	}
}

// alive reports whether the session still answers a request.
func (p *scriptedPeer) alive(piece uint32) bool {
	p.t.Helper()
	p.send(peerwire.AppendBlock(nil, peerwire.Request, piece, 0, 1))
	for {
		m, err := p.next()
		if err != nil {
			return false
		}
		if m.ID == peerwire.Reject || m.ID == peerwire.Piece {
			return true
		}
	}
}

// added adds a torrent and returns once it accepts peers.
func added(t testing.TB, s *Session, mi *metainfo.MetaInfo, opt AddOptions) *Torrent {
	t.Helper()
	tor, err := s.Add(mi, opt)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the torrent accepts peers", func() bool {
		state := tor.Stats().State
		return state == StateDownloading || state == StateSeeding
	})
	return tor
}

// until waits until a condition holds.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v still not true: %s", patience, what)
		}
	}
}

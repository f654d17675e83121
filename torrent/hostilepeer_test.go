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

// foe is a peer that a test speaks for, message by message.
type foe struct {
	t   testing.TB
	c   net.Conn
	hs  peerwire.Handshake // what the other side said
	buf []byte
	raw []byte // message that next returned last
}

// everything is all that a peer can claim to know.
func everything() (r peerwire.Reserved) {
	r.SetExtended()
	r.SetFast()
	return r
}

// dialFoe connects to a session and exchanges handshakes.
func dialFoe(t testing.TB, addr netip.AddrPort, hash spate.InfoHash, r peerwire.Reserved) *foe {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return greetFoe(t, c, hash, r)
}

// greetFoe exchanges handshakes over a connection.
func greetFoe(t testing.TB, c net.Conn, hash spate.InfoHash, r peerwire.Reserved) *foe {
	t.Helper()
	return greetAs(t, c, peerwire.Handshake{Reserved: r, InfoHash: hash, PeerID: spate.NewPeerID()})
}

// greetAs exchanges handshakes over a connection and says hs.
func greetAs(t testing.TB, c net.Conn, hs peerwire.Handshake) *foe {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	f := &foe{t: t, c: c}
	f.send(hs.Append(nil))
	var err error
	if f.hs, err = readHandshake(c); err != nil {
		t.Fatalf("no handshake: %v", err)
	}
	return f
}

func (f *foe) send(b []byte) {
	f.t.Helper()
	f.c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := f.c.Write(b); err != nil && !errors.Is(err, net.ErrClosed) {
		f.t.Logf("sending: %v", err)
	}
}

// next returns the next message, or the error that ended the connection.
func (f *foe) next() (peerwire.Message, error) { return f.nextIn(patience) }

// nextIn is next within a time.
func (f *foe) nextIn(limit time.Duration) (peerwire.Message, error) {
	f.buf = f.buf[len(f.raw):]
	f.raw = nil
	f.c.SetReadDeadline(time.Now().Add(limit))
	for {
		var m peerwire.Message
		n, _, err := peerwire.Parse(f.buf, &m)
		if err != nil {
			f.t.Fatalf("a message that cannot be parsed came: %v", err)
		}
		if n > 0 {
			f.raw = f.buf[:n]
			return m, nil
		}
		var b [16 << 10]byte
		n, err = f.c.Read(b[:])
		f.buf = append(f.buf, b[:n]...)
		if err != nil {
			return m, err
		}
	}
}

// await skips messages until one of that id.
func (f *foe) await(id peerwire.ID) peerwire.Message {
	f.t.Helper()
	for {
		m, err := f.next()
		if err != nil {
			f.t.Fatalf("no %v: %v", id, err)
		}
		if m.ID == id {
			return m
		}
	}
}

// dropped waits until the other side has ended the connection.
func (f *foe) dropped() {
	f.t.Helper()
	f.c.SetReadDeadline(time.Now().Add(patience))
	var err error
	for b := make([]byte, 64<<10); err == nil; {
		_, err = f.c.Read(b)
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		f.t.Error("the connection was not ended")
	} else if !errors.Is(err, io.EOF) {
		f.t.Logf("ended by %v", err)
	}
}

// alive reports whether the other side still answers: it must, when a test is
// about something that does not end a connection.
func (f *foe) alive(piece uint32) bool {
	f.t.Helper()
	f.send(peerwire.AppendBlock(nil, peerwire.Request, piece, 0, 1))
	for {
		m, err := f.next()
		if err != nil {
			return false
		}
		if m.ID == peerwire.Reject || m.ID == peerwire.Piece {
			return true
		}
	}
}

// added adds a torrent and returns once it takes peers: those who come before that
// are sent away.
func added(t testing.TB, s *Session, mi *metainfo.MetaInfo, opt AddOptions) *Torrent {
	t.Helper()
	tor, err := s.Add(mi, opt)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "it takes peers", func() bool {
		state := tor.Stats().State
		return state == StateDownloading || state == StateSeeding
	})
	return tor
}

// until waits for something that a session does in its own time.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

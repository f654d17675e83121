package udpmux

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
)

func dialTracker(t *testing.T, m *Mux, p peer) net.Conn {
	t.Helper()
	c, err := m.DialTracker(p.addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestTrackerConnection checks that requests to a tracker leave from the port of the Mux, and
// that only replies from its address are read.
func TestTrackerConnection(t *testing.T) {
	t.Parallel()
	for _, bind := range []netip.Addr{loopback, {}} {
		m := listenAt(t, bind)
		run(t, m)
		server, other := newPeer(t, loopback), newPeer(t, loopback)
		c, twin := dialTracker(t, m, server), dialTracker(t, m, server)
		if _, err := c.Write([]byte("request")); err != nil {
			t.Fatal(err)
		}
		data, from := server.next()
		if string(data) != "request" || from.Port() != m.Port() || from.String() != c.LocalAddr().String() {
			t.Errorf("the tracker got %q from %v, want it from the port %d and from %v", data, from, m.Port(), c.LocalAddr())
		}
		other.send(from, refusal)
		server.send(from, []byte("no reply"), connect)
		b := make([]byte, 100)
		for _, c := range []net.Conn{c, twin} {
			if n, err := c.Read(b); err != nil || !bytes.Equal(b[:n], connect) {
				t.Errorf("Read returned %q, %v, want %q", b[:n], err, connect)
			}
		}
		if st := m.Stats(); st.Unclaimed != 2 {
			t.Errorf("%d packets had no receiver, want 2", st.Unclaimed)
		}
		c.Close()
		if _, err := c.Read(b); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read of a closed connection returned %v", err)
		}
		if _, err := c.Write(b); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write to a closed connection returned %v", err)
		}
		server.send(from, refusal)
		if n, err := twin.Read(b); err != nil || !bytes.Equal(b[:n], refusal) {
			t.Errorf("after the other connection was closed, Read returned %q, %v", b[:n], err)
		}
		m.Close()
		if _, err := twin.Read(b); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read after the Mux was closed returned %v", err)
		}
	}
}

// TestRepliesThatNobodyReadsAreDropped checks that a tracker cannot fill the memory or stop the
// reader.
func TestRepliesThatNobodyReadsAreDropped(t *testing.T) {
	t.Parallel()
	m := listenAt(t, loopback)
	server := newPeer(t, loopback)
	c := dialTracker(t, m, server)
	batch := make([]Packet, 2*maxReplies)
	for i := range batch {
		batch[i] = Packet{Addr: server.addr(), Data: []byte{0, 0, 0, 0, 0, 0, 0, byte(i)}}
	}
	m.receiveReplies(batch)
	if n := len(c.(*trackerConn).replies); n != maxReplies {
		t.Errorf("%d replies wait, want %d", n, maxReplies)
	}
}

// TestDialTrackerWithoutFamily checks the error that makes the client open a socket of its own.
func TestDialTrackerWithoutFamily(t *testing.T) {
	t.Parallel()
	m := listenAt(t, loopback)
	if _, err := m.DialTracker(netip.AddrPortFrom(netip.IPv6Loopback(), 9).String()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("DialTracker returned %v, want ErrUnsupported", err)
	}
	if _, err := m.DialTracker("tracker.test:9"); err == nil {
		t.Error("DialTracker resolved a name")
	}
}

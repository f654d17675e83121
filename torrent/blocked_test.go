package torrent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"spate/storage"
)

// fromConn is a connection without an IP address whose packets come from one, as over WebRTC.
type fromConn struct {
	net.Conn
	from netip.AddrPort
}

func (c fromConn) From() netip.AddrPort { return c.from }

// blockingSession returns a session that blocks loopback and 44.0.0.0/8 while block is set, and a
// torrent that it seeds.
func blockingSession(t *testing.T, block *atomic.Bool) (*Session, *Torrent) {
	t.Helper()
	other := netip.MustParsePrefix("44.0.0.0/8")
	s := testSession(t, Options{Blocked: func(a netip.Addr) bool { return block.Load() && (a.IsLoopback() || other.Contains(a)) }})
	data, mi := noiseTorrent(t, 100<<10, 16<<10)
	tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	return s, tor
}

// TestBlockedAddressesAreNoPeers checks that a session with an IP filter closes connections from blocked
// addresses before the handshake, over TCP and WebRTC, dials none over any transport, and takes none
// as a candidate.
func TestBlockedAddressesAreNoPeers(t *testing.T) {
	t.Parallel()
	var block atomic.Bool
	block.Store(true)
	s, tor := blockingSession(t, &block)
	closed := func(name string, nc net.Conn) {
		t.Helper()
		hs := s.handshake(tor.hash, false)
		go nc.Write(hs.Append(nil)) // fails if the connection is closed already
		if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: read %d bytes, %v; want a closed connection", name, n, err)
		}
	}
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	closed("incoming TCP", nc)
	at := netip.MustParseAddrPort("44.0.0.1:6881")
	for name, opened := range map[string]func(net.Conn){
		"incoming WebRTC": s.enter,
		"an answered offer": func(nc net.Conn) {
			tor.offerTaken(nc, tor.hash)
		},
	} {
		ours, theirs := net.Pipe()
		opened(fromConn{ours, at})
		closed(name, theirs)
	}
	for _, over := range []Transport{TCP, UTP} {
		if _, err := s.dialOver(t.Context(), over, at); !errors.Is(err, errBlocked) {
			t.Errorf("dialling over %v: %v", over, err)
		}
	}
	if _, err := s.dialHole(t.Context(), at); !errors.Is(err, errBlocked) {
		t.Errorf("dialling through a hole: %v", err)
	}
	tor.AddPeers([]netip.AddrPort{at})
	if n := tor.Stats().Known; n != 0 {
		t.Errorf("%d blocked addresses are candidates", n)
	}
}

// TestPeersAreDroppedWhenTheyAreBlocked checks that a session closes the connections to addresses that
// the IP filter began to block, when it is told to.
func TestPeersAreDroppedWhenTheyAreBlocked(t *testing.T) {
	t.Parallel()
	var block atomic.Bool
	s, tor := blockingSession(t, &block)
	dialPeer(t, s.Addr(), tor.hash, extendedAndFast())
	until(t, "the peer is connected", func() bool { return tor.Stats().Peers == 1 })
	page, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	fmt.Fprintf(page, "GET %s%v HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n", RangePath, tor.hash)
	if _, err := page.Read(make([]byte, 1)); err != nil { // the connection then waits for a minute for another request
		t.Fatal(err)
	}
	s.DropBlocked()
	if n := tor.Stats().Peers; n != 1 {
		t.Fatalf("%d peers before the address is blocked", n)
	}
	block.Store(true)
	s.DropBlocked()
	until(t, "the peer is gone", func() bool { return tor.Stats().Peers == 0 })
	page.SetReadDeadline(time.Now().Add(45 * time.Second))
	if _, err := io.Copy(io.Discard, page); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection over HTTP goes on")
	}
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"spate"
	"spate/internal/udpmux"
	"spate/torrent"
)

// patience is the time after which an operation counts as hung.
const patience = 2 * time.Minute

// opensUTP is a packet that opens a uTP connection (BEP 29).
var opensUTP = append([]byte{0x41}, make([]byte, 19)...)

var loopback = netip.MustParseAddr("127.0.0.1")

// openSession returns a session that runs until the test ends.
func openSession(t *testing.T, c SessionConfig) *Session {
	t.Helper()
	c.Options.Bind, c.Options.ResumeDir, c.NoLSD = loopback, t.TempDir(), true
	s, err := OpenSession(testEnv(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// udpServer returns a UDP socket of another program, and its port, which is free for TCP.
func udpServer(t *testing.T) (*net.UDPConn, uint16) {
	t.Helper()
	for {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		l, err := net.Listen("tcp", c.LocalAddr().String())
		if err != nil {
			continue
		}
		l.Close()
		if port := c.LocalAddr().(*net.UDPAddr).AddrPort().Port(); port < 65000 {
			return c, port // the tests use a range of ports that begins with this one
		}
	}
}

// TestRefuseUTP checks that a peer that connects over uTP is refused at once, so that it uses
// TCP, unless NoUTP is set.
func TestRefuseUTP(t *testing.T) {
	t.Parallel()
	for _, noUTP := range []bool{false, true} {
		s := openSession(t, SessionConfig{NoUTP: noUTP})
		peer, err := net.Dial("udp", s.PeerAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		peer.SetDeadline(time.Now().Add(patience))
		read := make(chan struct{}, 1)
		s.udp.Receive(udpmux.DHT, func([]udpmux.Packet) { read <- struct{}{} })
		peer.Write(opensUTP)
		peer.Write([]byte("de")) // when this packet is read, the one before was read too
		<-read
		if !noUTP {
			if n, err := peer.Read(make([]byte, 100)); err != nil || n != len(opensUTP) {
				t.Errorf("the answer has %d bytes, %v; want %d", n, err, len(opensUTP))
			}
		}
		s.Stop()
		if st := s.udp.Stats(); (st.Sent+st.Unsent == 0) != noUTP {
			t.Errorf("with NoUTP %v the session sent %d packets", noUTP, st.Sent+st.Unsent)
		}
	}
}

// TestPeerPortIsFreeForBoth checks that a session listens on a port that is free for TCP and UDP
// if the options allow one, and otherwise on one that is free for TCP.
func TestPeerPortIsFreeForBoth(t *testing.T) {
	t.Parallel()
	s := openSession(t, SessionConfig{})
	if s.udp == nil || s.udp.Port() != s.PeerPort() {
		t.Errorf("the UDP port %+v differs from the TCP port %d", s.udp, s.PeerPort())
	}
	_, taken := udpServer(t)
	s = openSession(t, SessionConfig{Options: torrent.Options{PeerPort: taken, PeerPortLast: taken + 100}})
	if s.udp == nil || s.udp.Port() != s.PeerPort() || s.PeerPort() == taken {
		t.Errorf("the session listens on port %d, whose UDP port is in use", s.PeerPort())
	}
	_, taken = udpServer(t)
	s = openSession(t, SessionConfig{Options: torrent.Options{PeerPort: taken}})
	if s.udp != nil || s.PeerPort() != taken {
		t.Errorf("the session listens on port %d, want the only one that the options allow: %d", s.PeerPort(), taken)
	}
}

// TestTrackersAreAskedFromThePeerPort checks that requests to UDP trackers leave from the port
// on which the session listens, or from another if its UDP port is in use.
func TestTrackersAreAskedFromThePeerPort(t *testing.T) {
	t.Parallel()
	for _, free := range []bool{true, false} {
		var c SessionConfig
		if !free {
			_, c.Options.PeerPort = udpServer(t)
		}
		s := openSession(t, c)
		server, port := udpServer(t)
		ctx, cancel := context.WithCancel(t.Context())
		asked := make(chan error, 1)
		go func() {
			_, err := s.tracker.Scrape(ctx, fmt.Sprintf("udp://127.0.0.1:%d", port), []spate.InfoHash{{1}})
			asked <- err
		}()
		_, from, err := server.ReadFromUDPAddrPort(make([]byte, 100))
		if err != nil {
			t.Fatal(err)
		}
		if (from.Port() == s.PeerPort()) != free {
			t.Errorf("the tracker was asked from port %d, and peers connect at %d", from.Port(), s.PeerPort())
		}
		cancel()
		if err := <-asked; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate"
	"spate/maker"
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

// TestUTPIsAnswered checks that a peer that opens a connection by uTP gets the answer that accepts
// it, or with NoUTP the reset that makes the peer use TCP.
func TestUTPIsAnswered(t *testing.T) {
	t.Parallel()
	for noUTP, want := range map[bool]byte{false: 0x21, true: 0x31} { // ST_STATE, ST_RESET
		s := openSession(t, SessionConfig{NoUTP: noUTP})
		peer, err := net.Dial("udp", s.PeerAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		peer.SetDeadline(time.Now().Add(patience))
		peer.Write(opensUTP)
		b := make([]byte, 100)
		if n, err := peer.Read(b); err != nil || n != len(opensUTP) || b[0] != want {
			t.Errorf("with NoUTP %v the answer is %x, %v; want one that begins with %x", noUTP, b[:n], err, want)
		}
	}
}

// TestDownloadByUTP checks that a session without TCP downloads from one that has both transports,
// and that both sides show the transport of the connection.
func TestDownloadByUTP(t *testing.T) {
	t.Parallel()
	data := make([]byte, 1<<20+100)
	rand.Read(data)
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	made, err := maker.Make(t.Context(), path, maker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	from := openSession(t, SessionConfig{})
	seed, err := from.Add(made, torrent.AddOptions{Dir: filepath.Dir(path), Verified: true})
	if err != nil {
		t.Fatal(err)
	}
	to := openSession(t, SessionConfig{Options: torrent.Options{NoTCP: true}})
	got := t.TempDir()
	get, err := to.Add(made, torrent.AddOptions{Dir: got, Peers: []netip.AddrPort{netip.AddrPortFrom(loopback, from.PeerPort())}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := get.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(got, "data")); err != nil || !bytes.Equal(b, data) {
		t.Errorf("the download has %d bytes that differ, %v", len(b), err)
	}
	for _, tor := range []*torrent.Torrent{seed, get} {
		for _, p := range tor.PeerStats() {
			if p.Transport != torrent.UTP {
				t.Errorf("a peer is connected over %v, want utp", p.Transport)
			}
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

package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"spate/torrent"
)

// patience is the time after which an operation counts as hung.
const patience = 2 * time.Minute

// opensUTP is a packet that opens a uTP connection (BEP 29).
var opensUTP = append([]byte{0x41}, make([]byte, 19)...)

// TestRefuseUTP checks that a peer that connects over uTP is refused at once, so that it uses
// TCP, unless NoUTP is set.
func TestRefuseUTP(t *testing.T) {
	t.Parallel()
	var err error
	for range 3 { // another process may use the UDP port
		if err = refusesUTP(t); err == nil {
			return
		}
	}
	t.Error(err)
}

func refusesUTP(t *testing.T) error {
	loopback, env := netip.MustParseAddr("127.0.0.1"), testEnv()
	start := func(c SessionConfig) *Session {
		t.Helper()
		c.Options, c.NoLSD = torrent.Options{Bind: loopback, ResumeDir: t.TempDir()}, true
		s, err := OpenSession(env, c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		return s
	}
	s := start(SessionConfig{})
	peer, err := net.Dial("udp", s.PeerAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	peer.SetDeadline(time.Now().Add(patience))
	peer.Write(opensUTP)
	if n, err := peer.Read(make([]byte, 100)); err != nil || n != len(opensUTP) {
		return fmt.Errorf("an answer of %d bytes, %w", n, err)
	}
	s.Stop()
	s = start(SessionConfig{NoUTP: true})
	port := s.PeerPort()
	other, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, port)))
	if err != nil {
		return fmt.Errorf("NoUTP: the UDP port is taken: %w", err)
	}
	defer other.Close()
	if env.refuseUTP(loopback, port) != nil {
		t.Error("refuseUTP listens on a port that another process uses")
	}
	if env.refuseUTP(loopback, 0) != nil {
		t.Error("refuseUTP listens although no peer can connect")
	}
	return nil
}

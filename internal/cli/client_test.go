package cli

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

// opensUTP is a packet that opens a connection (BEP 29).
var opensUTP = append([]byte{0x41}, make([]byte, 19)...)

// Who dials by uTP is told at once that TCP is spoken, unless that is not wanted.
func TestRefuseUTP(t *testing.T) {
	t.Parallel()
	var err error
	for range 3 { // the UDP port may be somebody else's by chance
		if err = refusesUTP(t); err == nil {
			return
		}
	}
	t.Error(err)
}

func refusesUTP(t *testing.T) error {
	loopback := netip.MustParseAddr("127.0.0.1")
	start := func(f clientFlags) *client {
		t.Helper()
		f.bind.Addr, f.noLSD = loopback, true
		c, err := newApp(Env{Stderr: &bytes.Buffer{}, Now: time.Now}).newClient(&f, t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.stop)
		return c
	}
	c := start(clientFlags{})
	peer, err := net.Dial("udp", c.peerAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	peer.SetDeadline(time.Now().Add(patience / 10))
	peer.Write(opensUTP)
	if n, err := peer.Read(make([]byte, 100)); err != nil || n != len(opensUTP) {
		return fmt.Errorf("an answer of %d bytes, %w", n, err)
	}
	c.stop()
	c = start(clientFlags{noUTP: true})
	port := c.session.PeerPort()
	other, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, port)))
	if err != nil {
		return fmt.Errorf("--no-utp: the UDP port is taken: %w", err)
	}
	defer other.Close()
	f := clientFlags{bind: addrValue{Addr: loopback}}
	if c.app.refuseUTP(&f, port) != nil {
		t.Error("the port is somebody else's, and is listened on")
	}
	if c.app.refuseUTP(&f, 0) != nil {
		t.Error("nobody can dial, and a port is listened on")
	}
	return nil
}

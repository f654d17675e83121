package daemon

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"spate/internal/udpmux"
	"spate/internal/uplink"
	"spate/torrent"
)

// runUTP opens a port with uTP on this machine.
func runUTP(t *testing.T) (torrent.UTPSocket, netip.AddrPort) {
	t.Helper()
	at := netip.MustParseAddr("127.0.0.1")
	udp, err := udpmux.Listen(at, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := testEnv().openUTP(udp, at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		udp.Run(ctx)
	}()
	t.Cleanup(func() {
		s.Close()
		cancel()
		<-ended
		udp.Close()
	})
	return s, netip.AddrPortFrom(at, udp.Port())
}

// TestUTPReportsPath checks that both sides of a uTP connection report to the uplink what they
// send.
func TestUTPReportsPath(t *testing.T) {
	t.Parallel()
	a, _ := runUTP(t)
	b, to := runUTP(t)
	x, err := a.Dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct{ from, to net.Conn }{{x, y}, {y, x}, {x, y}} { // each packet acknowledges those before
		if _, err := c.from.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.to.Read(make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
		r, ok := c.to.(uplink.PathReporter)
		if !ok {
			t.Fatalf("a %T does not report its path", c.to)
		}
		if p := r.Path(); i > 0 && (p.Acked != 100 || p.MinRTT <= 0 || p.RTT < p.MinRTT) {
			t.Errorf("the path after 100 bytes is %+v", p)
		}
	}
}

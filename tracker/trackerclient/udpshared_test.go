package trackerclient_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"spate/internal/netguard/guardtest"
	"spate/internal/udpmux"
	"spate/tracker/trackerclient"
)

// TestUDPFromSharedPort checks that announces leave from the port of a udpmux.Mux.
func TestUDPFromSharedPort(t *testing.T) {
	mux, err := udpmux.Listen(netip.Addr{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { mux.Run(context.Background()); close(ended) }()
	t.Cleanup(func() { mux.Close(); <-ended })
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		conn, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Logf("%s: %v", at, err) // this machine has no IPv6
			continue
		}
		f := &fakeUDP{t: t, id: 7}
		var from []uint16
		var server sync.WaitGroup
		server.Go(func() {
			b := make([]byte, 2048)
			for {
				n, addr, err := conn.ReadFrom(b)
				if err != nil {
					return
				}
				from = append(from, addr.(*net.UDPAddr).AddrPort().Port())
				conn.WriteTo(f.answer(b[:n]), addr)
			}
		})
		c := newClient(t, trackerclient.Options{DialUDP: func(_ context.Context, _, address string) (net.Conn, error) { return mux.DialTracker(address) }})
		resp, err := c.Announce(t.Context(), "udp://"+conn.LocalAddr().String()+"/announce", request())
		if err != nil || resp.Complete != 1 {
			t.Errorf("%s: the announce returned %+v, %v", at, resp, err)
		}
		conn.Close()
		server.Wait()
		if !slices.Equal(from, []uint16{mux.Port(), mux.Port()}) {
			t.Errorf("%s: the requests came from the ports %d, want twice %d", at, from, mux.Port())
		}
	}
}

// TestDialUDP checks that DialUDP gets addresses that the client has resolved and allows, and
// that the client opens a socket of its own if DialUDP cannot.
func TestDialUDP(t *testing.T) {
	f := &fakeUDP{t: t, id: 7}
	addr := udpServer(t, "udp4", "127.0.0.1:0", func(b []byte) [][]byte { return [][]byte{f.answer(b)} })
	_, port, _ := net.SplitHostPort(addr)
	var asked []string
	c := newClient(t, trackerclient.Options{
		Resolver: guardtest.Names(map[string][]string{"tracker.test": {"127.0.0.1"}, "metadata.test": {"169.254.169.254"}}),
		DialUDP: func(_ context.Context, _, address string) (net.Conn, error) {
			asked = append(asked, address)
			return nil, errors.ErrUnsupported
		},
	})
	if _, err := c.Announce(t.Context(), "udp://tracker.test:"+port+"/announce", request()); err != nil || !slices.Equal(asked, []string{addr}) {
		t.Errorf("the announce returned %v, and DialUDP got %q, want %s", err, asked, addr)
	}
	asked = nil
	for _, u := range []string{"udp://metadata.test:80/announce", "udp://127.0.0.1:" + port + "/other", "udp://169.254.169.254:80"} {
		if _, err := c.Announce(t.Context(), u, request()); !errors.Is(err, trackerclient.ErrForbiddenAddress) || asked != nil {
			t.Errorf("the announce to %s returned %v, and DialUDP got %q; want ErrForbiddenAddress", u, err, asked)
		}
	}
	broken := errors.New("the port is closed")
	c = newClient(t, trackerclient.Options{DialUDP: func(context.Context, string, string) (net.Conn, error) { return nil, broken }})
	if _, err := c.Announce(t.Context(), "udp://"+addr+"/announce", request()); !errors.Is(err, broken) {
		t.Errorf("the announce returned %v, want the error of DialUDP", err)
	}
}

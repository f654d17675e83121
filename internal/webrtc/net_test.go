package webrtc

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// host is an endpoint with a UDP port on loopback.
type host struct {
	*Endpoint
	at netip.AddrPort

	mu     sync.Mutex
	filter func(b []byte) bool // reports whether a packet arrives; nil: all do
}

// newHost returns an endpoint that lives until the test ends.
func newHost(t testing.TB, lite bool) *host {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadBuffer(4 << 20)
	h := &host{at: c.LocalAddr().(*net.UDPAddr).AddrPort()}
	h.Endpoint, err = New(Options{
		Send: func(b []byte, to netip.AddrPort, _ netip.Addr) error {
			_, err := c.WriteToUDPAddrPort(b, to)
			return err
		},
		Addrs:     func() []netip.AddrPort { return []netip.AddrPort{h.at} },
		Reachable: func() bool { return lite },
		MayCheck:  func(a netip.AddrPort) bool { return a.Addr().IsLoopback() },
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 4096); ; {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			h.mu.Lock()
			ok := h.filter == nil || h.filter(b[:n])
			h.mu.Unlock()
			if ok {
				h.Receive(b[:n], from, netip.Addr{})
				h.Flush()
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done; h.Close() })
	return h
}

// patience detects hangs.
const patience = 2 * time.Minute

// connect opens a data channel between two hosts; a offers.
func connect(t testing.TB, a, b *host) (of, by *Stream) {
	t.Helper()
	as, bs := make(chan *Stream, 1), make(chan *Stream, 1)
	o, err := a.Offer(func(s *Stream) { as <- s })
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.Answer(o.Description(), func(s *Stream) { bs <- s })
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Accept(answer); err != nil {
		t.Fatal(err)
	}
	for of == nil || by == nil {
		select {
		case of = <-as:
			t.Cleanup(func() { of.Close() })
		case by = <-bs:
			t.Cleanup(func() { by.Close() })
		case <-time.After(patience):
			t.Fatalf("no data channel: %+v and %+v", a.Stats(), b.Stats())
		}
	}
	return of, by
}

package utp

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// testNet carries packets between sockets with a fixed delay. Tests use it in a synctest bubble.
type testNet struct {
	mu      sync.Mutex
	sockets map[netip.AddrPort]*Socket
	delay   time.Duration
	drop    func(b []byte, from, to netip.AddrPort) bool // called under mu; nil drops nothing
	sent    int
	bytes   int
}

func newTestNet(delay time.Duration) *testNet {
	return &testNet{sockets: map[netip.AddrPort]*Socket{}, delay: delay}
}

// host is the PacketConn of one address.
type host struct {
	n    *testNet
	addr netip.AddrPort
}

func (h host) WriteTo(b []byte, to netip.AddrPort) error {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	h.n.sent++
	h.n.bytes += len(b)
	if h.n.drop != nil && h.n.drop(b, h.addr, to) {
		return nil
	}
	s, b := h.n.sockets[to], bytes.Clone(b)
	if s != nil {
		time.AfterFunc(h.n.delay, func() { s.Handle(b, h.addr) })
	}
	return nil
}

func (n *testNet) listen(t *testing.T, addr string, opt Options) *Socket {
	t.Helper()
	opt.Addr = netip.MustParseAddrPort(addr)
	s, err := NewSocket(host{n, opt.Addr}, opt)
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	n.sockets[opt.Addr] = s
	n.mu.Unlock()
	return s
}

// connect dials from a to b.
func connect(t *testing.T, a, b *Socket) (x, y *Conn) {
	t.Helper()
	x, err := a.Dial(t.Context(), b.opt.Addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return x, c.(*Conn)
}

// sizes returns the numbers of connections and of timers.
func (s *Socket) sizes() (conns, timers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timers.mu.Lock()
	defer s.timers.mu.Unlock()
	return len(s.conns), len(s.timers.heap)
}

func randomBytes(n int, seed uint64) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	src.Read(b)
	return b
}

// TestConnCarriesBytesBothWays checks that both sides receive what the other wrote, and its end.
func TestConnCarriesBytesBothWays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(10 * time.Millisecond)
		a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "[2001:db8::2]:2", Options{})
		defer a.Close()
		defer b.Close()
		x, y := connect(t, a, b)
		var wg sync.WaitGroup
		for i, side := range []struct{ from, to *Conn }{{x, y}, {y, x}} {
			data := randomBytes(3<<20, uint64(i))
			wg.Go(func() {
				if n, err := side.from.Write(data); n != len(data) || err != nil {
					t.Errorf("Write returned %d, %v", n, err)
				}
			})
			wg.Go(func() {
				got := make([]byte, len(data))
				if _, err := io.ReadFull(side.to, got); err != nil || !bytes.Equal(got, data) {
					t.Errorf("the bytes differ, %v", err)
				}
			})
		}
		wg.Wait()
		x.Close()
		if n, err := y.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("Read after Close of the peer returned %d, %v, want EOF", n, err)
		}
		y.Close()
		time.Sleep(time.Minute)
		for _, s := range []*Socket{a, b} {
			if conns, timers := s.sizes(); conns != 0 || timers != 0 {
				t.Errorf("%d connections and %d timers remain", conns, timers)
			}
		}
	})
}

var _ net.Listener = (*Socket)(nil)
var _ net.Conn = (*Conn)(nil)

package utp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// testNet carries packets between sockets with a fixed delay. Tests use it in a synctest bubble.
type testNet struct {
	mu      sync.Mutex
	sockets map[netip.AddrPort]*Socket
	delay   time.Duration                                // guarded by mu
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

// TestFloodOfSYNsNeedsNoMemory checks that SYNs from forged addresses leave nothing behind, and that
// each gets at most one packet, not larger than the SYN.
func TestFloodOfSYNsNeedsNoMemory(t *testing.T) {
	t.Parallel()
	n := newTestNet(0)
	s := n.listen(t, "10.0.0.1:1", Options{})
	defer s.Close()
	h := header{kind: stSyn, timestamp: 1, window: 1 << 20}
	var b [headerLen]byte
	const flood = 50_000
	for i := range flood {
		h.id, h.seq = uint16(i), uint16(i*7)
		h.put(b[:])
		s.Handle(b[:], netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(i)))
	}
	if conns, timers := s.sizes(); conns+timers+len(s.gone.byKey)+len(s.accept) != 0 {
		t.Errorf("the flood left %d connections and %d timers", conns, timers)
	}
	if n.sent > flood || n.bytes > flood*headerLen {
		t.Errorf("%d SYNs got %d packets of %d bytes", flood, n.sent, n.bytes)
	}
}

// TestForgedDataOpensNothing checks that data without a SYN opens no connection and gets a bounded
// number of resets.
func TestForgedDataOpensNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(0)
		s := n.listen(t, "10.0.0.1:1", Options{})
		defer s.Close()
		s.secret = [32]byte{} // so that the result does not depend on chance
		var b [headerLen + 10]byte
		for i := range 20_000 {
			h := header{kind: stData, id: 7, seq: 100, ack: 200, timestamp: 1}
			h.put(b[:])
			s.Handle(b[:], netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 9))
		}
		if conns, _ := s.sizes(); conns != 0 {
			t.Errorf("%d of 20,000 forged packets opened a connection", conns)
		}
		if n.sent > resetRate+20 {
			t.Errorf("the packets got %d answers within a second", n.sent)
		}
	})
}

// TestDialFails checks the errors of Dial.
func TestDialFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(10 * time.Millisecond)
		a := n.listen(t, "10.0.0.1:1", Options{MaxConns: 1})
		defer a.Close()
		began := time.Now()
		if _, err := a.Dial(t.Context(), netip.MustParseAddrPort("10.0.0.9:9")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 25*time.Second {
			t.Errorf("Dial of nobody returned %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errors.New("enough"))
		defer cancel()
		if _, err := a.Dial(ctx, netip.MustParseAddrPort("10.0.0.9:9")); err == nil || !strings.Contains(err.Error(), "enough") {
			t.Errorf("Dial returned %v, want the cause of the context", err)
		}
		if conns, _ := a.sizes(); conns != 0 {
			t.Errorf("%d connections remain after Dial failed", conns)
		}
		// A peer without uTP answers a SYN with a RESET.
		refuser := netip.MustParseAddrPort("10.0.0.3:3")
		n.drop = func(b []byte, from, to netip.AddrPort) bool {
			var h header
			if parse(&h, b) && to == refuser {
				var r [headerLen]byte
				answerReset(r[:], &h, h.id, time.Second)
				time.AfterFunc(n.delay, func() { a.Handle(r[:], refuser) })
			}
			return to == refuser
		}
		if _, err := a.Dial(t.Context(), refuser); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial returned %v, want that the peer refused", err)
		}
		b := n.listen(t, "10.0.0.2:2", Options{})
		defer b.Close()
		connect(t, a, b)
		if _, err := a.Dial(t.Context(), b.opt.Addr); !errors.Is(err, ErrTooMany) {
			t.Errorf("Dial at the bound returned %v", err)
		}
		a.Close()
		if _, err := a.Dial(t.Context(), b.opt.Addr); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Dial of a closed Socket returned %v", err)
		}
		if _, err := a.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept of a closed Socket returned %v", err)
		}
	})
}

// TestBothSidesDialAtOnce checks that two sides that dial each other get two connections, even with
// ids that are neighbours.
func TestBothSidesDialAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(10 * time.Millisecond)
		a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "10.0.0.2:2", Options{})
		defer a.Close()
		defer b.Close()
		var wg sync.WaitGroup
		for _, side := range [][2]*Socket{{a, b}, {b, a}} {
			wg.Go(func() {
				for range 20 {
					c, err := side[0].Dial(t.Context(), side[1].opt.Addr)
					if err != nil {
						t.Error(err)
						return
					}
					fmt.Fprintf(c, "hello")
					peer, err := side[1].Accept()
					if err != nil {
						t.Error(err)
						return
					}
					got := make([]byte, 5)
					if _, err := io.ReadFull(peer, got); err != nil || string(got) != "hello" {
						t.Errorf("read %q, %v", got, err)
					}
				}
			})
		}
		wg.Wait()
		if conns, _ := a.sizes(); conns != 40 {
			t.Errorf("%d connections, want 40", conns)
		}
	})
}

// TestCollidingID checks that a SYN whose connection would have the id of another is ignored and
// does not harm the other.
func TestCollidingID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(time.Millisecond)
		a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "10.0.0.2:2", Options{})
		defer a.Close()
		defer b.Close()
		x, y := connect(t, a, b)
		syn := header{kind: stSyn, id: x.m.recvID - 1, seq: 1, timestamp: 1}
		var p [headerLen]byte
		syn.put(p[:])
		before := n.sent
		a.Handle(p[:], b.opt.Addr)
		if n.sent != before {
			t.Error("the SYN got an answer")
		}
		fmt.Fprintf(y, "still here")
		got := make([]byte, 10)
		if _, err := io.ReadFull(x, got); err != nil || string(got) != "still here" {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

// TestPeerThatForgotResets checks that data for a connection that a peer does not know ends it, and
// that a peer that has closed answers late packets, and opens no new connection for them.
func TestPeerThatForgotResets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(10 * time.Millisecond)
		a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "10.0.0.2:2", Options{})
		defer a.Close()
		x, _ := connect(t, a, b)
		b.Close()
		if _, err := x.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read returned %v after the peer's Socket closed, want a reset", err)
		}
		b = n.listen(t, "10.0.0.2:2", Options{})
		defer b.Close()
		var first []byte
		n.drop = func(p []byte, from, to netip.AddrPort) bool {
			if kind(p[0]>>4) == stData && first == nil {
				first = bytes.Clone(p)
			}
			return false
		}
		x, y := connect(t, a, b)
		fmt.Fprintf(x, "hello")
		time.Sleep(time.Second)
		x.Close()
		y.Close()
		time.Sleep(time.Second)
		b.Handle(first, a.opt.Addr)
		time.Sleep(time.Second)
		if conns, _ := b.sizes(); conns != 0 || len(b.accept) != 0 {
			t.Error("a late duplicate opened a connection")
		}
	})
}

// TestDeadlines checks that Read and Write give up at their deadlines, and go on after these are
// moved.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(10 * time.Millisecond)
		a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "10.0.0.2:2", Options{})
		defer a.Close()
		defer b.Close()
		x, y := connect(t, a, b)
		began := time.Now()
		x.SetDeadline(began.Add(time.Second))
		if _, err := x.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("Read returned %v after %v", err, time.Since(began))
		}
		x.SetDeadline(time.Now().Add(time.Second))
		big := make([]byte, 10<<20)
		k, err := x.Write(big)
		if !errors.Is(err, os.ErrDeadlineExceeded) || k == 0 || time.Since(began) != 2*time.Second {
			t.Errorf("Write returned %d, %v after %v", k, err, time.Since(began))
		}
		x.SetDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { x.SetReadDeadline(time.Now()) })
		if _, err := x.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("Read returned %v after %v", err, time.Since(began))
		}
		go io.Copy(io.Discard, y)
		if _, err := x.Write(big); err != nil {
			t.Errorf("Write without a deadline returned %v", err)
		}
	})
}

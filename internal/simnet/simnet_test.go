package simnet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs f in simulated time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func ip(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

// connect returns both ends of a connection from a to b.
func connect(t testing.TB, a, b *Host) (*Conn, *Conn) {
	t.Helper()
	l, err := b.Listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	x, err := a.DialContext(t.Context(), "tcp", at(b, l))
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return x.(*Conn), y.(*Conn)
}

// at returns the address at which other hosts reach the listener l of h.
func at(h *Host, l net.Listener) string {
	return netip.AddrPortFrom(h.Addr(), l.Addr().(*net.TCPAddr).AddrPort().Port()).String()
}

// pattern returns n bytes whose values depend on their positions.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// about fails the test if got differs from want by more than 1 % and more than 1 ms.
func about(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if d := (got - want).Abs(); d > want/100 && d > time.Millisecond {
		t.Errorf("%s took %v, want %v", what, got, want)
	}
}

func TestBytesArriveInOrder(t *testing.T) {
	for _, link := range []Link{{}, {Up: 3e6, Down: 1e6, Latency: 20 * time.Millisecond}} {
		bubble(t, func(t *testing.T) {
			n := New(Options{Seed: 1, Jitter: 10 * time.Millisecond})
			a, b := connect(t, n.Host(ip(1), link), n.Host(ip(2), link))
			data := pattern(3_000_017)
			go func() {
				for p := data; len(p) > 0; {
					k := min(len(p), 1+len(p)%70_001)
					if m, err := a.Write(p[:k]); m != k || err != nil {
						t.Errorf("wrote %d of %d: %v", m, k, err)
						return
					}
					p = p[k:]
				}
				a.Close()
			}()
			got, err := io.ReadAll(b)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("read %d bytes, %v; equal %v", len(got), err, bytes.Equal(got, data))
			}
			if s, r := a.host.Sent(), b.host.Received(); s != int64(len(data)) || r != s {
				t.Errorf("counted %d sent, %d received", s, r)
			}
			b.Close()
			time.Sleep(time.Second)
			n.mu.Lock()
			defer n.mu.Unlock()
			if len(n.free) == 0 || len(a.host.conns)+len(b.host.conns) != 0 || len(a.host.ports)+len(b.host.ports) != 0 {
				t.Errorf("left behind: %d and %d connections, ports %v %v", len(a.host.conns), len(b.host.conns), a.host.ports, b.host.ports)
			}
		})
	}
}

func TestRateAndLatency(t *testing.T) {
	for _, c := range []struct {
		up, down Link
		want     time.Duration
	}{
		{Link{Up: 1e6}, Link{}, 10 * time.Second},
		{Link{}, Link{Down: 2e6}, 5 * time.Second},
		{Link{Up: 1e6}, Link{Down: 2e6}, 10 * time.Second},
		{Link{Up: 1e6, Latency: 30 * time.Millisecond}, Link{Latency: 70 * time.Millisecond}, 10100 * time.Millisecond},
		{Link{Latency: time.Second}, Link{}, time.Second * (10_000_000 / (256 << 10))}, // one window per second
	} {
		bubble(t, func(t *testing.T) {
			n := New(Options{})
			a, b := connect(t, n.Host(ip(1), c.up), n.Host(ip(2), c.down))
			start := time.Now()
			go func() {
				_, _ = a.Write(make([]byte, 1e7))
				a.Close()
			}()
			if k, err := io.Copy(io.Discard, b); k != 1e7 || err != nil {
				t.Errorf("%d bytes, %v", k, err)
			}
			took := time.Since(start)
			if c.up.Latency == time.Second {
				if took < c.want-time.Second || took > c.want+5*time.Second {
					t.Errorf("took %v, want %v", took, c.want)
				}
				return
			}
			about(t, fmt.Sprintf("%+v %+v", c.up, c.down), took, c.want)
		})
	}
}

// TestFairness checks that connections share a link fairly at the sender and at the
// receiver.
func TestFairness(t *testing.T) {
	for _, shared := range []string{"up", "down"} {
		bubble(t, func(t *testing.T) {
			n := New(Options{})
			hub := n.Host(ip(1), Link{Up: 1e6, Down: 1e6, Latency: time.Millisecond})
			var wg sync.WaitGroup
			counts := make([]int64, 5)
			for i := range counts {
				x, y := connect(t, hub, n.Host(ip(10+i), Link{Latency: 20 * time.Millisecond}))
				from, to := x, y
				if shared == "down" {
					from, to = y, x
				}
				size := 100 << i // batches of different sizes
				go func() {
					for {
						if _, err := from.Write(make([]byte, size)); err != nil {
							return
						}
					}
				}()
				wg.Go(func() {
					_ = to.SetReadDeadline(time.Now().Add(20 * time.Second))
					counts[i], _ = io.Copy(io.Discard, to)
					from.Close()
				})
			}
			wg.Wait()
			for i, k := range counts {
				if k < 3.9e6 || k > 4.1e6 {
					t.Errorf("shared link %s: connection %d got %d bytes of 20e6, want a fifth", shared, i, k)
				}
			}
		})
	}
}

// TestBulkDataDelaysShortMessagesLittle checks that bulk data on other connections delays a
// short message by at most one chunk.
func TestBulkDataDelaysShortMessagesLittle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{})
		hub := n.Host(ip(1), Link{Up: 1e6})
		var wg sync.WaitGroup
		defer wg.Wait()
		for i := range 20 {
			x, y := connect(t, hub, n.Host(ip(10+i), Link{}))
			defer x.Close()
			wg.Go(func() { _, _ = x.Write(make([]byte, 1<<20)) })
			wg.Go(func() { _, _ = io.Copy(io.Discard, y) })
		}
		x, y := connect(t, hub, n.Host(ip(2), Link{}))
		time.Sleep(time.Second)
		start := time.Now()
		if _, err := x.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(y, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 25*time.Millisecond {
			t.Errorf("a byte took %v", d)
		}
	})
}

// TestPartitionStalls checks that connections stall during a cut and lose no data.
func TestPartitionStalls(t *testing.T) {
	for _, cut := range []string{"partition", "down at the sender", "down at the receiver"} {
		bubble(t, func(t *testing.T) {
			n := New(Options{})
			link := Link{Up: 1e6, Down: 9e5, Latency: 50 * time.Millisecond}
			ha, hb := n.Host(ip(1), link), n.Host(ip(2), link)
			a, b := connect(t, ha, hb)
			data := pattern(2e6)
			go func() {
				_, _ = a.Write(data)
				a.Close()
			}()
			set := func(off bool) {
				switch cut {
				case "partition":
					n.Partition(hb, ha, off)
				case "down at the sender":
					ha.SetDown(off)
				default:
					hb.SetDown(off)
				}
			}
			start := time.Now()
			time.AfterFunc(time.Second, func() { set(true) })
			time.AfterFunc(61*time.Second, func() { set(false) })
			got, err := io.ReadAll(b)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes, %v", cut, len(got), err)
			}
			if d := time.Since(start); d < 62*time.Second || d > 64*time.Second {
				t.Errorf("%s: took %v", cut, d)
			}
		})
	}
}

func TestDropAndCrash(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{})
		ha, hb, hc := n.Host(ip(1), Link{}), n.Host(ip(2), Link{}), n.Host(ip(3), Link{Latency: time.Second})
		a, b := connect(t, ha, hb)
		c, d := connect(t, ha, hc)
		l, err := hc.Listen(t.Context(), "tcp", ":9")
		if err != nil {
			t.Fatal(err)
		}
		n.Drop(ha, hb)
		for _, e := range []*Conn{a, b} {
			if _, err := e.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("dropped: %v", err)
			}
		}
		if ha.Conns() != 1 || hb.Conns() != 0 {
			t.Errorf("%d and %d connections left", ha.Conns(), hb.Conns())
		}
		start := time.Now()
		hc.Crash()
		if _, err := d.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("crashed end: %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("crashed listener: %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("other end: %v", err)
		}
		about(t, "the reset", time.Since(start), time.Second)
		for _, e := range []*Conn{a, b, c, d} {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestSetLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{})
		h := n.Host(ip(1), Link{Up: 1e6})
		a, b := connect(t, h, n.Host(ip(2), Link{}))
		go func() {
			_, _ = a.Write(make([]byte, 5e6))
			a.Close()
		}()
		start := time.Now()
		time.AfterFunc(time.Second, func() { h.SetLink(Link{Up: 2e6}) })
		time.AfterFunc(2*time.Second, func() { h.SetLink(Link{}) })
		if k, err := io.Copy(io.Discard, b); k != 5e6 || err != nil {
			t.Errorf("%d, %v", k, err)
		}
		about(t, "with changing rates", time.Since(start), 2*time.Second)
	})
}

// TestRealClock runs a network outside of a bubble, on the real clock.
func TestRealClock(t *testing.T) {
	n := New(Options{})
	a, b := connect(t, n.Host(ip(1), Link{Up: 20e6, Latency: time.Millisecond}), n.Host(ip(2), Link{Down: 20e6}))
	data := pattern(2e6)
	start := time.Now()
	go func() {
		_, _ = a.Write(data)
		a.Close()
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if d := time.Since(start); d < 100*time.Millisecond {
		t.Errorf("took %v, less than the link needs", d)
	}
}

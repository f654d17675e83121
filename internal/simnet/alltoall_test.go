package simnet

import (
	"io"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// allToAll lets each host send bytes to every other host. It returns, in simulated
// time, when each host has received everything.
func allToAll(t testing.TB, seed uint64, hosts, each int) []time.Duration {
	n := New(Options{Seed: seed, Jitter: 5 * time.Millisecond})
	start := time.Now()
	list := make([]*Host, hosts)
	listeners := make([]net.Listener, hosts)
	for i := range list {
		list[i] = n.Host(ip(i+1), Link{Up: 2_500_000, Down: 5_000_000, Latency: time.Duration(5+i) * time.Millisecond})
		l, err := list[i].Listen(t.Context(), "tcp", ":6881")
		if err != nil {
			t.Fatal(err)
		}
		listeners[i] = l
	}
	ends := make([]time.Duration, hosts)
	var all sync.WaitGroup
	for i, h := range list {
		all.Go(func() {
			var wg sync.WaitGroup
			for range hosts - 1 {
				c, err := listeners[i].Accept()
				if err != nil {
					t.Error(err)
					return
				}
				wg.Go(func() {
					if k, err := io.Copy(io.Discard, c); k != int64(each) || err != nil {
						t.Errorf("%d bytes, %v", k, err)
					}
					c.Close()
				})
			}
			wg.Wait()
			ends[i] = time.Since(start)
		})
		for j := range list {
			if i == j {
				continue
			}
			all.Go(func() {
				c, err := h.DialContext(t.Context(), "tcp", netip.AddrPortFrom(list[j].Addr(), 6881).String())
				if err != nil {
					t.Error(err)
					return
				}
				block := make([]byte, 16<<10)
				for left := each; left > 0; left -= len(block) {
					block = block[:min(left, len(block))]
					if _, err := c.Write(block); err != nil {
						t.Error(err)
					}
				}
				c.Close()
			})
		}
	}
	all.Wait()
	return ends
}

func TestDeterministic(t *testing.T) {
	var runs [][]time.Duration
	for _, seed := range []uint64{1, 1, 1, 2} {
		bubble(t, func(t *testing.T) { runs = append(runs, allToAll(t, seed, 12, 300_000)) })
	}
	if !reflect.DeepEqual(runs[0], runs[1]) || !reflect.DeepEqual(runs[0], runs[2]) {
		t.Errorf("the same seed gave different times:\n%v\n%v\n%v", runs[0], runs[1], runs[2])
	}
	if reflect.DeepEqual(runs[0], runs[3]) {
		t.Error("the seed changes nothing")
	}
}

// TestFiftyHosts moves 250 MB between 50 hosts, which takes a few seconds of real time.
func TestFiftyHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 250 MB")
	}
	start := time.Now()
	bubble(t, func(t *testing.T) {
		const each = 100 << 10
		ends := allToAll(t, 1, 50, each)
		bound := time.Duration(49 * each * 1e9 / 2_500_000)
		for i, e := range ends {
			if e < bound || e > bound*5/4 {
				t.Errorf("host %d ended after %v, the links need %v", i, e, bound)
			}
		}
	})
	t.Logf("took %v", time.Since(start))
}

func BenchmarkAllToAll(b *testing.B) {
	for b.Loop() {
		allToAll(b, 1, 10, 1<<20)
	}
}

// TestCostOfMessages logs how much real time a short message takes.
func TestCostOfMessages(t *testing.T) {
	const rounds = 20_000
	start := time.Now()
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		link := Link{Up: 1e6, Down: 1e6, Latency: time.Millisecond}
		a, b := connect(t, n.Host(ip(1), link), n.Host(ip(2), link))
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = io.Copy(b, b)
			b.Close()
		})
		p := make([]byte, 17)
		for range rounds {
			if _, err := a.Write(p); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(a, p); err != nil {
				t.Fatal(err)
			}
		}
		a.Close()
		wg.Wait()
	})
	t.Logf("%v a message", time.Since(start)/(2*rounds))
}

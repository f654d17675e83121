package swarm_test

import (
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    swarm.Options
		want string
	}{
		{swarm.Options{}, ""},
		{swarm.Options{Shards: 1, Interval: time.Second}, ""},
		{swarm.Options{Shards: 3}, "power of two"},
		{swarm.Options{MaxPeers: -1}, "at least 1"},
		{swarm.Options{MaxMemory: 1 << 20}, "max memory"},
		{swarm.Options{NumWant: 200}, "numwant"},
		{swarm.Options{Interval: time.Millisecond}, "interval"},
		{swarm.Options{Interval: time.Hour, Expire: time.Hour}, "expiry"},
		{swarm.Options{Expire: 48 * time.Hour}, "expiry"},
		{swarm.Options{MinInterval: time.Hour}, "interval"},
	} {
		tab, err := swarm.New(c.o)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
		if tab != nil {
			tab.Close()
		}
	}
}

// TestAnnounceAllocatesNothing checks announces to small and large swarms.
func TestAnnounceAllocatesNothing(t *testing.T) {
	for _, n := range []int{2, 100, 5000} {
		tab := open(t, swarm.Options{})
		var rep swarm.Reply
		r := swarm.Request{NumWant: 50, Want4: true, Want6: true}
		for i := range n {
			r.Addr, r.Key, r.Seed = addr4(i), uint32(i+1), i%5 == 0
			tab.Announce(start, &r, &rep)
		}
		i := 0
		if got := testing.AllocsPerRun(1000, func() {
			i++
			r.Addr, r.Key, r.Seed = addr4(i%n), uint32(i%n+1), i%3 == 0
			tab.Announce(start, &r, &rep)
		}); got != 0 {
			t.Errorf("%d peers: %v allocations an announce", n, got)
		}
	}
}

// TestChurn lets swarms grow and shrink randomly, from nothing to tens of thousands of
// peers and back, and checks that the memory follows the number of peers.
func TestChurn(t *testing.T) {
	tab := open(t, swarm.Options{Shards: 2, Seed: [16]byte{5}, Interval: 10 * time.Minute})
	r := rand.New(rand.NewPCG(1, 2))
	now := start
	var rep swarm.Reply
	for round := range 60 {
		hosts := []int{50, 3000, 40_000}[round%3]
		hashes := []int{1, 20, 3000}[r.IntN(3)]
		for range 8000 {
			n := r.IntN(hosts)
			q := swarm.Request{Key: uint32(n + 1), Addr: addr4(n), Seed: r.IntN(4) == 0, NumWant: 30, Want4: true, Want6: true}
			if n%4 == 0 {
				q.Addr = addr6(n)
			}
			q.InfoHash[2] = byte(r.IntN(hashes))
			q.InfoHash[3] = byte(r.IntN(hashes) >> 8)
			if r.IntN(4) == 0 {
				q.Event = tracker.EventStopped
			}
			if err := tab.Announce(now, &q, &rep); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Duration(r.IntN(12)) * time.Minute)
		tab.Sweep(now, r.IntN(20_000))
		if err := tab.Check(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if round%7 == 6 {
			tab.Sweep(now, 0)
			if err := tab.Tight(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
	}
	if seen, gone := tab.Sweep(now.Add(time.Hour), 0); seen != gone {
		t.Fatalf("the sweep examined %d and removed %d", seen, gone)
	}
	if err := tab.Check(); err != nil {
		t.Fatal(err)
	}
	tot := tab.Totals()
	if tot.Active != 0 || tot.Peers() != 0 || tot.Expired == 0 || tot.EvictedPeers != 0 {
		t.Errorf("at the end: %+v", tot)
	}
	if tot.Bytes > 512<<10 {
		t.Errorf("%d bytes are kept in an empty table", tot.Bytes)
	}
}

// TestMaxMemory checks that a flood of random info-hashes and peers stays within the
// limit, and that a protected swarm can still grow.
func TestMaxMemory(t *testing.T) {
	const most = 1 << 20
	tab := open(t, swarm.Options{Shards: 4, MaxMemory: most, Seed: [16]byte{8}})
	published := spate.InfoHash{9, 9, 9}
	if err := tab.Protect(published); err != nil {
		t.Fatal(err)
	}
	var rep swarm.Reply
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		q := swarm.Request{Key: uint32(i + 1), Addr: addr4(i)}
		if i%3 == 0 {
			q.Addr = addr6(i)
		}
		switch {
		case i%100 == 0:
			q.InfoHash = published
		case i%2 == 0: // a new info-hash each time
			q.InfoHash = spate.InfoHash{1, byte(i), byte(i >> 8), byte(i >> 16)}
		default:
			q.InfoHash = spate.InfoHash{2, byte(r.IntN(100))}
		}
		tab.Announce(start.Add(time.Duration(i)*time.Millisecond), &q, &rep)
		if i%5000 == 0 {
			if n := tab.Totals().Bytes; n > most*9/8+64<<10 {
				t.Fatalf("%d bytes after %d announces", n, i)
			}
		}
	}
	if err := tab.Check(); err != nil {
		t.Fatal(err)
	}
	if _, l, _, _ := tab.Scrape(start, published); l != 2000 {
		t.Errorf("%d peers of the protected swarm, of 2000", l)
	}
	if tot := tab.Totals(); tot.EvictedSwarms == 0 || tot.EvictedPeers == 0 {
		t.Errorf("%+v", tot)
	}
}

// TestSweepInPieces checks that each call examines about as many peers as requested,
// and that the calls together reach every peer, whatever is removed in the meantime.
func TestSweepInPieces(t *testing.T) {
	tab := open(t, swarm.Options{Shards: 4, Interval: 30 * time.Minute})
	fill(t, tab, 20_000)
	calls, sum := 0, 0
	for now := start.Add(3 * time.Hour); sum < 20_000; calls++ {
		seen, gone := tab.Sweep(now, 700)
		if seen == 0 || seen > 700+1024+255 || gone != seen {
			t.Fatalf("examined %d, removed %d", seen, gone)
		}
		sum += gone
	}
	if calls < 20_000/2000 || calls > 20_000/700+1 {
		t.Errorf("%d calls", calls)
	}
	// A complete sweep starts again, wherever the last call stopped.
	fill(t, tab, 20_000)
	tab.Sweep(start, 5000)
	if seen, gone := tab.Sweep(start.Add(3*time.Hour), 0); gone != 20_000 {
		t.Errorf("the complete sweep examined %d and removed %d", seen, gone)
	}
}

// TestConcurrent runs everything concurrently, for the race detector.
func TestConcurrent(t *testing.T) {
	tab := open(t, swarm.Options{Shards: 4, MaxPeers: 3000, MaxSwarms: 300})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 2))
			var rep swarm.Reply
			for i := range 5000 {
				n := r.IntN(5000)
				q := swarm.Request{Key: uint32(n), Addr: addr4(n), Seed: n%2 == 0, NumWant: 10, Want4: true, Event: tracker.Event(r.IntN(4))}
				q.InfoHash[0], q.InfoHash[1] = byte(r.IntN(256)), byte(r.IntN(2))
				now := start.Add(time.Duration(i) * time.Second)
				tab.Announce(now, &q, &rep)
				switch i % 100 {
				case 0:
					tab.Sweep(now, 100)
				case 1:
					tab.Pin(q.InfoHash, addr4(1), addr6(n%3))
				case 2:
					tab.Unprotect(q.InfoHash)
				case 3:
					tab.Drop(q.InfoHash)
				case 4:
					tab.Totals()
					tab.Busiest(5)
				case 5:
					tab.Snapshot(now, io.Discard)
				case 6:
					tab.Scrape(now, q.InfoHash)
				}
			}
		})
	}
	wg.Wait()
	if err := tab.Check(); err != nil {
		t.Fatal(err)
	}
}

func TestBusiest(t *testing.T) {
	tab := open(t, swarm.Options{})
	var rep swarm.Reply
	for h := range 50 {
		for i := range h {
			r := swarm.Request{InfoHash: spate.InfoHash{byte(h)}, Addr: addr4(i), Seed: i == 0}
			if i%2 == 1 {
				r.Addr = addr6(i)
			}
			tab.Announce(start, &r, &rep)
		}
	}
	tab.Protect(spate.InfoHash{200})
	top := tab.Busiest(3)
	if len(top) != 3 || top[0].InfoHash[0] != 49 || top[2].InfoHash[0] != 47 || top[0].Leechers != 48 || top[0].Peers6 != 24 {
		t.Errorf("%+v", top)
	}
	if n := len(tab.Busiest(1000)); n != 49 {
		t.Errorf("%d swarms", n)
	}
	if tot := tab.Totals(); tot.Swarms != 50 || tot.Active != 49 || tot.Protected != 1 {
		t.Errorf("%+v", tot)
	}
}

// TestClockGoesBack checks that peers neither expire at once nor live forever if the
// clock is set back.
func TestClockGoesBack(t *testing.T) {
	tab := open(t, swarm.Options{})
	var rep swarm.Reply
	now := start.Add(24 * time.Hour)
	tab.Announce(start, &swarm.Request{Addr: addr4(0)}, &rep)
	tab.Announce(now, &swarm.Request{Addr: addr4(1)}, &rep)
	if rep.Leechers != 1 { // the announce removed the old entry
		t.Errorf("%+v", rep)
	}
	if _, gone := tab.Sweep(now.Add(-30*time.Minute), 0); gone != 0 {
		t.Errorf("%d expired half an hour back", gone)
	}
	if _, gone := tab.Sweep(now.Add(-20*time.Hour), 0); gone != 1 {
		t.Errorf("%d expired a day back", gone)
	}
	tab.Announce(start.Add(-48*time.Hour), &swarm.Request{Addr: addr4(1)}, &rep)
	if rep.Leechers != 1 {
		t.Errorf("before the beginning: %+v", rep)
	}
}

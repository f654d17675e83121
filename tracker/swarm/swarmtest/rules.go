package swarmtest

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"spate/tracker"
	"spate/tracker/swarm"
)

// Run tests the rules of a store, each with a fresh one from open. The stores are
// for open to close.
func Run(t *testing.T, open func(t testing.TB, o swarm.Options) Store) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range rules {
		t.Run(c.name, func(t *testing.T) {
			o := Options()
			if c.opt != nil {
				c.opt(&o)
			}
			c.f(&run{failer: t, s: open(t, o), now: start})
		})
	}
}

var rules = []struct {
	name string
	f    func(u *run)
	opt  func(o *swarm.Options)
}{
	{"an announce is answered with the counts, itself among them", countsOwn, nil},
	{"nobody is given itself, leechers are given all, seeds only leechers", whoGets, nil},
	{"a partial seed counts as a leecher and is not given seeds", paused, nil},
	{"one entry for an address, whatever the event", sameAddress, nil},
	{"stopped takes out, and only who came in", stopped, nil},
	{"a stranger on the same address cannot stop a peer", spoofed, nil},
	{"a completion is counted once", completions, nil},
	{"a leecher that has nothing left moves without completed", moves, nil},
	{"both families are one swarm for the counts", families, nil},
	{"a mapped IPv4 address is IPv4", mapped, nil},
	{"numwant is kept, 0 too, and capped", numwant, nil},
	{"port 0 is not remembered, but answered", portZero, nil},
	{"a silent peer expires", expires, nil},
	{"intervals: shorter without seeds, never below the least", intervals, nil},
	{"pinned origins are in every answer and count as seeds", pinned, nil},
	{"a protected swarm is remembered when it is empty", protected, nil},
	{"drop forgets", drops, nil},
	{"the cap of a swarm replaces the oldest", perSwarm, func(o *swarm.Options) { o.MaxPerSwarm = 20 }},
	{"the cap of an address replaces its oldest", perAddr, func(o *swarm.Options) { o.MaxPerAddr = 3 }},
	{"published swarms survive a flood of random hashes", flood, func(o *swarm.Options) { o.MaxSwarms, o.MaxPeers = 60, 200 }},
}

func countsOwn(u *run) {
	rep := u.tell(peer(1))
	if rep.Seeders != 0 || rep.Leechers != 1 || !rep.New || rep.Counted || rep.Moved {
		u.Fatalf("first leecher: %+v", rep)
	}
	rep = u.tell(seed(peer(2)))
	if rep.Seeders != 1 || rep.Leechers != 1 || rep.Completed != 0 {
		u.Fatalf("first seed: %+v", rep)
	}
	u.counts(hashA, 1, 1, 0)
	u.counts(hashB, 0, 0, 0)
}

func whoGets(u *run) {
	u.tell(peer(1))
	u.tell(peer(2))
	u.tell(seed(peer(3)))
	u.tell(seed(peer(4)))
	u.want(peer(1), peer(2), peer(3), peer(4))
	u.want(seed(peer(3)), peer(1), peer(2))
}

// want fails unless r is given exactly these peers.
func (u *run) want(r swarm.Request, others ...swarm.Request) {
	u.Helper()
	rep := u.tell(r)
	got := peers(u, &rep)
	for _, o := range others {
		if !got[o.Addr] {
			u.Fatalf("%v is not given %v, only %v", r.Addr, o.Addr, got)
		}
	}
	if len(got) != len(others) {
		u.Fatalf("%v is given %v", r.Addr, got)
	}
}

func paused(u *run) {
	u.tell(seed(peer(1)))
	u.tell(peer(2))
	u.want(with(peer(3), tracker.EventPaused), peer(2))
	u.counts(hashA, 1, 2, 0)
}

func sameAddress(u *run) {
	for _, e := range []tracker.Event{tracker.EventStarted, tracker.EventStarted, tracker.EventNone, tracker.EventPaused} {
		rep := u.tell(with(peer(1), e))
		if rep.Leechers != 1 {
			u.Fatalf("after %v: %d leechers", e, rep.Leechers)
		}
	}
	r := peer(1)
	r.Key, r.PeerID[3] = 77, 5
	if rep := u.tell(r); rep.Leechers != 1 || rep.New {
		u.Fatalf("another identity on the same address: %+v", rep)
	}
	r = peer(1)
	r.Addr = netip.AddrPortFrom(r.Addr.Addr(), 7000)
	if rep := u.tell(r); rep.Leechers != 2 {
		u.Fatalf("another port: %+v", rep)
	}
}

func stopped(u *run) {
	u.tell(peer(1))
	u.tell(seed(peer(2)))
	if rep := u.tell(with(peer(3), tracker.EventStopped)); rep.Removed || rep.Leechers != 1 {
		u.Fatalf("a stranger stops: %+v", rep)
	}
	if rep := u.tell(with(peer(1), tracker.EventStopped)); !rep.Removed || rep.Leechers != 0 || rep.Seeders != 1 || len(rep.Peers4) != 0 {
		u.Fatalf("a leecher stops: %+v", rep)
	}
	// What is left says nothing of the list where the entry is.
	if rep := u.tell(with(peer(2), tracker.EventStopped)); !rep.Removed || rep.Seeders != 0 {
		u.Fatalf("a seed stops: %+v", rep)
	}
	u.counts(hashA, 0, 0, 0)
	if rep := u.tell(with(peer(2), tracker.EventStopped)); rep.Removed {
		u.Fatalf("stops twice: %+v", rep)
	}
}

func spoofed(u *run) {
	u.tell(peer(1))
	r := with(peer(1), tracker.EventStopped)
	r.Key = 99
	if rep := u.tell(r); rep.Removed || rep.Leechers != 1 {
		u.Fatalf("another key stops: %+v", rep)
	}
	r.Event = tracker.EventStarted
	u.tell(r)
	r.Event = tracker.EventStopped
	if rep := u.tell(r); rep.Removed || rep.Leechers != 1 {
		u.Fatalf("another key starts and stops: %+v", rep)
	}
	// Without keys it is the peer id that tells them apart.
	p := peer(2)
	p.Key, p.PeerID = 0, [20]byte{7}
	u.tell(p)
	q := with(p, tracker.EventStopped)
	q.PeerID = [20]byte{8}
	if rep := u.tell(q); rep.Removed {
		u.Fatalf("another peer id stops: %+v", rep)
	}
	if rep := u.tell(with(p, tracker.EventStopped)); !rep.Removed {
		u.Fatalf("the peer itself does not stop: %+v", rep)
	}
	// After the owner missed its announces, who has the address now is the owner.
	u.now = u.now.Add(20 * time.Minute)
	r.Event = tracker.EventNone
	u.tell(r)
	r.Event = tracker.EventStopped
	if rep := u.tell(r); !rep.Removed {
		u.Fatalf("the address's new owner does not stop: %+v", rep)
	}
}

func completions(u *run) {
	done := with(seed(peer(1)), tracker.EventCompleted)
	u.tell(peer(1))
	if rep := u.tell(done); !rep.Counted || !rep.Moved || rep.Completed != 1 || rep.Seeders != 1 || rep.Leechers != 0 {
		u.Fatalf("completed: %+v", rep)
	}
	if rep := u.tell(done); rep.Counted || rep.Completed != 1 {
		u.Fatalf("completed twice: %+v", rep)
	}
	u.tell(with(seed(peer(1)), tracker.EventStopped))
	if rep := u.tell(done); rep.Completed != 1 {
		u.Fatalf("completed, stopped, completed: %+v", rep)
	}
	// The tracker may not have heard of the start.
	if rep := u.tell(with(seed(peer(2)), tracker.EventCompleted)); !rep.Counted || rep.Completed != 2 {
		u.Fatalf("completed as the first announce: %+v", rep)
	}
	// The same client on its other address.
	if rep := u.tell(with(seed(peer6(2)), tracker.EventCompleted)); rep.Counted || rep.Completed != 2 {
		u.Fatalf("completed on the other family: %+v", rep)
	}
	if rep := u.tell(seed(peer(3))); rep.Counted || rep.Completed != 2 {
		u.Fatalf("a seed that never was a leecher: %+v", rep)
	}
	if rep := u.tell(with(peer(4), tracker.EventCompleted)); rep.Counted || rep.Leechers != 1 {
		u.Fatalf("completed with something left: %+v", rep)
	}
}

func moves(u *run) {
	u.tell(peer(1))
	if rep := u.tell(seed(peer(1))); !rep.Moved || !rep.Counted || rep.Seeders != 1 || rep.Leechers != 0 {
		u.Fatalf("left = 0: %+v", rep)
	}
	if rep := u.tell(with(seed(peer(1)), tracker.EventCompleted)); rep.Counted || rep.Completed != 1 {
		u.Fatalf("completed after left = 0: %+v", rep)
	}
	if rep := u.tell(peer(1)); rep.Moved || rep.Seeders != 0 || rep.Leechers != 1 {
		u.Fatalf("back to a leecher: %+v", rep)
	}
	if rep := u.tell(seed(peer(1))); rep.Counted || rep.Completed != 1 {
		u.Fatalf("complete again: %+v", rep)
	}
}

func families(u *run) {
	u.tell(peer(1))
	u.tell(peer6(2))
	u.tell(seed(peer6(3)))
	u.counts(hashA, 1, 2, 0)
	u.want(peer(4), peer(1), peer6(2), peer6(3))
	r := peer6(5)
	r.Want4 = false
	u.want(r, peer6(2), peer6(3))
	r.Want4, r.Want6 = true, false
	u.want(r, peer(1), peer(4))
}

func mapped(u *run) {
	u.tell(peer(1))
	r := peer(1)
	r.Addr = netip.AddrPortFrom(netip.AddrFrom16(r.Addr.Addr().As16()), r.Addr.Port())
	if rep := u.tell(r); rep.Leechers != 1 {
		u.Fatalf("%v: %+v", r.Addr, rep)
	}
}

func numwant(u *run) {
	for i := range 300 {
		u.tell(peer(i))
	}
	for _, c := range []struct{ ask, get int }{{0, 0}, {1, 1}, {7, 7}, {-1, 50}, {100, 100}, {250, 100}} {
		r := peer(0)
		r.NumWant = c.ask
		rep := u.tell(r)
		if n := len(peers(u, &rep)); n != c.get {
			u.Errorf("numwant %d: %d peers, want %d", c.ask, n, c.get)
		}
	}
}

func portZero(u *run) {
	u.tell(peer(1))
	r := peer(2)
	r.Addr = netip.AddrPortFrom(r.Addr.Addr(), 0)
	var rep swarm.Reply
	if err := u.s.Announce(u.now, &r, &rep); !errors.Is(err, swarm.ErrAddr) || rep.Leechers != 1 || rep.Interval <= 0 || len(rep.Peers4) != 6 {
		u.Fatalf("port 0: %v, %+v", err, rep)
	}
	u.counts(hashA, 0, 1, 0)
}

func expires(u *run) {
	u.tell(peer(1))
	u.tell(peer6(2))
	u.now = u.now.Add(20 * time.Minute)
	u.tell(peer6(2))
	u.tell(seed(peer(3)))
	u.now = u.now.Add(11 * time.Minute)
	// On touch.
	u.want(peer(4), peer6(2), seed(peer(3)))
	u.counts(hashA, 1, 2, 0)
	// By the sweep.
	u.now = u.now.Add(31 * time.Minute)
	seen, gone := u.s.Sweep(u.now, 0)
	if seen != 3 || gone != 3 {
		u.Fatalf("the sweep saw %d, took %d", seen, gone)
	}
	if _, _, _, ok := u.s.Scrape(u.now, hashA); ok {
		u.Fatal("an empty swarm is remembered")
	}
}

func intervals(u *run) {
	const base = 10 * time.Minute
	within := func(d time.Duration, num, den time.Duration) bool {
		mid := base * num / den
		return d >= mid*9/10-time.Second && d <= mid*11/10+time.Second && d%time.Second == 0
	}
	spread := map[time.Duration]bool{}
	for range 50 {
		rep := u.tell(peer(1))
		if !within(rep.Interval, 1, 3) || rep.MinInterval > rep.Interval || rep.MinInterval <= 0 {
			u.Fatalf("without seeds: %v, at least %v", rep.Interval, rep.MinInterval)
		}
	}
	u.tell(seed(peer(2)))
	for range 50 {
		rep := u.tell(peer(1))
		if !within(rep.Interval, 1, 1) {
			u.Fatalf("with a seed: %v", rep.Interval)
		}
		spread[rep.Interval] = true
	}
	if len(spread) < 10 {
		u.Errorf("%d different intervals in 50 answers", len(spread))
	}
}

func pinned(u *run) {
	v4, v6 := netip.MustParseAddrPort("192.0.2.1:6881"), netip.MustParseAddrPort("[2001:db8:ffff::1]:6881")
	if err := u.s.Pin(hashA, v4, v6); err != nil {
		u.Fatal(err)
	}
	u.check()
	u.counts(hashA, 1, 0, 0) // one machine, by both families
	for i := range 200 {
		r := peer(i)
		r.NumWant = 2
		rep := u.tell(r)
		if got := peers(u, &rep); !got[v4] || !got[v6] || len(got) != 2 {
			u.Fatalf("peer %d is given %v", i, got)
		}
	}
	rep := u.tell(seed(peer(3)))
	if got := peers(u, &rep); got[v4] || got[v6] {
		u.Fatal("a seed is given an origin")
	}
	// The origin announces as well: it is there once.
	r := seed(peer(1000))
	r.Addr = v4
	if rep := u.tell(r); rep.Seeders != 2 || rep.New {
		u.Fatalf("the origin announces: %+v", rep)
	}
	u.tell(with(r, tracker.EventStopped))
	u.counts(hashA, 2, 199, 1)
	u.s.Unpin(hashA)
	u.check()
	u.counts(hashA, 1, 199, 1)
	// It was a peer before it is pinned.
	u.tell(r)
	u.counts(hashA, 2, 199, 1)
	if err := u.s.Pin(hashA, v4); err != nil {
		u.Fatal(err)
	}
	u.check()
	u.counts(hashA, 2, 199, 1)
	if err := u.s.Pin(hashA, netip.AddrPort{}); err == nil {
		u.Error("an origin without an address is taken")
	}
}

func protected(u *run) {
	if err := u.s.Protect(hashA); err != nil {
		u.Fatal(err)
	}
	u.tell(peer(1))
	u.tell(with(peer(1), tracker.EventStopped))
	u.s.Sweep(u.now.Add(time.Hour), 0)
	u.check()
	if _, _, _, ok := u.s.Scrape(u.now, hashA); !ok {
		u.Fatal("forgotten")
	}
	u.s.Unprotect(hashA)
	u.check()
	if _, _, _, ok := u.s.Scrape(u.now, hashA); ok {
		u.Fatal("remembered without protection")
	}
}

func drops(u *run) {
	for i := range 300 {
		u.tell(peer(i))
	}
	r := peer(1)
	r.InfoHash = hashB
	u.tell(r)
	u.s.Drop(hashA)
	u.check()
	u.counts(hashA, 0, 0, 0)
	u.counts(hashB, 0, 1, 0)
}

func perSwarm(u *run) {
	for i := range 20 {
		u.tell(peer(i))
		u.now = u.now.Add(10 * time.Second)
	}
	rep := u.tell(peer(100))
	if got := peers(u, &rep); rep.Leechers != 20 || got[peer(0).Addr] || !got[peer(1).Addr] {
		u.Fatalf("%d leechers, with the oldest: %v", rep.Leechers, got[peer(0).Addr])
	}
}

func perAddr(u *run) {
	u.tell(peer(5))
	for i := range 10 {
		r := peer(1)
		r.Addr = netip.AddrPortFrom(r.Addr.Addr(), uint16(1000+i))
		u.tell(r)
		u.now = u.now.Add(10 * time.Second)
	}
	rep := u.tell(peer(6))
	got := peers(u, &rep)
	if len(got) != 4 || !got[netip.AddrPortFrom(peer(1).Addr.Addr(), 1009)] {
		u.Fatalf("given %v", got)
	}
	// On loopback, where tests and proxies are, it does not hold.
	for i := range 300 {
		r := peer(1)
		r.InfoHash = hashB
		r.Addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(1000+i))
		u.tell(r)
	}
	u.counts(hashB, 0, 300, 0)
}

func flood(u *run) {
	if err := u.s.Protect(hashA); err != nil {
		u.Fatal(err)
	}
	if err := u.s.Pin(hashB, netip.MustParseAddrPort("192.0.2.1:1")); err != nil {
		u.Fatal(err)
	}
	for i := range 100 {
		u.tell(peer(i))
	}
	for i := range 5000 {
		r := peer(1000 + i)
		r.InfoHash = [20]byte{0: byte(i), 1: byte(i >> 8), 19: 1}
		var rep swarm.Reply
		if err := u.s.Announce(u.now, &r, &rep); err != nil && !errors.Is(err, swarm.ErrFull) {
			u.Fatal(err)
		}
	}
	u.check()
	u.counts(hashA, 0, 100, 0)
	u.counts(hashB, 1, 0, 0)
	for i := range 100 { // there is still room for who is published
		u.tell(peer(200 + i))
	}
	u.counts(hashA, 0, 200, 0)
}

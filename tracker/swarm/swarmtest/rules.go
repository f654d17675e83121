package swarmtest

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"spate/tracker"
	"spate/tracker/swarm"
)

// Run tests the rules of a store, each with a new store from open, which must close the
// store at the end of the test.
func Run(t *testing.T, open func(t testing.TB, o swarm.Options) swarm.Store) {
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
	{"the counts in a reply include the announcing peer", countsOwn, nil},
	{"peers do not get themselves, leechers get all others, seeds get leechers", sampledPeers, nil},
	{"a partial seed counts as a leecher and gets no seeds", paused, nil},
	{"an address has one entry, whatever the event", sameAddress, nil},
	{"stopped removes the peer, if it has an entry", stopped, nil},
	{"another identity at the same address cannot stop a peer", spoofed, nil},
	{"a completion is counted once", completions, nil},
	{"a leecher with nothing left becomes a seed without the event completed", moves, nil},
	{"the counts include both address families", families, nil},
	{"a mapped IPv4 address is IPv4", mapped, nil},
	{"numwant is respected, including 0, and limited", numwant, nil},
	{"an announce with port 0 is answered but not stored", portZero, nil},
	{"a peer that stops announcing expires", expires, nil},
	{"intervals are shorter without seeds, but not below the minimum", intervals, nil},
	{"pinned origins are in every reply and count as seeds", pinned, nil},
	{"a protected swarm is kept when it is empty", protected, nil},
	{"drop removes a swarm", drops, nil},
	{"a seed that seeks gets seeds", seeks, nil},
	{"the completion counter can be raised but not lowered", raises, nil},
	{"totals and lists of swarms agree with the announces", overview, nil},
	{"peers without an address are counted and not handed out", countsSockets, nil},
	{"peers without an address keep the swarm until they leave", keepsSockets, nil},
	{"a completion of a peer without an address is counted once", completesSockets, nil},
	{"options include defaults", defaults, nil},
	{"a full swarm replaces its oldest entry", perSwarm, func(o *swarm.Options) { o.MaxPerSwarm = 20 }},
	{"an address with too many entries replaces its oldest entry", perAddr, func(o *swarm.Options) { o.MaxPerAddr = 3 }},
	{"protected swarms survive a flood of random info-hashes", flood, func(o *swarm.Options) { o.MaxSwarms, o.MaxPeers = 60, 200 }},
}

func countsOwn(u *run) {
	rep := u.announce(peer(1))
	if rep.Seeders != 0 || rep.Leechers != 1 || !rep.New || rep.Counted || rep.Moved {
		u.Fatalf("first leecher: %+v", rep)
	}
	rep = u.announce(seed(peer(2)))
	if rep.Seeders != 1 || rep.Leechers != 1 || rep.Completed != 0 {
		u.Fatalf("first seed: %+v", rep)
	}
	u.counts(hashA, 1, 1, 0)
	u.counts(hashB, 0, 0, 0)
}

func sampledPeers(u *run) {
	u.announce(peer(1))
	u.announce(peer(2))
	u.announce(seed(peer(3)))
	u.announce(seed(peer(4)))
	u.want(peer(1), peer(2), peer(3), peer(4))
	u.want(seed(peer(3)), peer(1), peer(2))
}

// want fails the test unless the reply to r has exactly these peers.
func (u *run) want(r swarm.Request, others ...swarm.Request) {
	u.Helper()
	rep := u.announce(r)
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
	u.announce(seed(peer(1)))
	u.announce(peer(2))
	u.want(with(peer(3), tracker.EventPaused), peer(2))
	u.counts(hashA, 1, 2, 0)
}

func sameAddress(u *run) {
	for _, e := range []tracker.Event{tracker.EventStarted, tracker.EventStarted, tracker.EventNone, tracker.EventPaused} {
		rep := u.announce(with(peer(1), e))
		if rep.Leechers != 1 {
			u.Fatalf("after %v: %d leechers", e, rep.Leechers)
		}
	}
	r := peer(1)
	r.Key, r.PeerID[3] = 77, 5
	if rep := u.announce(r); rep.Leechers != 1 || rep.New {
		u.Fatalf("another identity on the same address: %+v", rep)
	}
	r = peer(1)
	r.Addr = netip.AddrPortFrom(r.Addr.Addr(), 7000)
	if rep := u.announce(r); rep.Leechers != 2 {
		u.Fatalf("another port: %+v", rep)
	}
}

func stopped(u *run) {
	u.announce(peer(1))
	u.announce(seed(peer(2)))
	if rep := u.announce(with(peer(3), tracker.EventStopped)); rep.Removed || rep.Leechers != 1 {
		u.Fatalf("an unknown peer stops: %+v", rep)
	}
	if rep := u.announce(with(peer(1), tracker.EventStopped)); !rep.Removed || rep.Leechers != 0 || rep.Seeders != 1 || len(rep.Peers4) != 0 {
		u.Fatalf("a leecher stops: %+v", rep)
	}
	// Seed is not set, although the entry is in the list of seeds.
	if rep := u.announce(with(peer(2), tracker.EventStopped)); !rep.Removed || rep.Seeders != 0 {
		u.Fatalf("a seed stops: %+v", rep)
	}
	u.counts(hashA, 0, 0, 0)
	if rep := u.announce(with(peer(2), tracker.EventStopped)); rep.Removed {
		u.Fatalf("stops twice: %+v", rep)
	}
}

func spoofed(u *run) {
	u.announce(peer(1))
	r := with(peer(1), tracker.EventStopped)
	r.Key = 99
	if rep := u.announce(r); rep.Removed || rep.Leechers != 1 {
		u.Fatalf("another key stops: %+v", rep)
	}
	r.Event = tracker.EventStarted
	u.announce(r)
	r.Event = tracker.EventStopped
	if rep := u.announce(r); rep.Removed || rep.Leechers != 1 {
		u.Fatalf("another key starts and stops: %+v", rep)
	}
	// Without keys the peer ids are compared.
	p := peer(2)
	p.Key, p.PeerID = 0, [20]byte{7}
	u.announce(p)
	q := with(p, tracker.EventStopped)
	q.PeerID = [20]byte{8}
	if rep := u.announce(q); rep.Removed {
		u.Fatalf("another peer id stops: %+v", rep)
	}
	if rep := u.announce(with(p, tracker.EventStopped)); !rep.Removed {
		u.Fatalf("the peer itself does not stop: %+v", rep)
	}
	// After the owner has missed its announces, the current identity at the address is
	// the owner.
	u.now = u.now.Add(20 * time.Minute)
	r.Event = tracker.EventNone
	u.announce(r)
	r.Event = tracker.EventStopped
	if rep := u.announce(r); !rep.Removed {
		u.Fatalf("the new owner of the address does not stop: %+v", rep)
	}
}

func completions(u *run) {
	done := with(seed(peer(1)), tracker.EventCompleted)
	u.announce(peer(1))
	if rep := u.announce(done); !rep.Counted || !rep.Moved || rep.Completed != 1 || rep.Seeders != 1 || rep.Leechers != 0 {
		u.Fatalf("completed: %+v", rep)
	}
	if rep := u.announce(done); rep.Counted || rep.Completed != 1 {
		u.Fatalf("completed twice: %+v", rep)
	}
	u.announce(with(seed(peer(1)), tracker.EventStopped))
	if rep := u.announce(done); rep.Completed != 1 {
		u.Fatalf("completed, stopped, completed: %+v", rep)
	}
	// The tracker may not have received the event started.
	if rep := u.announce(with(seed(peer(2)), tracker.EventCompleted)); !rep.Counted || rep.Completed != 2 {
		u.Fatalf("completed as the first announce: %+v", rep)
	}
	// The same client at its address of the other family.
	if rep := u.announce(with(seed(peer6(2)), tracker.EventCompleted)); rep.Counted || rep.Completed != 2 {
		u.Fatalf("completed on the other family: %+v", rep)
	}
	if rep := u.announce(seed(peer(3))); rep.Counted || rep.Completed != 2 {
		u.Fatalf("a seed that never was a leecher: %+v", rep)
	}
	if rep := u.announce(with(peer(4), tracker.EventCompleted)); rep.Counted || rep.Leechers != 1 {
		u.Fatalf("completed with something left: %+v", rep)
	}
}

func moves(u *run) {
	u.announce(peer(1))
	if rep := u.announce(seed(peer(1))); !rep.Moved || !rep.Counted || rep.Seeders != 1 || rep.Leechers != 0 {
		u.Fatalf("left = 0: %+v", rep)
	}
	if rep := u.announce(with(seed(peer(1)), tracker.EventCompleted)); rep.Counted || rep.Completed != 1 {
		u.Fatalf("completed after left = 0: %+v", rep)
	}
	if rep := u.announce(peer(1)); rep.Moved || rep.Seeders != 0 || rep.Leechers != 1 {
		u.Fatalf("back to a leecher: %+v", rep)
	}
	if rep := u.announce(seed(peer(1))); rep.Counted || rep.Completed != 1 {
		u.Fatalf("complete again: %+v", rep)
	}
}

func families(u *run) {
	u.announce(peer(1))
	u.announce(peer6(2))
	u.announce(seed(peer6(3)))
	u.counts(hashA, 1, 2, 0)
	u.want(peer(4), peer(1), peer6(2), peer6(3))
	r := peer6(5)
	r.Want4 = false
	u.want(r, peer6(2), peer6(3))
	r.Want4, r.Want6 = true, false
	u.want(r, peer(1), peer(4))
}

func mapped(u *run) {
	u.announce(peer(1))
	r := peer(1)
	r.Addr = netip.AddrPortFrom(netip.AddrFrom16(r.Addr.Addr().As16()), r.Addr.Port())
	if rep := u.announce(r); rep.Leechers != 1 {
		u.Fatalf("%v: %+v", r.Addr, rep)
	}
}

func numwant(u *run) {
	for i := range 300 {
		u.announce(peer(i))
	}
	for _, c := range []struct{ ask, get int }{{0, 0}, {1, 1}, {7, 7}, {-1, 50}, {100, 100}, {250, 100}} {
		r := peer(0)
		r.NumWant = c.ask
		rep := u.announce(r)
		if n := len(peers(u, &rep)); n != c.get {
			u.Errorf("numwant %d: %d peers, want %d", c.ask, n, c.get)
		}
	}
}

func portZero(u *run) {
	u.announce(peer(1))
	r := peer(2)
	r.Addr = netip.AddrPortFrom(r.Addr.Addr(), 0)
	var rep swarm.Reply
	if err := u.s.Announce(u.now, &r, &rep); !errors.Is(err, swarm.ErrAddr) || rep.Leechers != 1 || rep.Interval <= 0 || len(rep.Peers4) != 6 {
		u.Fatalf("port 0: %v, %+v", err, rep)
	}
	u.counts(hashA, 0, 1, 0)
}

func expires(u *run) {
	u.announce(peer(1))
	u.announce(peer6(2))
	u.now = u.now.Add(20 * time.Minute)
	u.announce(peer6(2))
	u.announce(seed(peer(3)))
	u.now = u.now.Add(11 * time.Minute)
	// An announce to the swarm removes expired entries.
	u.want(peer(4), peer6(2), seed(peer(3)))
	u.counts(hashA, 1, 2, 0)
	// A sweep removes expired entries.
	u.now = u.now.Add(31 * time.Minute)
	seen, gone := u.s.Sweep(u.now, 0)
	if seen != 3 || gone != 3 {
		u.Fatalf("the sweep examined %d and removed %d", seen, gone)
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
		rep := u.announce(peer(1))
		if !within(rep.Interval, 1, 3) || rep.MinInterval > rep.Interval || rep.MinInterval <= 0 {
			u.Fatalf("without seeds: %v, at least %v", rep.Interval, rep.MinInterval)
		}
	}
	u.announce(seed(peer(2)))
	for range 50 {
		rep := u.announce(peer(1))
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
	u.counts(hashA, 1, 0, 0) // both addresses count as one seed
	for i := range 200 {
		r := peer(i)
		r.NumWant = 2
		rep := u.announce(r)
		if got := peers(u, &rep); !got[v4] || !got[v6] || len(got) != 2 {
			u.Fatalf("peer %d gets %v", i, got)
		}
	}
	rep := u.announce(seed(peer(3)))
	if got := peers(u, &rep); got[v4] || got[v6] {
		u.Fatal("a seed gets an origin")
	}
	// If the origin also announces, it is not added again.
	r := seed(peer(1000))
	r.Addr = v4
	if rep := u.announce(r); rep.Seeders != 2 || rep.New {
		u.Fatalf("the origin announces: %+v", rep)
	}
	u.announce(with(r, tracker.EventStopped))
	u.counts(hashA, 2, 199, 1)
	u.s.Unpin(hashA)
	u.check()
	u.counts(hashA, 1, 199, 1)
	// The origin was a peer before it was pinned.
	u.announce(r)
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
	u.announce(peer(1))
	u.announce(with(peer(1), tracker.EventStopped))
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

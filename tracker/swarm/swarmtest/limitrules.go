package swarmtest

import (
	"errors"
	"net/netip"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

func drops(u *run) {
	for i := range 300 {
		u.announce(peer(i))
	}
	r := peer(1)
	r.InfoHash = hashB
	u.announce(r)
	u.s.Drop(hashA)
	u.check()
	u.counts(hashA, 0, 0, 0)
	u.counts(hashB, 0, 1, 0)
}

func seeks(u *run) {
	u.announce(seed(peer(1)))
	u.announce(peer(2))
	r := seed(peer(3))
	r.Seeking = true
	u.want(r, peer(1), peer(2))
}

func raises(u *run) {
	for _, c := range []struct{ set, want uint32 }{{5, 5}, {3, 5}, {6, 6}} {
		if err := u.s.SetCompleted(hashA, c.set); err != nil {
			u.Fatal(err)
		}
		u.check()
		u.counts(hashA, 0, 0, c.want)
	}
	if rep := u.announce(with(seed(peer(1)), tracker.EventCompleted)); !rep.Counted || rep.Completed != 7 {
		u.Fatalf("completed: %+v", rep)
	}
}

func overview(u *run) {
	u.announce(with(seed(peer(1)), tracker.EventCompleted))
	u.announce(peer(2))
	for n := range 3 {
		r := peer6(n)
		r.InfoHash = hashB
		u.announce(r)
	}
	hashC := spate.InfoHash{0xcc, 3}
	if err := u.s.Pin(hashC, netip.MustParseAddrPort("192.0.2.1:6881")); err != nil {
		u.Fatal(err)
	}
	u.check()
	want := map[spate.InfoHash]swarm.Stats{
		hashA: {InfoHash: hashA, Seeders: 1, Leechers: 1, Completed: 1},
		hashB: {InfoHash: hashB, Leechers: 3, Peers6: 3},
		hashC: {InfoHash: hashC, Seeders: 1, Protected: true},
	}
	n := 0
	for st := range u.s.All() {
		n++
		if st != want[st.InfoHash] {
			u.Errorf("a swarm is %+v, want %+v", st, want[st.InfoHash])
		}
	}
	if n != len(want) {
		u.Errorf("%d swarms, want %d", n, len(want))
	}
	busiest := u.s.Busiest(2)
	if len(busiest) != 2 || busiest[0] != want[hashB] || busiest[1] != want[hashA] {
		u.Errorf("the busiest swarms are %+v", busiest)
	}
	tot := u.s.Totals()
	tot.Bytes = 0
	if (tot != swarm.Totals{Swarms: 3, Active: 3, Protected: 1, Seeders4: 1, Leechers4: 1, Leechers6: 3, Pinned: 1, Completed: 1}) {
		u.Errorf("totals: %+v", tot)
	}
	if err := u.s.Protect(hashA); err != nil {
		u.Fatal(err)
	}
	u.s.Unpin(hashC)
	u.now = u.now.Add(31 * time.Minute)
	u.s.Sweep(u.now, 0)
	u.check()
	tot = u.s.Totals()
	tot.Bytes = 0
	if (tot != swarm.Totals{Swarms: 2, Protected: 2, Completed: 1, Expired: 5}) {
		u.Errorf("totals after all peers have expired: %+v", tot)
	}
	if busiest := u.s.Busiest(10); len(busiest) != 0 {
		u.Errorf("swarms without peers are busy: %+v", busiest)
	}
}

func defaults(u *run) {
	o := u.s.Options()
	if o.Interval != 10*time.Minute || o.NumWant != 50 || o.MaxNumWant != 100 || o.MinInterval <= 0 || o.MinInterval > o.Interval || o.Expire != 30*time.Minute {
		u.Errorf("%+v", o)
	}
}

func perSwarm(u *run) {
	for i := range 20 {
		u.announce(peer(i))
		u.now = u.now.Add(10 * time.Second)
	}
	rep := u.announce(peer(100))
	if got := peers(u, &rep); rep.Leechers != 20 || got[peer(0).Addr] || !got[peer(1).Addr] {
		u.Fatalf("%d leechers, with the oldest: %v", rep.Leechers, got[peer(0).Addr])
	}
}

func perAddr(u *run) {
	u.announce(peer(5))
	for i := range 10 {
		r := peer(1)
		r.Addr = netip.AddrPortFrom(r.Addr.Addr(), uint16(1000+i))
		u.announce(r)
		u.now = u.now.Add(10 * time.Second)
	}
	rep := u.announce(peer(6))
	got := peers(u, &rep)
	if len(got) != 4 || !got[netip.AddrPortFrom(peer(1).Addr.Addr(), 1009)] {
		u.Fatalf("given %v", got)
	}
	// The limit does not apply to loopback, where tests and proxies are.
	for i := range 300 {
		r := peer(1)
		r.InfoHash = hashB
		r.Addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(1000+i))
		u.announce(r)
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
		u.announce(peer(i))
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
	for i := range 100 { // a protected swarm still gets new entries
		u.announce(peer(200 + i))
	}
	u.counts(hashA, 0, 200, 0)
}

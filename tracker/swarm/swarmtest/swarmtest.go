// Package swarmtest tests implementations of [swarm.Store]: [Run] tests the rules one by
// one, and [Property] compares a store with a simple model in random sequences. If a store
// has a method Check() error, it is called after every step.
package swarmtest

import (
	"net/netip"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

// Options returns the options of the stores under test, unless a test changes them.
func Options() swarm.Options {
	return swarm.Options{Shards: 2, Interval: 10 * time.Minute, Expire: 30 * time.Minute, Seed: [16]byte{1}}
}

// failer is the common part of testing.TB and rapid.T.
type failer interface {
	Helper()
	Error(...any)
	Errorf(string, ...any)
	Fatal(...any)
	Fatalf(string, ...any)
}

// run is a test of one store. It holds the current time of the test.
type run struct {
	failer
	s   swarm.Store
	now time.Time
	// quick disables the check after each announce.
	quick bool
}

var (
	hashA = spate.InfoHash{0xaa, 1}
	hashB = spate.InfoHash{0xbb, 2}
)

// peer returns the request of leecher n at its own IPv4 address, which wants as many
// peers as possible.
func peer(n int) swarm.Request {
	return swarm.Request{
		InfoHash: hashA,
		Key:      uint32(n + 1),
		Addr:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 6881),
		NumWant:  100, Want4: true, Want6: true,
	}
}

func peer6(n int) swarm.Request {
	r := peer(n)
	r.Addr = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 4: byte(n >> 8), 5: byte(n), 15: 1}), 6881)
	return r
}

func seed(r swarm.Request) swarm.Request { r.Seed = true; return r }

func with(r swarm.Request, e tracker.Event) swarm.Request { r.Event = e; return r }

// announce announces r and returns the reply, after checking what holds for every
// reply.
func (u *run) announce(r swarm.Request) swarm.Reply {
	u.Helper()
	var rep swarm.Reply
	if err := u.s.Announce(u.now, &r, &rep); err != nil {
		u.Fatalf("announce of %v: %v", r.Addr, err)
	}
	if !u.quick {
		u.check()
	}
	peers(u, &rep)
	return rep
}

func (u *run) check() {
	u.Helper()
	if c, ok := u.s.(interface{ Check() error }); ok {
		if err := c.Check(); err != nil {
			u.Fatal(err)
		}
	}
}

// counts fails the test unless the store has these counts for ih.
func (u *run) counts(ih spate.InfoHash, seeders, leechers, completed uint32) {
	u.Helper()
	s, l, c, _ := u.s.Scrape(u.now, ih)
	if s != seeders || l != leechers || c != completed {
		u.Fatalf("scrape: %d seeders, %d leechers, %d completed; want %d, %d, %d", s, l, c, seeders, leechers, completed)
	}
}

// peers decodes the peers of a reply. It fails the test if a peer occurs twice.
func peers(t failer, rep *swarm.Reply) map[netip.AddrPort]bool {
	t.Helper()
	list, err := spate.AppendPeers4(nil, rep.Peers4)
	if err == nil {
		list, err = spate.AppendPeers6(list, rep.Peers6)
	}
	if err != nil {
		t.Fatal(err)
	}
	set := map[netip.AddrPort]bool{}
	for _, p := range list {
		if set[p] {
			t.Fatalf("%v is twice in a reply", p)
		}
		set[p] = true
	}
	return set
}

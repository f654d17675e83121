package swarm_test

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"spate/tracker"
	"spate/tracker/swarm"
)

// told announces r at the given time and returns the interval of the answer.
func told(t *testing.T, tab *swarm.Table, at time.Duration, r *swarm.Request) swarm.Reply {
	t.Helper()
	var rep swarm.Reply
	if err := tab.Announce(start.Add(at), r, &rep); err != nil {
		t.Fatal(err)
	}
	least := time.Minute
	if rep.New || rep.Seeders+rep.Leechers == 1 {
		least = 10 * time.Second
	}
	if rep.MinInterval > rep.Interval || rep.MinInterval < least {
		t.Fatalf("interval %v, min interval %v", rep.Interval, rep.MinInterval)
	}
	return rep
}

// TestIntervalFollowsTheSwarm checks the interval of swarms of different ages and sizes.
func TestIntervalFollowsTheSwarm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		peers    int
		quiet    time.Duration // since the last peer joined
		seeds    bool
		blocked  bool
		low, top time.Duration
	}{
		{"young and small", 2, 0, true, false, 80 * time.Second, 100 * time.Second},
		{"young, peers cannot connect", 2, 0, true, true, time.Minute, 67 * time.Second},
		{"young, peers cannot connect, larger", 32, 0, true, true, 3 * time.Minute, 5 * time.Minute},
		{"small, some time without newcomers", 2, 20 * time.Minute, true, false, 4 * time.Minute, 6 * time.Minute},
		{"small, the same, peers cannot connect", 2, 20 * time.Minute, true, true, time.Minute, 67 * time.Second},
		{"small and old", 2, 20 * time.Hour, true, false, 9 * time.Minute, 11 * time.Minute},
		{"small, old, without seeds", 2, 20 * time.Hour, false, false, 9 * time.Minute, 11 * time.Minute},
		{"old", 30, 20 * time.Hour, true, false, 27 * time.Minute, 33 * time.Minute},
		{"old, without seeds", 30, 20 * time.Hour, false, false, 9 * time.Minute, 11 * time.Minute},
		{"old, peers cannot connect", 30, 20 * time.Hour, true, true, 27 * time.Minute, 33 * time.Minute},
		{"young and large", 200, 0, true, false, 27 * time.Minute, 33 * time.Minute},
		{"very large", 3000, 0, true, false, 32 * time.Minute, 40 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tab := open(t, swarm.Options{})
			var r swarm.Request
			for i := range c.peers {
				r = swarm.Request{Addr: addr4(i), Key: uint32(i + 1), Seed: c.seeds && i == 0}
				told(t, tab, 0, &r)
			}
			for at := time.Duration(0); at < c.quiet; at += 10 * time.Minute { // nobody expires
				for i := range c.peers {
					r = swarm.Request{Addr: addr4(i), Key: uint32(i + 1), Seed: c.seeds && i == 0}
					told(t, tab, at, &r)
				}
			}
			r.Blocked = c.blocked
			if rep := told(t, tab, c.quiet, &r); rep.Interval < c.low || rep.Interval > c.top {
				t.Errorf("%v, want %v to %v", rep.Interval, c.low, c.top)
			}
		})
	}
}

// TestPeersThatJoinTogetherAreToldToComeBackSoon checks the intervals of peers that have just joined
// a swarm, and of one that is alone.
func TestPeersThatJoinTogetherAreToldToComeBackSoon(t *testing.T) {
	t.Parallel()
	const soon, alone = 10 * time.Second, 30 * time.Second
	peer := func(i int) *swarm.Request { return &swarm.Request{Addr: addr4(i), Key: uint32(i + 1)} }
	check := func(what string, rep swarm.Reply, want time.Duration) {
		t.Helper()
		if rep.Interval < want-want/10-time.Second || rep.Interval > want+want/10+time.Second || rep.MinInterval > want || rep.MinInterval < min(want, time.Minute) {
			t.Errorf("%s is told %v, at least %v; want %v", what, rep.Interval, rep.MinInterval, want)
		}
	}
	tab := open(t, swarm.Options{})
	for i := range 8 {
		check("a new peer", told(t, tab, 0, peer(i)), soon)
	}
	check("a new peer of a larger swarm", told(t, tab, 0, peer(8)), 9*90*time.Second/8)
	check("a peer that comes back", told(t, tab, soon, peer(0)), 9*90*time.Second/8)

	lonely := open(t, swarm.Options{})
	check("a new peer that is alone", told(t, lonely, 0, peer(0)), soon)
	check("a peer that is alone", told(t, lonely, soon, peer(0)), alone)
	check("a peer that is alone after two minutes", told(t, lonely, 2*time.Minute, peer(0)), alone)
	check("a peer that is alone after five minutes", told(t, lonely, 5*time.Minute, peer(0)), 90*time.Second)

	set := open(t, swarm.Options{Budget: 500, MinInterval: time.Minute})
	check("a new peer, by the operator's min interval,", told(t, set, 0, peer(0)), time.Minute)

	busy := open(t, swarm.Options{Budget: 1})
	other := swarm.Request{}
	for i := range 200 {
		hashNo(&other, i)
		other.Addr, other.Key = addr4(i), 1
		told(t, busy, 0, &other)
	}
	if rep := told(t, busy, 0, peer(0)); rep.Interval < 200*time.Second {
		t.Errorf("a new peer at a tracker of 200 peers and a budget of one announce a second is told %v", rep.Interval)
	}
}

// TestBlockedPeerShortensTheIntervalOfOthers checks that the other peers of a swarm are asked to
// announce soon too, for a while.
func TestBlockedPeerShortensTheIntervalOfOthers(t *testing.T) {
	t.Parallel()
	tab := open(t, swarm.Options{})
	seed := swarm.Request{Addr: addr4(1), Key: 1, Seed: true}
	peer := swarm.Request{Addr: addr4(2), Key: 2}
	for at := time.Duration(0); at <= 20*time.Minute; at += 10 * time.Minute {
		told(t, tab, at, &seed)
		told(t, tab, at, &peer)
	}
	if rep := told(t, tab, 20*time.Minute, &seed); rep.Interval < 4*time.Minute {
		t.Fatalf("before: %v", rep.Interval)
	}
	peer.Blocked = true
	told(t, tab, 20*time.Minute, &peer)
	if rep := told(t, tab, 21*time.Minute, &seed); rep.Interval > 70*time.Second {
		t.Errorf("after the announce of a blocked peer: %v", rep.Interval)
	}
	if rep := told(t, tab, 31*time.Minute, &seed); rep.Interval < 4*time.Minute {
		t.Errorf("ten minutes after: %v", rep.Interval)
	}
}

// TestFixedIntervalStays checks that an interval that the operator sets does not follow the swarm.
func TestFixedIntervalStays(t *testing.T) {
	t.Parallel()
	tab := open(t, swarm.Options{Interval: 20 * time.Minute})
	told(t, tab, 0, &swarm.Request{Addr: addr4(1), Key: 1, Seed: true})
	rep := told(t, tab, 0, &swarm.Request{Addr: addr4(2), Key: 2, Blocked: true})
	if rep.Interval < 18*time.Minute || rep.Interval > 22*time.Minute || rep.MinInterval != 200*time.Second {
		t.Errorf("interval %v, min interval %v", rep.Interval, rep.MinInterval)
	}
	if o := tab.Options(); o.Budget != 0 || o.Expire != 45*time.Minute {
		t.Errorf("%+v", o)
	}
}

// TestExpiryFollowsTheInterval checks that a peer that was told a short interval expires early,
// and that one that was told a long interval does not.
func TestExpiryFollowsTheInterval(t *testing.T) {
	t.Parallel()
	tab := open(t, swarm.Options{})
	short := swarm.Request{Addr: addr4(1), Key: 1}
	told(t, tab, 0, &short)
	long := swarm.Request{Seed: true}
	long.InfoHash[0] = 1
	for i := range 300 {
		long.Addr, long.Key = addr4(i), uint32(i+1)
		told(t, tab, 0, &long)
	}
	count := func(at time.Duration) (inShort, inLong int) {
		tab.Sweep(start.Add(at), 0)
		_, n, _, _ := tab.Scrape(start.Add(at), short.InfoHash)
		m, _, _, _ := tab.Scrape(start.Add(at), long.InfoHash)
		return int(n), int(m)
	}
	if n, _ := count(14 * time.Minute); n != 1 {
		t.Error("the peer that was told a short interval expired within 14 minutes")
	}
	if n, _ := count(17 * time.Minute); n != 0 {
		t.Error("the peer that was told a short interval is still there after 17 minutes")
	}
	// The first peers of the large swarm were told short intervals too.
	if _, m := count(58 * time.Minute); m < 100 {
		t.Errorf("%d peers of the large swarm are left after 58 minutes", m)
	}
	if _, m := count(2 * time.Hour); m != 0 {
		t.Errorf("%d peers of the large swarm are left after two hours", m)
	}
}

// TestIdentityIsKeptAtShortIntervals checks that another peer cannot stop an entry whose peer
// was told a short interval.
func TestIdentityIsKeptAtShortIntervals(t *testing.T) {
	t.Parallel()
	tab := open(t, swarm.Options{})
	r := swarm.Request{Addr: addr4(1), Key: 1}
	told(t, tab, 0, &r)
	r.Key = 2
	told(t, tab, 4*time.Minute, &r) // another identity at the same address
	r.Event = tracker.EventStopped
	if rep := told(t, tab, 4*time.Minute, &r); rep.Removed {
		t.Error("another identity took over the entry after four minutes")
	}
}

// announcing is a queue of peers by the time of their next announce.
type announcing []nextAnnounce

type nextAnnounce struct {
	at   time.Duration
	peer int
}

func (q announcing) Len() int           { return len(q) }
func (q announcing) Less(i, j int) bool { return q[i].at < q[j].at }
func (q announcing) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *announcing) Push(x any)        { *q = append(*q, x.(nextAnnounce)) }
func (q *announcing) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// TestBudgetHolds simulates an hour of thousands of torrents, with peers that announce at the
// interval, or at the min interval, that they are told. After the first minutes they make at
// most Budget announces a second. It has a fiftieth of the peers of a hundred thousand torrents,
// and a fiftieth of the default budget.
func TestBudgetHolds(t *testing.T) {
	t.Parallel()
	const budget = swarm.DefaultBudget / 50
	for name, c := range map[string]struct {
		hungry              bool
		torrents, peersEach int
	}{
		"interval": {false, 2000, 3}, "min interval": {true, 2000, 3}, "peers that are alone": {true, 6000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hungry, torrents, peersEach := c.hungry, c.torrents, c.peersEach
			tab := open(t, swarm.Options{Budget: budget, Seed: [16]byte{7}})
			rnd := rand.New(rand.NewPCG(1, 2))
			var q announcing
			for p := range torrents * peersEach {
				q = append(q, nextAnnounce{time.Duration(rnd.IntN(600)) * time.Second, p})
			}
			heap.Init(&q)
			var rep swarm.Reply
			r := swarm.Request{NumWant: 50, Want4: true, Blocked: hungry}
			after := 0
			for q[0].at < time.Hour {
				next := &q[0]
				hashNo(&r, next.peer/peersEach)
				r.Addr, r.Key, r.Seed = addr4(next.peer), uint32(next.peer+1), next.peer%peersEach == 0
				if err := tab.Announce(start.Add(next.at), &r, &rep); err != nil {
					t.Fatal(err)
				}
				if next.at >= 20*time.Minute {
					after++
				}
				if hungry {
					next.at += rep.MinInterval
				} else {
					next.at += rep.Interval
				}
				heap.Fix(&q, 0)
			}
			if n := tab.Totals().Peers(); n != torrents*peersEach {
				t.Errorf("%d peers, want %d", n, torrents*peersEach)
			}
			rate := float64(after) / (40 * 60)
			if rate > budget*1.05 || rate < budget/2 {
				t.Errorf("%.1f announces a second with a budget of %d", rate, budget)
			}
		})
	}
}

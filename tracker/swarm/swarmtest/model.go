package swarmtest

import (
	"fmt"
	"net/netip"
	"time"

	"pgregory.net/rapid"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

// model is a simple implementation of the rules of a store.
type model struct {
	opt    swarm.Options
	keys   uint32 // number of keys that were assigned
	swarms map[spate.InfoHash]*modelSwarm
}

type modelSwarm struct {
	peers     map[netip.AddrPort]*modelPeer
	completed uint32
	counted   map[uint32]bool // keys whose completion was counted
}

type modelPeer struct {
	seed, counted bool
	key           uint32
	at            time.Time
}

func (m *model) announce(now time.Time, r *swarm.Request) (rep swarm.Reply) {
	s := m.swarms[r.InfoHash]
	if s == nil {
		s = &modelSwarm{peers: map[netip.AddrPort]*modelPeer{}, counted: map[uint32]bool{}}
		m.swarms[r.InfoHash] = s
	}
	p := s.peers[r.Addr]
	complete := func() {
		p.counted = true
		if !s.counted[r.Key] {
			s.counted[r.Key] = true
			s.completed++
			rep.Counted = true
		}
	}
	switch {
	case r.Event == tracker.EventStopped:
		if p != nil && p.key == r.Key {
			delete(s.peers, r.Addr)
			rep.Removed = true
		}
	case p == nil:
		p = &modelPeer{seed: r.Seed, key: r.Key, at: now}
		s.peers[r.Addr] = p
		rep.New = true
		if r.Seed && r.Event == tracker.EventCompleted {
			complete()
		}
	default:
		if p.key != r.Key && now.Sub(p.at) > m.opt.Interval*17/10 {
			p.key, p.counted = r.Key, false
		}
		rep.Moved = r.Seed && !p.seed
		if r.Seed && !p.counted && (rep.Moved || r.Event == tracker.EventCompleted) {
			complete()
		}
		p.seed, p.at = r.Seed, now
	}
	rep.Completed = s.completed
	rep.Seeders, rep.Leechers = s.counts()
	return rep
}

func (s *modelSwarm) counts() (seeders, leechers uint32) {
	for _, p := range s.peers {
		if p.seed {
			seeders++
		} else {
			leechers++
		}
	}
	return seeders, leechers
}

// key returns the key of the peer at the address of r, or a new key. A store need not
// remember peers that have left, nor all peers whose completion it counted.
func (m *model) key(r *swarm.Request, other bool) uint32 {
	if s := m.swarms[r.InfoHash]; s != nil && !other {
		if p := s.peers[r.Addr]; p != nil {
			return p.key
		}
	}
	m.keys++
	return m.keys
}

// checkSample returns an error if a reply has wrong peers.
func (m *model) checkSample(r *swarm.Request, got map[netip.AddrPort]bool) error {
	want := r.NumWant
	if want < 0 {
		want = m.opt.NumWant
	}
	want = min(want, m.opt.MaxNumWant)
	may := 0
	s := m.swarms[r.InfoHash]
	for a, p := range s.peers {
		ok := a != r.Addr && (r.Want4 && a.Addr().Is4() || r.Want6 && a.Addr().Is6()) &&
			(!p.seed || !r.Seed && r.Event != tracker.EventPaused)
		if ok {
			may++
		} else if got[a] {
			return fmt.Errorf("%v was given %v", r.Addr, a)
		}
	}
	for a := range got {
		if s.peers[a] == nil {
			return fmt.Errorf("%v was given %v, which is not in the swarm", r.Addr, a)
		}
	}
	if r.Event == tracker.EventStopped {
		want = 0
	}
	if len(got) != min(want, may) {
		return fmt.Errorf("%d peers given, wanted %d of %d", len(got), want, may)
	}
	return nil
}

func (m *model) expire(now time.Time) {
	for _, s := range m.swarms {
		for a, p := range s.peers {
			if now.Sub(p.at) > m.opt.Expire {
				delete(s.peers, a)
			}
		}
	}
}

// Property compares a store with the model in random sequences of announces. It calls
// open for each sequence, which must close the store at the end of the test.
func Property(t *rapid.T, open func(o swarm.Options) swarm.Store) {
	o := Options()
	o.NumWant, o.MaxNumWant = 50, 100
	u := &run{failer: t, s: open(o), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	m := &model{opt: o, swarms: map[spate.InfoHash]*modelSwarm{}}
	hashes := rapid.IntRange(1, 4).Draw(t, "hashes")
	hosts := rapid.SampledFrom([]int{3, 40, 300, 1500}).Draw(t, "hosts")
	one := func(r swarm.Request) {
		want := m.announce(u.now, &r)
		got := u.announce(r)
		if err := m.checkSample(&r, peers(u, &got)); err != nil {
			t.Fatal(err)
		}
		got.Peers4, got.Peers6, got.Interval, got.MinInterval = nil, nil, 0, 0
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%+v:\n got %+v\nwant %+v", r, got, want)
		}
	}
	draw := func(host int) swarm.Request {
		r := peer(host)
		if host%3 == 0 {
			r = peer6(host)
		}
		r.InfoHash[0] = byte(rapid.IntRange(1, hashes).Draw(t, "hash"))
		r.Seed = rapid.Bool().Draw(t, "seed")
		r.Event = rapid.SampledFrom([]tracker.Event{0, 0, 1, 2, 3, 3, 4}).Draw(t, "event")
		r.NumWant = rapid.SampledFrom([]int{-1, 0, 1, 30, 100, 1000}).Draw(t, "numwant")
		r.Want4, r.Want6 = rapid.Bool().Draw(t, "want4"), rapid.Bool().Draw(t, "want6")
		return r
	}
	t.Repeat(map[string]func(*rapid.T){
		"announce": func(*rapid.T) {
			r := draw(rapid.IntRange(0, hosts-1).Draw(t, "host"))
			r.Key = m.key(&r, rapid.IntRange(0, 3).Draw(t, "other") == 0)
			one(r)
		},
		"many": func(*rapid.T) {
			r := draw(0)
			from := rapid.IntRange(0, hosts-1).Draw(t, "from")
			to := rapid.IntRange(from, hosts-1).Draw(t, "to")
			u.quick = true
			for h := from; h <= to; h++ {
				r.Addr = peer(h).Addr
				if h%3 == 0 {
					r.Addr = peer6(h).Addr
				}
				r.Key = m.key(&r, false)
				one(r)
			}
			u.quick = false
			u.check()
		},
		"wait": func(*rapid.T) {
			// Use multiples of the table's clock unit, so that both round the same way.
			u.now = u.now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "time")) * 4 * time.Second)
			m.expire(u.now)
			u.s.Sweep(u.now, 0)
			u.check()
		},
		"": func(*rapid.T) {
			for ih, s := range m.swarms {
				a, b := s.counts()
				u.counts(ih, a, b, s.completed)
			}
		},
	})
}

package swarm

import (
	"iter"
	"net/netip"
	"sort"
	"sync"
	"time"

	"spate"
	"spate/tracker"
)

// temp is a first, slow store behind the API.
type temp struct {
	mu sync.Mutex
	m  map[spate.InfoHash]*tempSwarm
}

type tempPeer struct {
	seed, counted bool
	at            time.Time
}

type tempSwarm struct {
	peers     map[netip.AddrPort]*tempPeer
	completed uint32
	protected bool
	pins      []netip.AddrPort
}

func (t *temp) get(ih spate.InfoHash) *tempSwarm {
	if t.m == nil {
		t.m = map[spate.InfoHash]*tempSwarm{}
	}
	s := t.m[ih]
	if s == nil {
		s = &tempSwarm{peers: map[netip.AddrPort]*tempPeer{}}
		t.m[ih] = s
	}
	return s
}

func (s *tempSwarm) counts() (seeds, leechers uint32) {
	for _, p := range s.peers {
		if p.seed {
			seeds++
		} else {
			leechers++
		}
	}
	return seeds + uint32(len(s.pins)), leechers
}

func (t *temp) announce(tb *Table, now time.Time, r *Request, rep *Reply) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	*rep = Reply{Peers4: rep.Peers4[:0], Peers6: rep.Peers6[:0], Interval: tb.opt.Interval, MinInterval: tb.opt.MinInterval}
	a := spate.CanonicalAddr(r.Addr)
	if !a.IsValid() || a.Port() == 0 {
		return ErrAddr
	}
	s := t.get(r.InfoHash)
	p := s.peers[a]
	if r.Event == tracker.EventStopped {
		if p != nil {
			delete(s.peers, a)
			rep.Removed = true
		}
	} else {
		if p == nil {
			p = &tempPeer{}
			s.peers[a] = p
			rep.New = true
		} else if r.Seed && !p.seed {
			rep.Moved = true
		}
		if r.Seed && !p.counted && (rep.Moved || r.Event == tracker.EventCompleted) {
			s.completed++
			rep.Counted, p.counted = true, true
		}
		p.seed, p.at = r.Seed, now
		n := r.NumWant
		if n < 0 {
			n = tb.opt.NumWant
		}
		n = min(n, tb.opt.MaxNumWant)
		give := func(q netip.AddrPort) {
			switch {
			case n == 0 || q == a:
			case q.Addr().Is4() && r.Want4:
				rep.Peers4 = spate.AppendCompact(rep.Peers4, q)
				n--
			case q.Addr().Is6() && r.Want6:
				rep.Peers6 = spate.AppendCompact(rep.Peers6, q)
				n--
			}
		}
		if !r.Seed {
			for _, q := range s.pins {
				give(q)
			}
		}
		for q, e := range s.peers {
			if !r.Seed || !e.seed {
				give(q)
			}
		}
	}
	rep.Seeders, rep.Leechers = s.counts()
	rep.Completed = s.completed
	return nil
}

func (t *temp) scrape(_ *Table, _ time.Time, ih spate.InfoHash) (uint32, uint32, uint32, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.m[ih]
	if s == nil {
		return 0, 0, 0, false
	}
	a, b := s.counts()
	return a, b, s.completed, true
}

func (t *temp) protect(ih spate.InfoHash, on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.get(ih)
	s.protected = on
	if !on {
		s.pins = nil
	}
	return nil
}

func (t *temp) pin(ih spate.InfoHash, addrs []netip.AddrPort) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.get(ih)
	s.protected, s.pins = true, append([]netip.AddrPort(nil), addrs...)
	return nil
}

func (t *temp) drop(ih spate.InfoHash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.m, ih)
}

func (t *temp) setCompleted(ih spate.InfoHash, n uint32) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.get(ih)
	s.completed = max(s.completed, n)
	return nil
}

func (t *temp) sweep(tb *Table, now time.Time) (seen, gone int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.m {
		for a, p := range s.peers {
			seen++
			if now.Sub(p.at) > tb.opt.Expire {
				delete(s.peers, a)
				gone++
			}
		}
	}
	return seen, gone
}

func (t *temp) totals() (tot Totals) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.m {
		tot.Swarms++
		for a, p := range s.peers {
			switch {
			case p.seed && a.Addr().Is4():
				tot.Seeders4++
			case p.seed:
				tot.Seeders6++
			case a.Addr().Is4():
				tot.Leechers4++
			default:
				tot.Leechers6++
			}
		}
		if len(s.peers)+len(s.pins) > 0 {
			tot.Active++
		}
		tot.Pinned += len(s.pins)
		tot.Completed += uint64(s.completed)
	}
	return tot
}

func (t *temp) list() (out []Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ih, s := range t.m {
		a, b := s.counts()
		out = append(out, Stats{InfoHash: ih, Seeders: a, Leechers: b, Completed: s.completed, Protected: s.protected})
	}
	return out
}

func (t *temp) busiest(n int) []Stats {
	l := t.list()
	sort.Slice(l, func(i, j int) bool { return l[i].Seeders+l[i].Leechers > l[j].Seeders+l[j].Leechers })
	return l[:min(n, len(l))]
}

func (t *temp) all() iter.Seq[Stats] {
	return func(yield func(Stats) bool) {
		for _, s := range t.list() {
			if !yield(s) {
				return
			}
		}
	}
}

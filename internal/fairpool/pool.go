// Package fairpool shares a bounded number of places among networks, and chooses
// which holder makes room when there are none left.
//
// A [Pool] lets everybody in while it has places, any number from one network too.
// Once others want places as well, a network gets no more than eight times as many as
// are free. When the pool is full, holders that take nothing make room first, then
// those that take too little; of these, those of the network that holds the most. A
// holder that takes what it is offered at a decent rate keeps its place.
//
// A pool is plain data: it has no clock, no socket and no lock. The caller guards it,
// and ends what it is told has made room.
package fairpool

import (
	"math"
	"slices"
	"time"
)

// share bounds the places of one network, while others want places too, in multiples
// of the places that are free. Alone against one other a network gets eight ninths of
// a pool.
const share = 8

const (
	silentAfter = time.Minute // a holder that took nothing for so long is silent again
	wantFor     = time.Minute // places are kept for others after a network without one was refused
	// look is how many holders are compared at once; a pool up to that size is compared
	// whole.
	look = 256
	// barrenFor is how long a large pool in which nobody makes room is not searched
	// again.
	barrenFor = 100 * time.Millisecond
)

// Options are the settings of a [Pool].
type Options struct {
	// Places bounds the holders.
	Places int
	// Grace is how long a new holder may leave untouched what it is offered.
	Grace time.Duration
	// Floor is the rate in bytes a second that protects a holder.
	Floor int64
	// Pause is how long a holder that has taken more than that may pause.
	Pause time.Duration
	// Quick and Proof tell a holder from the buffers between us and it. What is taken does
	// not count until the holder has taken Proof bytes, or once needed Quick for a part of
	// them. Zero Quick: everything counts.
	Quick time.Duration
	Proof int64
}

// Pool is a bounded number of places. Each holder has a value of the caller's. Its
// methods, and those of its members, must not be called concurrently.
type Pool[T any] struct {
	opt     Options
	members []*Member[T]
	held    map[Network]int
	marks   marks
	cursor  int // of members, where the next search begins

	again   time.Time // of the last search that found nobody: when the first new holder is judged
	barren  barren
	wanted  Network   // refused last without having a place
	wantedT time.Time // when
}

// barren is a search that found nobody.
type barren struct {
	until time.Time
	who   newcomer
}

// New returns an empty pool.
func New[T any](opt Options) *Pool[T] {
	return &Pool[T]{opt: opt, held: map[Network]int{}, marks: marks{until: map[Network]time.Time{}}}
}

// Enter takes a place for a newcomer, a free one if there is one and the newcomer's network
// has not had its share. If another holder has made room for it, that is returned too: it is
// out of the pool already, and the caller ends it. Enter returns nil if there is no place.
func (p *Pool[T]) Enter(now time.Time, network Network, value T) (m, out *Member[T]) {
	n := p.newcomer(now, network)
	free := p.opt.Places - len(p.members)
	if free > 0 && (n.held < share*free || !p.contended(now, n)) {
		return p.add(now, network, value), nil
	}
	if out = p.choose(now, n, free > 0); out == nil {
		if n.held == 0 {
			p.wanted, p.wantedT = network, now
		}
		return nil, nil
	}
	out.Leave(now)
	return p.add(now, network, value), out
}

// EnterNext is Enter for one of those who wait for a place, given their networks in the order
// in which they came; it returns which one, or -1. The next place is for the one whose
// network holds the fewest, of equals for the last who came, because those who wait the
// longest give up the soonest. In a full pool, those whose networks had silent holders lately
// come after all others.
func (p *Pool[T]) EnterNext(now time.Time, waiting []Network, value func(i int) T) (i int, m, out *Member[T]) {
	var failed []newcomer
	for {
		if i = p.next(now, waiting, failed); i < 0 {
			return -1, nil, nil
		}
		if m, out = p.Enter(now, waiting[i], value(i)); m != nil {
			return i, m, out
		}
		failed = append(failed, p.newcomer(now, waiting[i]))
	}
}

// next returns which of those who wait is to be tried, after some have failed.
func (p *Pool[T]) next(now time.Time, waiting []Network, failed []newcomer) int {
	best := -1
	var bestN newcomer
	for i, network := range waiting {
		n := p.newcomer(now, network)
		if slices.ContainsFunc(failed, func(f newcomer) bool { return f.atLeast(n) }) {
			continue
		}
		first := !n.marked && bestN.marked && p.Full()
		equal := n.marked == bestN.marked || !p.Full()
		if best < 0 || first || equal && n.held <= bestN.held {
			best, bestN = i, n
		}
	}
	return best
}

func (p *Pool[T]) newcomer(now time.Time, network Network) newcomer {
	return newcomer{network, p.held[network], p.marks.has(now, network)}
}

// MakeRoom takes the holder out of the pool that would make room for a stranger, and
// returns it, or nil: for a caller that has run out of something else than places.
func (p *Pool[T]) MakeRoom(now time.Time) *Member[T] {
	out := p.choose(now, newcomer{}, false)
	if out != nil {
		out.Leave(now)
	}
	return out
}

// contended reports whether other networks than that of n hold places, or wanted one
// lately.
func (p *Pool[T]) contended(now time.Time, n newcomer) bool {
	return len(p.members) > n.held || p.wanted != n.network && now.Sub(p.wantedT) < wantFor
}

func (p *Pool[T]) add(now time.Time, network Network, value T) *Member[T] {
	m := &Member[T]{Value: value, pool: p, network: network, at: len(p.members), came: now, credit: p.opt.Grace}
	p.members = append(p.members, m)
	p.count(network, 1)
	return m
}

func (p *Pool[T]) count(network Network, by int) {
	if network == 0 {
		return
	}
	if p.held[network] += by; p.held[network] == 0 {
		delete(p.held, network)
	}
}

// holds returns how many places the network of a member holds.
func (p *Pool[T]) holds(network Network) int {
	if network == 0 {
		return 1
	}
	return p.held[network]
}

// choose returns the member that makes room for n, or nil. With own, it has to be of
// the newcomer's network. Of a large pool choose compares look members at a time, and
// goes on with the next ones only while nobody has been found.
func (p *Pool[T]) choose(now time.Time, n newcomer, own bool) *Member[T] {
	large := len(p.members) > look
	if large && !own && p.barren.holds(now, n) {
		return nil
	}
	var best *Member[T]
	var bestHolder Holder
	var again time.Time
	for i := range p.members {
		if i > 0 && i%look == 0 && (best != nil || own) {
			break
		}
		m := p.members[p.cursor%len(p.members)]
		p.cursor = (p.cursor + 1) % len(p.members)
		if own && m.network != n.network {
			continue
		}
		h := Holder{m.network, m.Standing(now), m.since()}
		if at := m.judged(); h.Standing == Good && !at.IsZero() && (again.IsZero() || at.Before(again)) {
			again = at
		}
		held := p.holds(m.network)
		if h.makesRoom(held, n) && (best == nil || h.before(held, &bestHolder, p.holds(best.network))) {
			best, bestHolder = m, h
		}
	}
	if best == nil {
		p.again = again
		if large && !own {
			p.barren = barren{now.Add(barrenFor), n}
		}
	}
	return best
}

// holds reports whether a search for n would find nobody, because one did not just now
// for a newcomer that more holders make room for.
func (b *barren) holds(now time.Time, n newcomer) bool {
	return now.Before(b.until) && b.who.atLeast(n)
}

// Again returns when a newcomer that was refused just now may find that a holder makes
// room after all, or the zero time if no holder is about to be judged.
func (p *Pool[T]) Again() time.Time { return p.again }

// Held returns how many places a network holds.
func (p *Pool[T]) Held(network Network) int { return p.held[network] }

// Len returns how many places are held.
func (p *Pool[T]) Len() int { return len(p.members) }

// Full reports whether all places are held.
func (p *Pool[T]) Full() bool { return len(p.members) >= p.opt.Places }

// seconds returns how long n bytes take at the floor.
func (o *Options) seconds(n int64) time.Duration {
	if o.Floor <= 0 {
		return o.Pause
	}
	s := float64(n) / float64(o.Floor)
	return time.Duration(min(s*float64(time.Second), math.MaxInt64/4))
}

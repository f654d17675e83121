// Package fairpool shares a bounded number of slots among networks, and chooses which holder
// of a slot to evict for a new one.
//
// While only one network wants slots, a [Pool] gives it any free slot. When other networks
// want slots too, a network gets at most eight times as many as are free. A full pool evicts
// holders that take no data first, then those that take it too slowly, and prefers holders
// of the network with the most slots. It never evicts a holder that takes its data at a
// sufficient rate.
//
// A pool has no clock, no sockets and no lock. The caller guards it, and closes the
// connection of a holder that the pool has evicted.
package fairpool

import (
	"math"
	"slices"
	"time"
)

// share limits the slots of a network while other networks want slots too: to share times
// the number of free slots. With share 8, a network gets up to eight ninths of a pool.
const share = 8

const (
	silentAfter = time.Minute // a holder that takes nothing for this time is silent
	wantFor     = time.Minute // after refusing a network without a slot, share applies for this time
	// searchBatch is the number of holders that choose compares at a time. It compares all
	// holders of a smaller pool.
	searchBatch = 256
	// failedFor is the time for which the result of a failed search of a large pool is
	// reused.
	failedFor = 100 * time.Millisecond
)

// Options are the settings of a [Pool].
type Options struct {
	// Slots is the maximum number of holders.
	Slots int
	// Grace is the time for which a new holder may take nothing of an offer.
	Grace time.Duration
	// Floor is the rate in bytes per second above which a holder is not evicted.
	Floor int64
	// Pause is the maximum time for which a holder may take nothing after it has been
	// faster than Floor.
	Pause time.Duration
	// Quick and Proof help to ignore bytes that only filled buffers on the way to the
	// holder. Bytes count only after the holder has taken Proof bytes in total, or has once
	// needed the time Quick to take an offer. If Quick is 0, all bytes count.
	Quick time.Duration
	Proof int64
}

// Pool is a set of holders of a limited number of slots. Each holder has a value of the
// caller. The methods of a pool and of its members must not be called concurrently.
type Pool[T any] struct {
	opt     Options
	members []*Member[T]
	held    map[Network]int // slots of each network except the zero one
	marks   marks
	cursor  int // index in members at which the next search starts

	again   time.Time // after a failed search: the time when the first protected holder loses its credit
	failed  failedSearch
	wanted  Network   // the last network without a slot that was refused
	wantedT time.Time // time of that refusal
}

// failedSearch records a search that found no holder to evict for newcomer.
type failedSearch struct {
	until    time.Time
	newcomer newcomer
}

// New returns an empty pool.
func New[T any](opt Options) *Pool[T] {
	return &Pool[T]{opt: opt, held: map[Network]int{}, marks: marks{until: map[Network]time.Time{}}}
}

// Enter gives a slot to a newcomer and returns its member. If the newcomer's network does
// not exceed its share, Enter uses a free slot. Otherwise it evicts a holder and returns it
// as evicted; the caller closes the connection of that holder. Enter returns nil if the
// newcomer gets no slot.
func (p *Pool[T]) Enter(now time.Time, network Network, value T) (m, evicted *Member[T]) {
	n := p.newcomer(now, network)
	free := p.opt.Slots - len(p.members)
	if free > 0 && (n.held < share*free || !p.contended(now, n)) {
		return p.add(now, network, value), nil
	}
	evicted = p.choose(now, n, free > 0)
	if evicted == nil {
		if n.held == 0 {
			p.wanted, p.wantedT = network, now
		}
		return nil, nil
	}
	evicted.Leave(now)
	return p.add(now, network, value), evicted
}

// EnterNext is like Enter for one of several waiting newcomers. waiting contains their
// networks in the order in which they arrived. EnterNext returns the index of the newcomer
// that got the slot, or -1. It prefers the newcomer whose network holds the fewest slots.
// Among equal ones it prefers the one that arrived last, because those who have waited
// longest give up soonest. In a full pool, newcomers of marked networks come last.
func (p *Pool[T]) EnterNext(now time.Time, waiting []Network, value func(i int) T) (i int, m, evicted *Member[T]) {
	var failed []newcomer
	for {
		i = p.next(now, waiting, failed)
		if i < 0 {
			return -1, nil, nil
		}
		m, evicted = p.Enter(now, waiting[i], value(i))
		if m != nil {
			return i, m, evicted
		}
		failed = append(failed, p.newcomer(now, waiting[i]))
	}
}

// next returns the index of the waiting newcomer to try next, or -1. It skips newcomers that
// have no better chance than one that failed.
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

// newcomer describes a newcomer of that network.
func (p *Pool[T]) newcomer(now time.Time, network Network) newcomer {
	return newcomer{network, p.held[network], p.marks.has(now, network)}
}

// Evict removes the holder that a newcomer of a new network would evict, and returns it. It
// returns nil if there is none. It is for a caller that lacks a resource other than slots.
func (p *Pool[T]) Evict(now time.Time) *Member[T] {
	evicted := p.choose(now, newcomer{}, false)
	if evicted != nil {
		evicted.Leave(now)
	}
	return evicted
}

// contended reports whether a network other than that of n holds a slot, or was refused one
// within wantFor.
func (p *Pool[T]) contended(now time.Time, n newcomer) bool {
	return len(p.members) > n.held || p.wanted != n.network && now.Sub(p.wantedT) < wantFor
}

// add gives a slot to a new member.
func (p *Pool[T]) add(now time.Time, network Network, value T) *Member[T] {
	m := &Member[T]{Value: value, pool: p, network: network, at: len(p.members), came: now, credit: p.opt.Grace}
	p.members = append(p.members, m)
	p.count(network, 1)
	return m
}

// count adds by to the number of slots of a network.
func (p *Pool[T]) count(network Network, by int) {
	if network == 0 {
		return
	}
	p.held[network] += by
	if p.held[network] == 0 {
		delete(p.held, network)
	}
}

// holds returns the number of slots that the network of a member holds.
func (p *Pool[T]) holds(network Network) int {
	if network == 0 {
		return 1
	}
	return p.held[network]
}

// choose returns the member to evict for n, or nil. With own, it considers only members of
// the newcomer's network. It compares searchBatch members of a large pool at a time, and
// stops after the first batch with a result.
func (p *Pool[T]) choose(now time.Time, n newcomer, own bool) *Member[T] {
	large := len(p.members) > searchBatch
	if large && !own && p.failed.applies(now, n) {
		return nil
	}
	var best *Member[T]
	var bestHolder Holder
	var again time.Time
	for i := range p.members {
		if i > 0 && i%searchBatch == 0 && (best != nil || own) {
			break
		}
		m := p.members[p.cursor%len(p.members)]
		p.cursor = (p.cursor + 1) % len(p.members)
		if own && m.network != n.network {
			continue
		}
		h := Holder{m.network, m.Standing(now), m.since()}
		if at := m.protectedUntil(); h.Standing == Good && !at.IsZero() && (again.IsZero() || at.Before(again)) {
			again = at
		}
		held := p.holds(m.network)
		if h.evictable(held, n) && (best == nil || h.before(held, &bestHolder, p.holds(best.network))) {
			best, bestHolder = m, h
		}
	}
	if best == nil {
		p.again = again
		if large && !own {
			p.failed = failedSearch{now.Add(failedFor), n}
		}
	}
	return best
}

// applies reports whether a search for n would fail too. This is so if the failed search f
// was for a newcomer that may evict at least as many holders.
func (f *failedSearch) applies(now time.Time, n newcomer) bool {
	return now.Before(f.until) && f.newcomer.atLeast(n)
}

// Again returns the time when a newcomer that was just refused should try again, because a
// holder may lose its protection then. It returns the zero time if no holder can lose it.
func (p *Pool[T]) Again() time.Time { return p.again }

// Held returns the number of slots that a network holds.
func (p *Pool[T]) Held(network Network) int { return p.held[network] }

// Len returns the number of holders.
func (p *Pool[T]) Len() int { return len(p.members) }

// Full reports whether no slot is free.
func (p *Pool[T]) Full() bool { return len(p.members) >= p.opt.Slots }

// seconds returns the time that n bytes take at the rate Floor.
func (o *Options) seconds(n int64) time.Duration {
	if o.Floor <= 0 {
		return o.Pause
	}
	s := float64(n) / float64(o.Floor)
	return time.Duration(min(s*float64(time.Second), math.MaxInt64/4))
}

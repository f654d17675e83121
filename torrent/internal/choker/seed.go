package choker

import (
	"cmp"
	"slices"
	"time"
)

// rank is a peer's place in the queue of a seed: first by class, then by value,
// low values first.
type rank struct {
	class int
	value float64
}

// Classes of the queue, first come first.
const (
	inTurn  = iota // served, and its turn is not over
	waiting        // not served now; with AntiLeech also whose turn is over
	served         // its turn is over, it stays if nobody waits
	hidden         // says to have less than it had of us
	nowhere        // not interested
)

// seed chooses while we want nothing and returns how many slots it used.
//
// The slots are for peers that use them. Other peers are tried beside these, as many as
// there are slots that no such peer needs. A peer whose turn is over keeps its slot until
// a peer that was tried has taken data, and does not keep other peers from being tried.
func (k *Choker) seed(now time.Time, peers []Peer, slots int) int {
	slices.SortStableFunc(k.order, func(a, b int) int {
		x, y := k.rank(now, &peers[a]), k.rank(now, &peers[b])
		return cmp.Or(cmp.Compare(x.class, y.class), cmp.Compare(x.value, y.value))
	})
	used, needed := 0, 0
	for _, i := range k.order {
		p := &peers[i]
		if p.Interested && p.UsesSlot && used < slots {
			k.chosen.add(p.ID)
			used++
			if k.rank(now, p).class == inTurn {
				needed++
			}
		}
	}
	tried := needed
	for _, i := range k.order {
		if p := &peers[i]; p.Interested && !p.UsesSlot && tried < slots {
			k.chosen.add(p.ID)
			tried++
		}
	}
	return max(used, tried)
}

// newcomers tells whether somebody has or may get the optimistic slot of a seed:
// whoever was drawn just now, and those that were never served.
func (k *Choker) newcomers(now time.Time, peers []Peer) bool {
	for i := range peers {
		p := &peers[i]
		if p.Interested && (p.UnchokedAt.IsZero() || p.Unchoked && k.optimistic.Has(p.ID) && !k.rotates(now)) {
			return true
		}
	}
	return false
}

func (k *Choker) rank(now time.Time, p *Peer) rank {
	r := rank{class: waiting}
	began, turn := k.turns[p.ID]
	if !turn {
		began = p.UpBytes // unchoked since the last decision
	}
	switch {
	case !p.Interested:
		return rank{class: nowhere}
	case k.hides(p):
		r.class = hidden
	case p.Unchoked && !k.over(now, p, began):
		r.class = inTurn
	case p.Unchoked && k.c.Seed != AntiLeech:
		r.class = served
	}
	switch {
	case r.class == inTurn: // who has had most of its turn gives way first
		r.value = now.Sub(p.UnchokedAt).Seconds()
	case k.c.Seed == AntiLeech:
		r.value = float64(p.UpBytes)
	case r.class == waiting:
		since := p.Joined
		if p.UnchokedAt.After(since) {
			since = p.UnchokedAt
		}
		r.value = -now.Sub(since).Seconds()
	default:
		r.value = -p.Up
	}
	return r
}

// over tells whether the turn of a served peer has ended.
func (k *Choker) over(now time.Time, p *Peer, began int64) bool {
	age := now.Sub(p.UnchokedAt)
	return age >= k.c.Quantum || p.UpBytes-began >= k.c.Serving || p.Up == 0 && age >= idleGrace
}

// hides tells whether a peer says to have less than half of what we know that
// it has, because we sent it.
func (k *Choker) hides(p *Peer) bool {
	return k.c.Seed == AntiLeech && k.c.Total > 0 && p.UpBytes > k.c.Serving &&
		p.Progress*float64(k.c.Total) < float64(p.UpBytes)/2
}

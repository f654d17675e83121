package choker

import (
	"cmp"
	"slices"
	"time"
)

// rank is the position of a peer in the order in which a seed fills its slots.
// Peers are sorted by class, then by value, both ascending.
type rank struct {
	class int
	value float64
}

// Classes of peers, in the order in which they get slots.
const (
	inTurn         = iota // unchoked, and the turn continues
	waiting               // choked; with AntiLeech also an unchoked peer whose turn is over
	turnOver              // unchoked, but the turn is over
	underreporting        // the peer reports much less data than we have sent it
	notInterested
)

// chooseSeeding unchokes peers by the rules of a seed and returns the number of
// slots that it used.
//
// The slots go to peers with UsesSlot. For each slot without a peer whose turn
// continues, one other peer is unchoked in addition. So a peer that uses its slot
// keeps it after its turn is over, until another peer takes data.
func (k *Choker) chooseSeeding(now time.Time, peers []Peer, slots int) int {
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

// hasOptimisticCandidate reports whether a seed has a peer for its optimistic
// slots: an interested peer that was never unchoked, or a peer that keeps its
// optimistic slot until the next rotation.
func (k *Choker) hasOptimisticCandidate(now time.Time, peers []Peer) bool {
	for i := range peers {
		p := &peers[i]
		if p.Interested && (p.UnchokedAt.IsZero() || p.Unchoked && k.optimistic.Has(p.ID) && !k.rotationDue(now)) {
			return true
		}
	}
	return false
}

// rank returns the rank of a peer.
func (k *Choker) rank(now time.Time, p *Peer) rank {
	r := rank{class: waiting}
	began, turn := k.turns[p.ID]
	if !turn {
		began = p.UpBytes // unchoked since the last decision
	}
	switch {
	case !p.Interested:
		return rank{class: notInterested}
	case k.underreports(p):
		r.class = underreporting
	case p.Unchoked && !k.turnEnded(now, p, began):
		r.class = inTurn
	case p.Unchoked && k.config.Seed != AntiLeech:
		r.class = turnOver
	}
	switch {
	case r.class == inTurn: // if the number of slots shrinks, the longest turn ends first
		r.value = now.Sub(p.UnchokedAt).Seconds()
	case k.config.Seed == AntiLeech:
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

// turnEnded reports whether the turn of an unchoked peer is over. began is its
// UpBytes at the beginning of the turn.
func (k *Choker) turnEnded(now time.Time, p *Peer, began int64) bool {
	age := now.Sub(p.UnchokedAt)
	return age >= k.config.Quantum || p.UpBytes-began >= k.config.Serving || p.Up == 0 && age >= idleGrace
}

// underreports reports whether a peer claims to have less than half of the bytes
// that we have sent it.
func (k *Choker) underreports(p *Peer) bool {
	return k.config.Seed == AntiLeech && k.config.Total > 0 && p.UpBytes > k.config.Serving &&
		p.Progress*float64(k.config.Total) < float64(p.UpBytes)/2
}

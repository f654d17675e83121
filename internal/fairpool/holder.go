package fairpool

import "time"

// Standing rates how well a holder uses its slot, from the worst to the best.
type Standing uint8

const (
	// Silent holders take none of the data that they are offered. Every newcomer may evict
	// them.
	Silent Standing = iota
	// Suspect holders are new and belong to a marked network, which had silent holders in
	// the last minutes. A newcomer of an unmarked network may evict them.
	Suspect
	// Slow holders take less than the floor. A newcomer may evict them if its network holds
	// fewer slots than theirs, or if both belong to one network with several slots.
	Slow
	// Waiting holders take nothing because they are offered nothing. A newcomer may evict
	// them if its network, including the newcomer, then holds no more slots than theirs.
	Waiting
	// Good holders are never evicted.
	Good
)

// Holder describes a holder of a slot to [Choose].
type Holder struct {
	Network  Network
	Standing Standing
	Since    time.Time // time when the holder last took data; if it has taken none, when it entered
}

// newcomer describes a connection that wants a slot.
type newcomer struct {
	network Network
	held    int  // slots that its network holds
	marked  bool // its network is marked
}

// atLeast reports whether n may evict every holder that o may evict, except for holders in
// the networks of n and o.
func (n newcomer) atLeast(o newcomer) bool { return n.held <= o.held && (!n.marked || o.marked) }

// evictable reports whether n may evict h. held is the number of slots that the network of
// h holds.
func (h *Holder) evictable(held int, n newcomer) bool {
	switch h.Standing {
	case Silent:
		return true
	case Suspect:
		return !n.marked
	case Slow:
		return held > n.held || held > 1 && h.Network == n.network
	case Waiting:
		return held > n.held+1
	}
	return false
}

// before reports whether h must be evicted before o. held and oHeld are the numbers of
// slots that the networks of h and o hold.
func (h *Holder) before(held int, o *Holder, oHeld int) bool {
	switch {
	case h.Standing != o.Standing:
		return h.Standing < o.Standing
	case held != oHeld:
		return held > oHeld
	}
	return h.Since.Before(o.Since)
}

// Choose returns the index of the holder to evict for a newcomer of that network, or -1. It
// is for callers that manage holders without a [Pool]. holders must contain all holders.
func Choose(holders []Holder, network Network) int {
	held := make(map[Network]int, len(holders))
	for i := range holders {
		held[holders[i].Network]++
	}
	slots := func(n Network) int {
		if n == 0 {
			return 1
		}
		return held[n]
	}
	n := newcomer{network: network}
	if network != 0 {
		n.held = held[network]
	}
	best := -1
	for i := range holders {
		h := &holders[i]
		if !h.evictable(slots(h.Network), n) {
			continue
		}
		if best < 0 || h.before(slots(h.Network), &holders[best], slots(holders[best].Network)) {
			best = i
		}
	}
	return best
}

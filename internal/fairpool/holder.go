package fairpool

import "time"

// Standing says what a holder does with its place, the worst first.
type Standing uint8

const (
	// Silent holders take nothing of what they are offered. They make room for anybody.
	Silent Standing = iota
	// Suspect holders are new, and others of their network were silent lately. They
	// make room for networks of which that is not known.
	Suspect
	// Slow holders take less than the floor. They make room for a network that holds
	// fewer places than theirs, and for another of their own network.
	Slow
	// Waiting holders take nothing because they are offered nothing. They make room
	// for a network that holds no more places than theirs afterwards.
	Waiting
	// Good holders never make room.
	Good
)

// Holder is what the choice of who makes room depends on.
type Holder struct {
	Network  Network
	Standing Standing
	Since    time.Time // when the holder took something last; before that, when it came
}

// newcomer wants a place.
type newcomer struct {
	network Network
	held    int  // places that its network holds
	marked  bool // others of its network were silent lately
}

// atLeast reports whether every holder that makes room for o makes room for n, those of their
// own networks aside.
func (n newcomer) atLeast(o newcomer) bool { return n.held <= o.held && (!n.marked || o.marked) }

// makesRoom reports whether h, whose network holds held places, makes room for n.
func (h *Holder) makesRoom(held int, n newcomer) bool {
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

// before reports whether h, whose network holds held places, makes room before o.
func (h *Holder) before(held int, o *Holder, oHeld int) bool {
	switch {
	case h.Standing != o.Standing:
		return h.Standing < o.Standing
	case held != oHeld:
		return held > oHeld
	}
	return h.Since.Before(o.Since)
}

// Choose returns the index of the holder that makes room for a newcomer of that
// network, or -1. It is for pools that keep their holders themselves; all the places
// of such a pool are in the list.
func Choose(holders []Holder, network Network) int {
	held := make(map[Network]int, len(holders))
	for i := range holders {
		held[holders[i].Network]++
	}
	places := func(n Network) int {
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
		if !h.makesRoom(places(h.Network), n) {
			continue
		}
		if best < 0 || h.before(places(h.Network), &holders[best], places(holders[best].Network)) {
			best = i
		}
	}
	return best
}

package webrtc

import (
	"net/netip"
	"time"
)

// Bounds of the checks that this side sends, because a description names addresses that need not be
// those of its author.
const (
	maxAsked     = 10_000 // checks without an answer; above it the oldest ones are forgotten
	maxAskedOf   = 100    // checks to one IPv4 address or IPv6 network within askedFor that have no answer
	askedFor     = OpenTime
	maxChecks    = 40 // checks of one connection until it is open
	maxSameAddrs = 2  // candidates with the same IP address
)

// question is a check of this side that has no answer yet.
type question struct {
	l  *link
	to netip.AddrPort
}

// questions holds the checks of this side that have no answer yet. The zero value is empty.
type questions struct {
	by    map[[12]byte]question
	order []askedID // the oldest first; some have an answer
	of    map[netip.Prefix]int
}

// askedID is when a check was sent.
type askedID struct {
	id [12]byte
	at time.Time
}

// networkOf returns the network whose checks are counted together.
func networkOf(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// add records a check. It returns false if the check must not be sent, because the network has too
// many without an answer. proved means that authentic checks have come from the address.
func (q *questions) add(now time.Time, id [12]byte, l *link, to netip.AddrPort, proved bool) bool {
	q.expire(now)
	network := networkOf(to.Addr())
	if !proved && q.of[network] >= maxAskedOf {
		return false
	}
	if len(q.order) >= maxAsked {
		q.forgetOldest()
	}
	if q.by == nil {
		q.by, q.of = map[[12]byte]question{}, map[netip.Prefix]int{}
	}
	q.by[id] = question{l, to}
	q.of[network]++
	q.order = append(q.order, askedID{id, now})
	return true
}

// get returns the check with an id, if it went to an address.
func (q *questions) get(id [12]byte, to netip.AddrPort) (question, bool) {
	one, ok := q.by[id]
	return one, ok && one.to == to
}

// remove forgets a check, because it has an answer.
func (q *questions) remove(id [12]byte) {
	one, ok := q.by[id]
	if !ok {
		return
	}
	delete(q.by, id)
	network := networkOf(one.to.Addr())
	q.of[network]--
	if q.of[network] <= 0 {
		delete(q.of, network)
	}
}

// expire forgets the checks that are too old for an answer.
func (q *questions) expire(now time.Time) {
	for len(q.order) > 0 && now.Sub(q.order[0].at) > askedFor {
		q.forgetOldest()
	}
}

func (q *questions) forgetOldest() {
	q.remove(q.order[0].id)
	q.order = q.order[1:]
}

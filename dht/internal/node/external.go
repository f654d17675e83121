package node

import (
	"net/netip"
	"time"

	"spate/dht/internal/nodeid"
)

// observe handles the address of this node that the sender of an answer sees. If the nodes
// agree about an address that BEP 42 does not allow the id for, the node changes its id.
func (n *Node) observe(now time.Time, f *family, voter netip.Addr, seen netip.AddrPort) {
	if !seen.IsValid() || seen.Addr().Is6() != f.v6 {
		return
	}
	if nodeid.Exempt(voter) {
		f.seen = seen
		return
	}
	f.poll.Add(now, voter, seen)
	if f.external.Addr == seen.Addr() && f.external.Port == seen.Port() {
		return
	}
	f.external = f.poll.Result(now)
	// Behind a NAT with several addresses no id fits all of them, so the id stays.
	if a := f.external.Addr; a.IsValid() && !nodeid.Valid(f.id, a) && !(f.external.Several && f.adapted) {
		f.adapted = true
		n.setID(now, f, nodeid.Make(a, n.randomID()))
	}
}

// own returns the address at which others reach the own peer, if it is known.
func (f *family) own(a *Announcement) netip.AddrPort {
	own := netip.AddrPortFrom(f.external.Addr, f.external.Port)
	if !own.Addr().IsValid() {
		own = f.seen
	}
	if a.Implied {
		return own
	}
	return netip.AddrPortFrom(own.Addr(), a.Port)
}

// bucket limits a rate.
type bucket struct {
	perSecond, burst float64
	left             float64
	at               time.Time
}

func (b *bucket) take(now time.Time) bool {
	if b.at.IsZero() {
		b.left = b.burst
	} else {
		b.left = min(b.burst, b.left+now.Sub(b.at).Seconds()*b.perSecond)
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

package trackerserver

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"spate"
	"spate/internal/fairpool"
	"spate/internal/netguard"
	"spate/tracker"
	"spate/tracker/wire"
)

// Pages can fetch ranges over HTTP from peers whose port others reach. A peer says in its announce
// over HTTP that it serves them (ranges=1), and a page asks for such peers in its announce over
// WebSocket. A page sends requests to the addresses that it is told, so that the tracker tells only
// addresses from which the announces came: nobody can name the address of somebody else.

// Bounds of the peers that serve ranges. A swarm needs few, because a page asks few at a time.
const (
	maxRangeSwarms   = 4096 // swarms; a new one takes the place of any other
	maxRangePeers    = 16   // peers of a swarm; a new one takes the place of any other
	maxRangeNeighbor = 2    // peers of a swarm in one network
	toldRangePeers   = 6    // peers that a page is told
)

// rangePeers holds the seeds that serve ranges to pages. It is safe for concurrent use. The zero value
// is ready to use.
type rangePeers struct {
	mu     sync.Mutex
	swarms map[spate.InfoHash][]rangePeer // guarded by mu
}

// rangePeer is a seed that serves ranges.
type rangePeer struct {
	addr  netip.AddrPort
	until time.Time // when it is forgotten unless it announces again
}

// note adds or removes the peer of an announce over HTTP that was processed.
func (p *rangePeers) note(c *call, expire time.Duration) {
	if !c.req.Ranges && c.req.Event != tracker.EventStopped && c.req.Event != tracker.EventPaused {
		return // most peers of most swarms; one that no longer serves ranges expires
	}
	serves := c.req.Ranges && c.req.Seed() && !c.hidden && c.peer.Addr() == c.from && c.req.Event != tracker.EventStopped
	p.mu.Lock()
	defer p.mu.Unlock()
	all, known := p.swarms[c.req.InfoHash]
	if !known && !serves {
		return
	}
	all = slices.DeleteFunc(all, func(o rangePeer) bool { return o.addr == c.peer || c.now.After(o.until) })
	if serves && neighbors(all, c.from) < maxRangeNeighbor {
		one := rangePeer{c.peer, c.now.Add(expire)}
		if len(all) < maxRangePeers {
			all = append(all, one)
		} else {
			all[rand.IntN(len(all))] = one
		}
	}
	if len(all) == 0 {
		delete(p.swarms, c.req.InfoHash)
		return
	}
	if p.swarms == nil {
		p.swarms = map[spate.InfoHash][]rangePeer{}
	}
	if !known && len(p.swarms) >= maxRangeSwarms {
		for ih := range p.swarms {
			delete(p.swarms, ih)
			break
		}
	}
	p.swarms[c.req.InfoHash] = all
}

// neighbors returns how many of the peers are in the network of an address on the internet.
func neighbors(all []rangePeer, addr netip.Addr) (n int) {
	if netguard.KindOf(addr) != netguard.Public {
		return 0
	}
	for _, o := range all {
		if fairpool.Prefix(o.addr.Addr()) == fairpool.Prefix(addr) {
			n++
		}
	}
	return n
}

// appendTo appends a few random peers of a swarm for a page at an address. A page on the internet is
// told no private addresses, because its browser would ask the visitor whether it may use them.
func (p *rangePeers) appendTo(to []netip.AddrPort, now time.Time, ih spate.InfoHash, page netip.Addr) []netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.swarms[ih]
	private := netguard.KindOf(page) != netguard.Public
	for _, i := range rand.Perm(len(all)) {
		o := all[i]
		if now.After(o.until) || !private && netguard.KindOf(o.addr.Addr()) != netguard.Public {
			continue
		}
		if to = append(to, o.addr); len(to) == min(toldRangePeers, wire.MaxWSRanges) {
			break
		}
	}
	return to
}

package torrent

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// punches bounds what others make a session do with holepunch messages. The zero value is ready to
// use.
type punches struct {
	mu      sync.Mutex // guards the fields below
	running int
	dialled map[netip.AddrPort]punched
	// introduced are the introductions of the last punchEvery, the oldest first, and partners
	// the addresses that each address was introduced to in them, in the same order.
	introduced []introduction
	partners   map[netip.AddrPort][]netip.AddrPort
}

// punched is a punch of the last punchEvery.
type punched struct {
	at    time.Time
	relay netip.Prefix // where the relay is; see askerOf
}

// introduction is two peers that a session has introduced to each other.
type introduction struct {
	at   time.Time
	a, b netip.AddrPort
}

// take reports whether an address may be dialled now that a relay has named, and records that it
// is. The caller calls end after the dial, or giveBack instead of it. Relays at one address get at
// most half of the punches that the others leave, so that a few addresses cannot use up all.
func (p *punches) take(addr netip.AddrPort, relay netip.Addr, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	here, by, host, asked := askerOf(addr.Addr()), askerOf(relay), 0, 0
	for a, d := range p.dialled {
		switch {
		case now.Sub(d.at) >= punchEvery:
			delete(p.dialled, a)
			continue
		case a == addr:
			return false
		case here.Contains(a.Addr()):
			host++
		}
		if d.relay == by {
			asked++
		}
	}
	if p.running >= maxPunches || len(p.dialled) >= maxAllPunches || host >= maxPunchesAt {
		return false
	}
	if left := maxAllPunches - (len(p.dialled) - asked); asked >= max(left/2, 1) {
		return false
	}
	if p.dialled == nil {
		p.dialled = map[netip.AddrPort]punched{}
	}
	p.dialled[addr] = punched{now, by}
	p.running++
	return true
}

// end records that a punch has ended.
func (p *punches) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
}

// giveBack undoes take, because nothing was dialled.
func (p *punches) giveBack(addr netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.dialled, addr)
	p.running--
}

// awaits reports whether a connection from addr most likely comes through a hole that this side
// has punched.
func (p *punches) awaits(addr netip.AddrPort, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, ok := p.dialled[addr]
	return ok && now.Sub(d.at) < 2*punchTimeout
}

// mayIntroduce reports whether the peers at two addresses may be introduced now, as the first one
// asks, and records that they are.
func (p *punches) mayIntroduce(from, to netip.AddrPort, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.introduced) > 0 && now.Sub(p.introduced[0].at) >= punchEvery {
		one := p.introduced[0]
		p.introduced = p.introduced[1:]
		p.forgetPartner(one.a)
		p.forgetPartner(one.b)
	}
	partners := p.partners[to]
	if len(p.introduced) >= maxPairs || len(partners) >= maxIntroduced || slices.Contains(partners, from) {
		return false
	}
	asker, by := askerOf(from.Addr()), 0
	for _, a := range partners {
		if asker.Contains(a.Addr()) {
			by++
		}
	}
	if by >= maxIntroducedBy {
		return false
	}
	if p.partners == nil {
		p.partners = map[netip.AddrPort][]netip.AddrPort{}
	}
	p.introduced = append(p.introduced, introduction{now, from, to})
	p.partners[from] = append(p.partners[from], to)
	p.partners[to] = append(partners, from)
	return true
}

// forgetPartner removes the oldest introduction of an address.
func (p *punches) forgetPartner(addr netip.AddrPort) {
	if rest := p.partners[addr][1:]; len(rest) > 0 {
		p.partners[addr] = rest
	} else {
		delete(p.partners, addr)
	}
}

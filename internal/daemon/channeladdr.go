package daemon

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"spate/internal/netguard"
	"spate/internal/reach"
	"spate/portmap"
)

// channelAddr finds the addresses that descriptions of data channels name. It is safe for
// concurrent use.
type channelAddr struct {
	bind netip.Addr
	port uint16
	now  func() time.Time

	mu      sync.Mutex // guards the fields below
	session *Session   // nil until it is open
	found   []netip.AddrPort
	open    bool // others reach the addresses without a packet from this side first
	until   time.Time
}

// channelAddrFor is how long the addresses are used until they are looked up again.
const channelAddrFor = 10 * time.Second

func (c *channelAddr) addrs() []netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshLocked()
	return c.found
}

func (c *channelAddr) reachable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshLocked()
	return c.open
}

// set gives the session, which knows the router.
func (c *channelAddr) set(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.until = s, time.Time{}
}

func (c *channelAddr) refreshLocked() {
	now := c.now()
	if !now.After(c.until) {
		return
	}
	f := channelFacts{bind: c.bind, port: c.port}
	if !c.bind.IsLoopback() {
		f.local = outwardAddrs()
	}
	if s := c.session; s != nil {
		f.mapped4, f.seen = s.mapped().Reached(portmap.UDP, c.port), s.seenAddress().addr
		if s.ports != nil {
			f.mapped6 = s.ports.Status().IPv6.Reached(portmap.UDP, c.port)
		}
		asked := s.asks.known(s.reachedNow())
		f.udp4, f.udp6 = udpResult(asked, "udp4"), udpResult(asked, "udp6")
	}
	c.found, c.open = f.choose()
	c.until = now.Add(channelAddrFor)
}

// udpResult returns whether peers that were asked could connect over a network.
func udpResult(asked reach.DialBack, network string) reach.Result {
	if c := asked.Of(network); c != nil {
		return c.Result
	}
	return reach.Unknown
}

// channelFacts is what is known about the addresses of the UDP port of the peers.
type channelFacts struct {
	bind             netip.Addr
	port             uint16
	local            []netip.Addr   // addresses from which this machine reaches others, one of each family
	mapped4, mapped6 netip.AddrPort // addresses at which a router passes packets on
	seen             netip.Addr     // IPv4 address that others see
	udp4, udp6       reach.Result   // whether peers that were asked reach the port
}

// choose returns the addresses to name, and whether others reach all of them without a packet from
// this side first. An address of a private network is named only if no public one is known.
func (f channelFacts) choose() (found []netip.AddrPort, open bool) {
	if f.bind.IsValid() && !f.bind.IsUnspecified() {
		f.local = []netip.Addr{f.bind}
		if f.bind.Unmap().Is6() {
			f.mapped4, f.seen = netip.AddrPort{}, netip.Addr{}
		}
	}
	var public4, public6, private []netip.AddrPort
	translated := false // a router has the public IPv4 address of this machine
	for _, a := range f.local {
		a = a.Unmap().WithZone("")
		ap := netip.AddrPortFrom(a, f.port)
		switch kind := netguard.KindOf(a); {
		case kind == netguard.Public && a.Is4():
			public4 = append(public4, ap)
		case kind == netguard.Public:
			public6 = append(public6, ap)
		case kind == netguard.Private, kind == netguard.Loopback:
			private = append(private, ap)
			translated = translated || a.Is4() && kind == netguard.Private
		}
	}
	open4, open6 := f.open4(public4, translated), f.open6(public4, public6)
	switch {
	case f.mapped4.IsValid() && !slices.Contains(public4, f.mapped4):
		public4 = append(public4, f.mapped4)
	case len(public4) == 0 && f.seen.IsValid():
		public4 = append(public4, netip.AddrPortFrom(f.seen, f.port)) // most routers keep the port
	}
	if m := f.mapped6; m.IsValid() && len(public6) > 0 && !slices.Contains(public6, m) {
		public6 = append(public6, m)
	}
	if found = append(public4, public6...); len(found) > 0 {
		return found, open4 && open6
	}
	return private, !slices.ContainsFunc(private, func(a netip.AddrPort) bool { return !a.Addr().IsLoopback() })
}

// open4 reports whether others reach the port over IPv4, or this machine has no IPv4: it has a
// public address, a router maps the port, or peers have connected. Without that, a peer that has
// IPv4 only is reached by checks from this side only, even if no IPv4 address is named.
func (f *channelFacts) open4(public []netip.AddrPort, translated bool) bool {
	switch f.udp4 {
	case reach.Reachable:
		return true
	case reach.Unreachable:
		return false
	}
	return len(public) > 0 || f.mapped4.IsValid() || !translated && !f.seen.IsValid()
}

// open6 reports whether others reach the port over IPv6, or this machine has no public IPv6
// address. Routers of homes refuse packets to public IPv6 addresses that they were not asked to let
// in, so that such an address proves nothing unless the IPv4 address is public too.
func (f *channelFacts) open6(public4, public6 []netip.AddrPort) bool {
	switch {
	case len(public6) == 0, f.udp6 == reach.Reachable:
		return true
	case f.udp6 == reach.Unreachable:
		return false
	}
	return f.mapped6.IsValid() || len(public4) > 0
}

package portmap

import (
	"net/netip"
	"slices"

	"spate/internal/netguard"
)

// Status is the state of a [Mapper].
type Status struct {
	IPv4, IPv6 Family
}

// Family is the state of one address family.
type Family struct {
	Gateway netip.Addr // the router; the zero Addr if none was found
	Local   netip.Addr // the address of this machine to which the router maps
	Way     Way        // how the router was asked; None while nothing is mapped
	// External is the address that the router says it has on the internet. Behind another
	// NAT, such as a carrier's, it is private. For IPv6 it is the address of this machine.
	External netip.Addr
	Mappings []Mapping // what is mapped
	// Err says why a rule, or everything, is not mapped; nil if all rules are mapped.
	Err error
}

// Mapping is a port that the router passes to this machine.
type Mapping struct {
	Protocol Protocol // TCP or UDP
	Internal uint16   // the port of this machine
	External uint16   // the port of the router
	// Permanent is true if the router keeps the mapping until it is removed.
	Permanent bool
}

// BehindNAT reports whether the router itself has a private address, so that its mappings are not
// reached from the internet. Carriers share one public address among customers so (RFC 6598).
func (f Family) BehindNAT() bool {
	return f.External.IsValid() && netguard.KindOf(f.External) != netguard.Public
}

// Reached returns the address at which others on the internet reach a port of this machine, or
// the zero AddrPort if the router maps none or has a private address.
func (f Family) Reached(p Protocol, internal uint16) netip.AddrPort {
	if !f.External.IsValid() || f.BehindNAT() {
		return netip.AddrPort{}
	}
	for _, m := range f.Mappings {
		if m.Protocol == p && m.Internal == internal {
			return netip.AddrPortFrom(f.External, m.External)
		}
	}
	return netip.AddrPort{}
}

func (f Family) equal(g Family) bool {
	sameErr := f.Err == nil && g.Err == nil || f.Err != nil && g.Err != nil && f.Err.Error() == g.Err.Error()
	return sameErr && f.Gateway == g.Gateway && f.Local == g.Local && f.Way == g.Way && f.External == g.External && slices.Equal(f.Mappings, g.Mappings)
}

func (s Status) clone() Status {
	s.IPv4.Mappings, s.IPv6.Mappings = slices.Clone(s.IPv4.Mappings), slices.Clone(s.IPv6.Mappings)
	return s
}

package trackerserver

import (
	"net/netip"

	"spate/internal/netguard"
)

// local reports whether a belongs to this machine or a private network: who
// announces from there is trusted to say its own address.
func local(a netip.Addr) bool {
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}

// connectable reports whether a can be the address of a peer.
func connectable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// mayClaim reports whether a can be the address that a peer says it has: one of a peer,
// and not a cloud's metadata service, which others would dial then.
func mayClaim(a netip.Addr) bool {
	return connectable(a) && netguard.KindOf(a) != netguard.Metadata
}

// contains reports whether one of nets contains a.
func contains(nets []netip.Prefix, a netip.Addr) bool {
	for i := range nets {
		if nets[i].Contains(a) {
			return true
		}
	}
	return false
}

// canonicalNets returns nets as they match canonical addresses: IPv4-mapped
// prefixes become IPv4 ones.
func canonicalNets(nets []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(nets))
	for _, p := range nets {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		out = append(out, p.Masked())
	}
	return out
}

package trackerserver

import (
	"net/netip"

	"spate/internal/netguard"
)

// local reports whether a is an address of this machine or of a private network. A peer
// that announces from there may claim another address.
func local(a netip.Addr) bool {
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}

// connectable reports whether a can be the address of a peer.
func connectable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// mayClaim reports whether a peer that announces from the address from may claim the address a.
// a may not be nearer to this machine than from, because NATCheck would connect to it, and not
// the metadata service of a cloud, because other peers would connect to it.
func mayClaim(from, a netip.Addr) bool {
	return connectable(a) && netguard.From(from).Check(a) == nil
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

// canonicalNets converts nets so that they match canonical addresses: IPv4-mapped IPv6
// prefixes become IPv4 prefixes.
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

package netguard

import (
	"net"
	"net/netip"
)

// place is the relation of an address to the network interfaces of this machine.
type place uint8

const (
	elsewhere place = iota
	own             // the address of an interface
	broadcast       // the broadcast address of an interface's IPv4 network
)

// placeOf returns the relation of a to the interfaces of this machine. If the system does not
// list them, every address is elsewhere. It returns elsewhere if Dial makes the connections,
// because they may then start from another machine.
func (d *Dialer) placeOf(a netip.Addr) place {
	if d.Dial != nil {
		return elsewhere
	}
	list := d.interfaces
	if list == nil {
		list = net.InterfaceAddrs
	}
	addrs, err := list()
	if err != nil {
		return elsewhere
	}
	found := elsewhere
	a = a.WithZone("").Unmap()
	for _, ia := range addrs {
		p, err := netip.ParsePrefix(ia.String())
		if err != nil {
			continue
		}
		if p.Addr().Unmap() == a {
			return own
		}
		if last, ok := broadcastOf(p); ok && last == a {
			found = broadcast
		}
	}
	return found
}

// broadcastOf returns the broadcast address of an interface's network, if it has one (RFC 919,
// 3021).
func broadcastOf(p netip.Prefix) (netip.Addr, bool) {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}, false
	}
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b), true
}

// from returns the reach of a redirect or a link that the server at a sent: that of [From], and
// the own addresses of this machine if a is one.
func (d *Dialer) from(a netip.Addr) Reach {
	r := From(a)
	if d.Dial != nil || a.IsValid() && d.placeOf(a) == own {
		r |= toOwn
	}
	return r
}

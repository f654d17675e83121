package fairpool

import (
	"encoding/binary"
	"net/netip"
)

// Network is an IPv4 /24 or an IPv6 /48 as a number. Each holder with the zero Network
// counts as a network of its own.
type Network uint64

// Prefix returns the /24 or the /48 of a, and the zero Network for an invalid address.
func Prefix(a netip.Addr) Network {
	a = a.Unmap()
	switch {
	case a.Is4():
		b := a.As4()
		return Network(b[0])<<16 | Network(b[1])<<8 | Network(b[2]) | 1<<63
	case a.Is6():
		b := a.As16()
		return Network(binary.BigEndian.Uint64(b[:8])>>16) | 1<<62
	}
	return 0
}

// NetworkOf returns the network of the client at address a. It returns the zero Network for
// loopback, because many clients can share that address.
func NetworkOf(a netip.Addr) Network {
	if a.Unmap().IsLoopback() {
		return 0
	}
	return Prefix(a)
}

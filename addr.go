package spate

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// The sizes in bytes of one compact peer address: IPv4 (BEP 23) and IPv6 (BEP 7).
const (
	CompactLen4 = 6
	CompactLen6 = 18
)

// ErrBadCompact is returned for a compact peer list whose length is not a multiple of
// the address size.
var ErrBadCompact = errors.New("compact peer list has a partial address")

// CanonicalAddr converts an IPv4-mapped IPv6 address to IPv4, and removes the zone of an
// address that is not link-local, so that equal endpoints compare equal. A link-local IPv6
// address keeps its zone, because it leads to another host on each interface.
func CanonicalAddr(ap netip.AddrPort) netip.AddrPort {
	a := ap.Addr().Unmap()
	if !a.Is6() || !a.IsLinkLocalUnicast() {
		a = a.WithZone("")
	}
	return netip.AddrPortFrom(a, ap.Port())
}

// AppendCompact appends the compact form of ap to b: 6 bytes for IPv4 (BEP 23), 18
// bytes for IPv6 (BEP 7). It appends nothing if ap is not valid.
func AppendCompact(b []byte, ap netip.AddrPort) []byte {
	if !ap.IsValid() {
		return b
	}
	a := ap.Addr().Unmap()
	if a.Is4() {
		v := a.As4()
		b = append(b, v[:]...)
	} else {
		v := a.As16()
		b = append(b, v[:]...)
	}
	return binary.BigEndian.AppendUint16(b, ap.Port())
}

// AppendPeers4 appends to dst the addresses of the compact IPv4 list b (BEP 23). It
// returns dst unchanged and [ErrBadCompact] if b has a partial address.
func AppendPeers4(dst []netip.AddrPort, b []byte) ([]netip.AddrPort, error) {
	if len(b)%CompactLen4 != 0 {
		return dst, ErrBadCompact
	}
	for ; len(b) > 0; b = b[CompactLen4:] {
		dst = append(dst, netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), binary.BigEndian.Uint16(b[4:])))
	}
	return dst, nil
}

// AppendPeers6 appends to dst the addresses of the compact IPv6 list b (BEP 7). It
// returns dst unchanged and [ErrBadCompact] if b has a partial address. IPv4-mapped
// addresses become plain IPv4.
func AppendPeers6(dst []netip.AddrPort, b []byte) ([]netip.AddrPort, error) {
	if len(b)%CompactLen6 != 0 {
		return dst, ErrBadCompact
	}
	for ; len(b) > 0; b = b[CompactLen6:] {
		a := netip.AddrFrom16([16]byte(b[:16])).Unmap()
		dst = append(dst, netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[16:])))
	}
	return dst, nil
}

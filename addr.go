package spate

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Sizes in bytes of one compact peer address (BEP 23, BEP 7).
const (
	CompactLen4 = 6
	CompactLen6 = 18
)

// ErrBadCompact is the error for a compact list whose length is not a multiple
// of its stride.
var ErrBadCompact = errors.New("compact peer list has a partial address")

// CanonicalAddr returns ap with an IPv4-mapped IPv6 address as plain IPv4 and
// without a zone, so that one endpoint has one value.
func CanonicalAddr(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// AppendCompact appends the compact form of ap: 6 bytes for IPv4 (BEP 23), 18
// for IPv6 (BEP 7). It appends nothing for the zero value.
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

// AppendPeers4 appends to dst the addresses of a compact IPv4 list (BEP 23).
func AppendPeers4(dst []netip.AddrPort, b []byte) ([]netip.AddrPort, error) {
	if len(b)%CompactLen4 != 0 {
		return dst, ErrBadCompact
	}
	for ; len(b) > 0; b = b[CompactLen4:] {
		dst = append(dst, netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), binary.BigEndian.Uint16(b[4:])))
	}
	return dst, nil
}

// AppendPeers6 appends to dst the addresses of a compact IPv6 list (BEP 7).
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

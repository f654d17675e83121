package peerlist

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"

	"spate"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Priority returns the canonical priority of a connection between two peers (BEP 40). Both
// sides compute the same number. It is 0 for addresses of different families.
func Priority(a, b netip.AddrPort) uint32 {
	a, b = spate.CanonicalAddr(a), spate.CanonicalAddr(b)
	x, y := a.Addr(), b.Addr()
	if !x.IsValid() || !y.IsValid() || x.Is4() != y.Is4() {
		return 0
	}
	if x == y {
		lo, hi := min(a.Port(), b.Port()), max(a.Port(), b.Port())
		var ports [4]byte
		binary.BigEndian.PutUint16(ports[:], lo)
		binary.BigEndian.PutUint16(ports[2:], hi)
		return crc32.Checksum(ports[:], castagnoli)
	}
	var buf [32]byte
	p, q := x.AsSlice(), y.AsSlice()
	n := len(p)
	mask(p, q, n)
	if string(q) < string(p) {
		p, q = q, p
	}
	copy(buf[:], p)
	copy(buf[n:], q)
	return crc32.Checksum(buf[:2*n], castagnoli)
}

// mask clears the bits that do not count for the priority. The first two bytes of an IPv4
// address, or six of an IPv6 address, count in full. If both addresses have these bytes in
// common, more bytes count.
func mask(p, q []byte, n int) {
	full := 2
	if n == 16 {
		full = 6
	}
	common := 0
	for common < n && p[common] == q[common] {
		common++
	}
	if common >= full {
		full = common + 1
	}
	for i := full; i < n; i++ {
		p[i] &= 0x55
		q[i] &= 0x55
	}
}

// SetOwn sets our address as other peers see it, one for each family. The priorities depend
// on it. With a wrong address, the peers of the swarm disagree on them.
func (l *List) SetOwn(a netip.Addr) {
	a = a.Unmap().WithZone("")
	family := 0
	if a.Is6() {
		family = 1
	}
	if !a.IsValid() || l.own[family] == a {
		return
	}
	l.own[family] = a
	for i := range l.all {
		l.all[i].prio = l.priority(l.all[i].addr)
	}
}

// priority returns the priority of a candidate (BEP 40). While our own address is unknown it
// returns a number that other hosts cannot predict.
func (l *List) priority(a netip.AddrPort) uint32 {
	own := l.own[0]
	if a.Addr().Is6() {
		own = l.own[1]
	}
	if !own.IsValid() {
		own = l.opt.Self.Addr()
	}
	if own.IsValid() && !own.IsUnspecified() && own.Is4() == a.Addr().Is4() {
		return Priority(netip.AddrPortFrom(own, l.advertisedPort()), a)
	}
	var b [26]byte
	binary.LittleEndian.PutUint64(b[:], l.opt.Seed)
	ip := a.Addr().As16()
	copy(b[8:], ip[:])
	binary.BigEndian.PutUint16(b[24:], a.Port())
	return crc32.Checksum(b[:], castagnoli)
}

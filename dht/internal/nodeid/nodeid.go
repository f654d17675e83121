// Package nodeid makes and checks the identifiers of DHT nodes (BEP 42) and computes XOR
// distances between identifiers (BEP 5).
//
// Its functions take arrays of 20 bytes, so that node ids, info-hashes and the targets of
// items need no conversion. They allocate nothing.
package nodeid

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"net/netip"
)

// Bits is the number of bits of an identifier.
const Bits = 160

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// carrierGrade contains the addresses that carriers give to customers behind a NAT (RFC
// 6598). Only nodes behind the same NAT see such an address.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// Make returns an identifier that BEP 42 allows for a node with the external address a. Bits
// that BEP 42 leaves free come from random, so that the nodes behind one NAT get different
// identifiers. For an exempt or invalid address Make returns random.
func Make(a netip.Addr, random [20]byte) [20]byte {
	if !a.IsValid() || Exempt(a) {
		return random
	}
	id := random
	sum := prefix(a, random[19])
	id[0], id[1] = byte(sum>>24), byte(sum>>16)
	id[2] = byte(sum>>8)&0xf8 | random[2]&0x07
	return id
}

// Valid reports whether BEP 42 allows the identifier for a node with the external address a.
// Every identifier is valid for an exempt address, and none for an invalid address.
func Valid(id [20]byte, a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	if Exempt(a) {
		return true
	}
	const checked = 0xffff_f800 // the first 21 bits
	return (binary.BigEndian.Uint32(id[:])^prefix(a, id[19]))&checked == 0
}

// Exempt reports whether nodes with address a may have any identifier because the address is
// local (BEP 42): loopback, private, link-local, or shared by the customers of a carrier.
func Exempt(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || carrierGrade.Contains(a)
}

// prefix returns the CRC-32C whose first 21 bits an identifier for address a must have. last
// is the last byte of the identifier.
func prefix(a netip.Addr, last byte) uint32 {
	r := uint64(last & 7)
	var b [8]byte
	if a = a.Unmap(); a.Is4() {
		ip := a.As4()
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(ip[:])&0x030f3fff|uint32(r<<29))
		return crc32c(b[:4])
	}
	ip := a.As16()
	binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(ip[:])&0x0103070f1f3f7fff|r<<61)
	return crc32c(b[:])
}

// crc32c returns the CRC-32C of b. It exists because crc32.Checksum makes the caller allocate b.
func crc32c(b []byte) uint32 {
	crc := ^uint32(0)
	for _, x := range b {
		crc = castagnoli[byte(crc)^x] ^ crc>>8
	}
	return ^crc
}

// Distance returns the XOR distance between a and b.
func Distance(a, b [20]byte) (d [20]byte) {
	for i := range d {
		d[i] = a[i] ^ b[i]
	}
	return d
}

// Compare returns -1 if a is closer to target than b, 1 if b is closer, and 0 if a equals b.
func Compare(target, a, b [20]byte) int {
	da, db := Distance(target, a), Distance(target, b)
	return bytes.Compare(da[:], db[:])
}

// CommonBits returns the number of leading bits that a and b have in common, from 0 to
// [Bits].
func CommonBits(a, b [20]byte) int {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return Bits
}

// WithPrefix returns an identifier that consists of the first n bits of id and the other bits
// of random. n is from 0 to [Bits].
func WithPrefix(id [20]byte, n int, random [20]byte) [20]byte {
	out := random
	whole := n / 8
	copy(out[:whole], id[:whole])
	if rest := n % 8; rest > 0 {
		mask := byte(0xff) << (8 - rest)
		out[whole] = id[whole]&mask | random[whole]&^mask
	}
	return out
}

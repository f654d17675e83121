// Package stun answers the binding requests of STUN (RFC 8489), by which a client behind a
// router learns the address that others see.
package stun

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

const (
	headerLen = 20
	cookie    = 0x2112a442

	bindingRequest  = 0x0001
	bindingResponse = 0x0101

	attrUsername         = 0x0006
	attrXORMappedAddress = 0x0020
	attrFingerprint      = 0x8028
	optionalAttributes   = 0x8000 // attributes from here on may be ignored

	fingerprintLen = 8
	fingerprintXOR = 0x5354554e

	family4, family6 = 1, 2
)

// MaxAnswer is the length in bytes of the longest answer.
const MaxAnswer = headerLen + 4 + 20 + fingerprintLen

// Is reports whether packet is a message of STUN: it has the cookie, a valid type, and the length
// that its head says. No packet of BitTorrent looks so, except by a chance of 1 in 2^32.
func Is(packet []byte) bool {
	return len(packet) >= headerLen && packet[0]&0xc0 == 0 && binary.BigEndian.Uint32(packet[4:]) == cookie &&
		len(packet)%4 == 0 && int(binary.BigEndian.Uint16(packet[2:])) == len(packet)-headerLen
}

// HasUsername reports whether the STUN message packet has the attribute USERNAME, as the
// connectivity checks of ICE do (RFC 8445).
func HasUsername(packet []byte) bool {
	if !Is(packet) {
		return false
	}
	for a := range attributes(packet) {
		if a == attrUsername {
			return true
		}
	}
	return false
}

// attributes iterates over the types and offsets of the attributes of a message. It ends at an
// attribute that does not fit, for which it yields the type of an unknown attribute.
func attributes(packet []byte) func(yield func(kind uint16, at int) bool) {
	return func(yield func(uint16, int) bool) {
		for at := headerLen; at < len(packet); {
			kind, size := binary.BigEndian.Uint16(packet[at:]), int(binary.BigEndian.Uint16(packet[at+2:]))
			next := at + 4 + (size+3)&^3
			if next > len(packet) {
				yield(0, at)
				return
			}
			if !yield(kind, at) {
				return
			}
			at = next
		}
	}
}

// Answer appends to dst the answer to a binding request from the address from, which the answer
// names. It returns nil if packet gets no answer: if it is no binding request, is malformed, has a
// username, or has an attribute that its server must understand. The answer has a fingerprint if
// the request has one. It is at most 2.2 times as long as the request.
func Answer(dst, packet []byte, from netip.AddrPort) []byte {
	if !Is(packet) || binary.BigEndian.Uint16(packet) != bindingRequest || !from.IsValid() {
		return nil
	}
	fingerprint := false
	for kind, at := range attributes(packet) {
		switch {
		case fingerprint: // it must be the last one
			return nil
		case kind == attrFingerprint:
			if at+fingerprintLen != len(packet) || binary.BigEndian.Uint32(packet[at+4:]) != fingerprintOf(packet[:at]) {
				return nil
			}
			fingerprint = true
		case kind < optionalAttributes:
			return nil
		}
	}
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, bindingResponse)
	dst = append(dst, 0, 0) // the length, set below
	dst = append(dst, packet[4:headerLen]...)
	dst = appendXORMappedAddress(dst, packet[4:headerLen], from)
	length := len(dst) - start - headerLen
	if fingerprint {
		length += fingerprintLen
	}
	binary.BigEndian.PutUint16(dst[start+2:], uint16(length))
	if fingerprint {
		sum := fingerprintOf(dst[start:])
		dst = binary.BigEndian.AppendUint16(dst, attrFingerprint)
		dst = binary.BigEndian.AppendUint16(dst, 4)
		dst = binary.BigEndian.AppendUint32(dst, sum)
	}
	return dst
}

// appendXORMappedAddress appends the attribute with an address (RFC 8489, section 14.2). key is the
// cookie and the transaction id.
func appendXORMappedAddress(dst, key []byte, from netip.AddrPort) []byte {
	addr := from.Addr().Unmap()
	family, size := byte(family4), 4
	if addr.Is6() {
		family, size = family6, 16
	}
	dst = binary.BigEndian.AppendUint16(dst, attrXORMappedAddress)
	dst = binary.BigEndian.AppendUint16(dst, uint16(4+size))
	dst = append(dst, 0, family)
	dst = binary.BigEndian.AppendUint16(dst, from.Port()^cookie>>16)
	if addr.Is4() {
		b := addr.As4()
		dst = append(dst, b[:]...)
	} else {
		b := addr.As16()
		dst = append(dst, b[:]...)
	}
	for i := range size {
		dst[len(dst)-size+i] ^= key[i]
	}
	return dst
}

// fingerprintOf returns the fingerprint of a message whose other attributes are in b (RFC 8489,
// section 14.7).
func fingerprintOf(b []byte) uint32 { return crc32.ChecksumIEEE(b) ^ fingerprintXOR }

package webrtc

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// Parts of STUN (RFC 8489) that the checks of ICE (RFC 8445) use.
const (
	stunHeader = 20
	stunCookie = 0x2112A442

	bindingRequest    = 0x0001
	bindingIndication = 0x0011
	bindingSuccess    = 0x0101
	bindingError      = 0x0111

	attrUsername       = 0x0006
	attrIntegrity      = 0x0008
	attrErrorCode      = 0x0009
	attrXorMapped      = 0x0020
	attrPriority       = 0x0024
	attrUseCandidate   = 0x0025
	attrFingerprint    = 0x8028
	attrIceControlled  = 0x8029
	attrIceControlling = 0x802A

	integritySize   = 4 + sha1.Size
	fingerprintSize = 4 + 4
	fingerprintXor  = 0x5354554e
)

// check is a STUN message of ICE. It refers to the packet that it was parsed from.
type check struct {
	kind         uint16
	id           [12]byte
	username     []byte
	useCandidate bool
	integrity    int // offset of MESSAGE-INTEGRITY; 0 if there is none
}

// isSTUN reports whether a packet is a STUN message.
func isSTUN(b []byte) bool {
	return len(b) >= stunHeader && b[0] < 4 && binary.BigEndian.Uint32(b[4:]) == stunCookie && int(binary.BigEndian.Uint16(b[2:])) == len(b)-stunHeader
}

// parseCheck parses a STUN message. It ignores attributes that ICE does not need.
func parseCheck(b []byte) (c check, ok bool) {
	if !isSTUN(b) || len(b)%4 != 0 {
		return c, false
	}
	c.kind = binary.BigEndian.Uint16(b)
	copy(c.id[:], b[8:])
	for at := stunHeader; at < len(b); {
		if len(b)-at < 4 {
			return c, false
		}
		kind, n := binary.BigEndian.Uint16(b[at:]), int(binary.BigEndian.Uint16(b[at+2:]))
		if n > len(b)-at-4 {
			return c, false
		}
		value := b[at+4 : at+4+n]
		switch kind {
		case attrUsername:
			c.username = value
		case attrUseCandidate:
			c.useCandidate = true
		case attrIntegrity:
			if n != sha1.Size {
				return c, false
			}
			c.integrity = at
			return c, true // attributes after it, other than the fingerprint, are not protected
		}
		at += 4 + (n+3)&^3
	}
	return c, true
}

// authentic reports whether the packet b, which was parsed as c, has the integrity of a password.
func (c *check) authentic(b []byte, password string) bool {
	if c.integrity == 0 {
		return false
	}
	sum := integrityOf(b[:c.integrity], password)
	return hmac.Equal(sum[:], b[c.integrity+4:c.integrity+integritySize])
}

// integrityOf returns the MESSAGE-INTEGRITY of a message that ends before that attribute.
func integrityOf(b []byte, password string) (sum [sha1.Size]byte) {
	var length [2]byte
	binary.BigEndian.PutUint16(length[:], uint16(len(b)-stunHeader+integritySize))
	h := hmac.New(sha1.New, []byte(password))
	h.Write(b[:2])
	h.Write(length[:])
	h.Write(b[4:])
	h.Sum(sum[:0])
	return sum
}

// appendHeader begins a STUN message.
func appendHeader(b []byte, kind uint16, id [12]byte) []byte {
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, stunCookie)
	return append(b, id[:]...)
}

// appendAttr appends an attribute.
func appendAttr(b []byte, kind uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// seal appends MESSAGE-INTEGRITY and FINGERPRINT to a message that begins at b[0].
func seal(b []byte, password string) []byte {
	sum := integrityOf(b, password)
	b = appendAttr(b, attrIntegrity, sum[:])
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-stunHeader+fingerprintSize))
	crc := crc32.ChecksumIEEE(b) ^ fingerprintXor
	return appendAttr(b, attrFingerprint, binary.BigEndian.AppendUint32(nil, crc))
}

// successFor returns the answer to a check that came from an address.
func successFor(id [12]byte, from netip.AddrPort, password string) []byte {
	b := appendHeader(make([]byte, 0, 96), bindingSuccess, id)
	var value [20]byte
	v := value[:8]
	v[1] = 1
	addr := from.Addr().Unmap()
	if addr.Is6() {
		v, v[1] = value[:20], 2
	}
	binary.BigEndian.PutUint16(v[2:], from.Port()^stunCookie>>16)
	copy(v[4:], addr.AsSlice())
	for i := range v[4:] {
		v[4+i] ^= b[4+i] // the cookie, then the transaction id
	}
	return seal(appendAttr(b, attrXorMapped, v), password)
}

// binding describes a check that this side sends.
type binding struct {
	id          [12]byte
	username    string
	password    string // of the other side
	controlling bool
	nominate    bool
	tieBreaker  uint64
}

// packet returns the check as a packet.
func (r *binding) packet() []byte {
	b := appendHeader(make([]byte, 0, 160), bindingRequest, r.id)
	b = appendAttr(b, attrUsername, []byte(r.username))
	b = appendAttr(b, attrPriority, binary.BigEndian.AppendUint32(nil, prflxPriority))
	role := uint16(attrIceControlled)
	if r.controlling {
		role = attrIceControlling
	}
	b = appendAttr(b, role, binary.BigEndian.AppendUint64(nil, r.tieBreaker))
	if r.nominate {
		b = appendAttr(b, attrUseCandidate, nil)
	}
	return seal(b, r.password)
}

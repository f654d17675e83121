package peerwire

import (
	"encoding/binary"
	"fmt"
)

// MaxHashes is how many hashes of a layer one request may ask for: BEP 52 names
// 512 as what suffices, and others refuse more than 8192.
const MaxHashes = 8192

// hashHeaderLen is the length in bytes of what all three messages begin with.
const hashHeaderLen = 32 + 4*4

// HashRange names hashes of one layer of a file's tree (BEP 52): the body of hash
// request and hash reject, and the beginning of hashes.
type HashRange struct {
	PiecesRoot [32]byte
	BaseLayer  uint32 // 0 are the blocks
	Index      uint32 // of the first hash in the layer, a multiple of Length
	Length     uint32 // number of hashes, a power of two from 2 on
	Proof      uint32 // number of layers above the base for which uncles are wanted
}

// AppendHashRange appends a hash request, a hash reject, or with the hashes and
// their proof as body a hashes message.
func AppendHashRange(b []byte, id ID, r *HashRange, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(1+hashHeaderLen+len(body)))
	b = append(b, byte(id))
	b = append(b, r.PiecesRoot[:]...)
	for _, n := range [4]uint32{r.BaseLayer, r.Index, r.Length, r.Proof} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return append(b, body...)
}

// ParseHashRange reads the payload of one of the three messages. rest is what
// follows the header: nothing but in hashes.
func ParseHashRange(id ID, payload []byte) (r HashRange, rest []byte, err error) {
	if len(payload) < hashHeaderLen || id != Hashes && len(payload) != hashHeaderLen {
		return r, nil, &SizeError{id, uint32(1 + len(payload))}
	}
	copy(r.PiecesRoot[:], payload)
	for i, p := range [4]*uint32{&r.BaseLayer, &r.Index, &r.Length, &r.Proof} {
		*p = binary.BigEndian.Uint32(payload[32+4*i:])
	}
	rest = payload[hashHeaderLen:]
	if len(rest)%32 != 0 {
		return r, nil, &SizeError{id, uint32(1 + len(payload))}
	}
	if r.Length < 1 || r.Length > MaxHashes || r.Length&(r.Length-1) != 0 || r.Index%r.Length != 0 ||
		r.BaseLayer > 62 || r.Proof > 62 {
		return r, nil, fmt.Errorf("%v message for layer %d, index %d, length %d, proof %d",
			id, r.BaseLayer, r.Index, r.Length, r.Proof)
	}
	return r, rest, nil
}

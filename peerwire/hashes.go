package peerwire

import (
	"encoding/binary"
	"fmt"
)

// MaxHashes limits the hashes that one request may ask for. BEP 52 recommends 512;
// other clients accept up to 8192.
const MaxHashes = 8192

// hashHeaderLen is the length in bytes of the header that all three messages start
// with.
const hashHeaderLen = 32 + 4*4

// HashRange selects hashes of one layer of a file's hash tree (BEP 52). It is the body
// of the messages hash request and hash reject, and the start of the message hashes.
type HashRange struct {
	PiecesRoot [32]byte
	BaseLayer  uint32 // layer of the hashes; 0 is the layer of block hashes
	Index      uint32 // index of the first hash in the layer, a multiple of Length
	Length     uint32 // number of hashes, a power of two
	Proof      uint32 // number of layers above BaseLayer whose uncle hashes are wanted
}

// AppendHashRange appends a complete hash request, hash reject or hashes message to b.
// body holds the hashes and their proof for a hashes message, and is empty for the
// others.
func AppendHashRange(b []byte, id ID, r *HashRange, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(1+hashHeaderLen+len(body)))
	b = append(b, byte(id))
	b = append(b, r.PiecesRoot[:]...)
	for _, n := range [4]uint32{r.BaseLayer, r.Index, r.Length, r.Proof} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return append(b, body...)
}

// ParseHashRange parses the payload of one of the three messages. rest is what follows
// the header: the hashes and their proof in a hashes message, otherwise nothing.
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

package swarm

import (
	"encoding/binary"
	"math/bits"

	"spate"
)

// keys is the secret key of the hashes of a table. Without it an attacker cannot choose
// info-hashes that fall into the same shard, or addresses that fall into the same bucket.
type keys struct{ k0, k1 uint64 }

func newKeys(seed [16]byte) keys {
	return keys{binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:])}
}

// sip is the state of SipHash-1-3 (Aumasson, Bernstein 2012).
type sip struct{ v0, v1, v2, v3 uint64 }

func (k keys) begin() sip {
	return sip{
		k.k0 ^ 0x736f6d6570736575, k.k1 ^ 0x646f72616e646f6d,
		k.k0 ^ 0x6c7967656e657261, k.k1 ^ 0x7465646279746573,
	}
}

func (s *sip) round() {
	s.v0 += s.v1
	s.v2 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v1
	s.v0 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 = bits.RotateLeft64(s.v2, 32)
}

func (s *sip) word(m uint64) {
	s.v3 ^= m
	s.round()
	s.v0 ^= m
}

func (s *sip) sum() uint64 {
	s.v2 ^= 0xff
	s.round()
	s.round()
	s.round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

// hash20 hashes 20 bytes: an info-hash or a peer id.
func (k keys) hash20(b *[20]byte) uint64 {
	s := k.begin()
	s.word(binary.LittleEndian.Uint64(b[0:8]))
	s.word(binary.LittleEndian.Uint64(b[8:16]))
	s.word(uint64(binary.LittleEndian.Uint32(b[16:20])) | 20<<56)
	return s.sum()
}

// hash1 hashes the n low bytes of m, where n < 8.
func (k keys) hash1(m uint64, n uint64) uint64 {
	s := k.begin()
	s.word(m | n<<56)
	return s.sum()
}

// hashAddr hashes the host of a compact address: the IPv4 address or the IPv6 /64. All
// entries of a host are therefore in one bucket and can be counted. On loopback, which
// has no limit per host, the port is hashed too.
func (k keys) hashAddr(a []byte) uint64 {
	if len(a) == spate.CompactLen4 {
		if a[0] == 127 {
			return k.hash1(uint64(binary.LittleEndian.Uint32(a))|uint64(binary.LittleEndian.Uint16(a[4:]))<<32, 6)
		}
		return k.hash1(uint64(binary.LittleEndian.Uint32(a)), 4)
	}
	s := k.begin()
	s.word(binary.LittleEndian.Uint64(a))
	if isLoopback(a) {
		s.word(uint64(binary.LittleEndian.Uint16(a[16:])) | 10<<56)
	} else {
		s.word(8 << 56)
	}
	return s.sum()
}

// isLoopback reports whether the compact address a is in 127.0.0.0/8 or is ::1.
func isLoopback(a []byte) bool {
	if len(a) == spate.CompactLen4 {
		return a[0] == 127
	}
	return binary.BigEndian.Uint64(a) == 0 && binary.BigEndian.Uint64(a[8:]) == 1
}

// identity hashes the identity of the announcing peer: its key, or its peer id if it
// sent no key.
func (k keys) identity(r *Request) uint64 {
	if r.Key != 0 {
		return k.hash1(uint64(r.Key), 4)
	}
	return k.hash20((*[20]byte)(&r.PeerID))
}

// rng is a small random number generator for positions and samples (splitmix64). A stronger
// generator is not needed, because the seed is secret.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number from 0 to n-1. n must be positive.
func (r *rng) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

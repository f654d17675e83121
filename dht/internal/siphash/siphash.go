// Package siphash computes SipHash-2-4 (Aumasson, Bernstein 2012), a fast keyed hash of short
// messages. Nobody without the key can predict or aim at its results, so that it serves as a
// MAC for write tokens and as the hash of tables that strangers fill.
package siphash

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Key is a secret random key.
type Key [16]byte

// Derive returns the key with that number. Each user of a secret takes a key of its own, so that the
// hashes that one of them shows to strangers, such as write tokens, tell nothing about those of another.
func (k Key) Derive(number uint64) (derived Key) {
	binary.LittleEndian.PutUint64(derived[:8], Sum(k, number, 0))
	binary.LittleEndian.PutUint64(derived[8:], Sum(k, number, 1))
	return derived
}

// Sum returns the hash of the little-endian words.
func Sum(k Key, words ...uint64) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])
	s := state{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	for _, w := range words {
		s.word(w)
	}
	s.word(uint64(len(words)) * 8 << 56)
	s.v2 ^= 0xff
	for range 4 {
		s.round()
	}
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

// Words returns the IPv6 form of an address as two words for [Sum]. An IPv4 address and its
// IPv4-mapped form have the same words.
func Words(a netip.Addr) (high, low uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

type state struct{ v0, v1, v2, v3 uint64 }

func (s *state) word(w uint64) {
	s.v3 ^= w
	s.round()
	s.round()
	s.v0 ^= w
}

func (s *state) round() {
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

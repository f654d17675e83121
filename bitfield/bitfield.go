// Package bitfield implements the bitfields of BEP 3, which are sets of piece indexes.
// The highest bit of the first byte stands for piece 0.
package bitfield

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
)

// ErrInvalid is wrapped by the errors of [FromBytes].
var ErrInvalid = errors.New("invalid bitfield")

// Bitfield is a set of integers from 0 to Len()-1. Copies of a Bitfield share their
// bits; [Bitfield.Clone] makes an independent one. The zero value is an empty set of
// length 0.
//
// A Bitfield is not safe for concurrent use. The unused bits of the last byte are
// always zero.
type Bitfield struct {
	b []byte
	n int
}

// New returns an empty set of length n. It panics if n is negative.
func New(n int) Bitfield { return Bitfield{b: make([]byte, size(n)), n: n} }

// FromBytes returns a set of length n that uses the bytes of b without copying them. It
// returns an error that wraps [ErrInvalid] if b is not ceil(n/8) bytes long or has an
// unused bit set. BEP 3 requires clients to drop a peer that sends such a bitfield.
func FromBytes(b []byte, n int) (Bitfield, error) {
	if n < 0 || len(b) != size(n) {
		return Bitfield{}, fmt.Errorf("%w: %d bytes for %d bits", ErrInvalid, len(b), n)
	}
	if spare := uint(len(b)*8 - n); spare > 0 && b[len(b)-1]&(1<<spare-1) != 0 {
		return Bitfield{}, fmt.Errorf("%w: an unused bit is set", ErrInvalid)
	}
	return Bitfield{b: b, n: n}, nil
}

func size(n int) int { return n/8 + (n%8+7)/8 }

// Len returns the length of the bitfield in bits.
func (f Bitfield) Len() int { return f.n }

// Bytes returns the bitfield as it is sent to peers (BEP 3). It does not copy the
// bits, so the caller must not change them.
func (f Bitfield) Bytes() []byte { return f.b }

// Clone returns a copy that does not share bits with f.
func (f Bitfield) Clone() Bitfield {
	return Bitfield{b: append([]byte(nil), f.b...), n: f.n}
}

// Get reports whether i is in the set. It returns false if i is out of range.
func (f Bitfield) Get(i int) bool {
	return uint(i) < uint(f.n) && f.b[i>>3]&(0x80>>(i&7)) != 0
}

// Set adds i to the set. It panics if i is out of range.
func (f Bitfield) Set(i int) {
	f.check(i)
	f.b[i>>3] |= 0x80 >> (i & 7)
}

// Clear removes i from the set. It panics if i is out of range.
func (f Bitfield) Clear(i int) {
	f.check(i)
	f.b[i>>3] &^= 0x80 >> (i & 7)
}

func (f Bitfield) check(i int) {
	if uint(i) >= uint(f.n) {
		panic(fmt.Sprintf("bitfield: index %d outside of %d bits", i, f.n))
	}
}

// SetAll adds all indexes.
func (f Bitfield) SetAll() {
	for i := range f.b {
		f.b[i] = 0xff
	}
	if len(f.b) > 0 {
		f.b[len(f.b)-1] <<= uint(len(f.b)*8 - f.n)
	}
}

// ClearAll removes all indexes.
func (f Bitfield) ClearAll() { clear(f.b) }

// Count returns the number of indexes in the set.
func (f Bitfield) Count() int {
	c, b := 0, f.b
	for ; len(b) >= 8; b = b[8:] {
		c += bits.OnesCount64(binary.NativeEndian.Uint64(b))
	}
	for _, v := range b {
		c += bits.OnesCount8(v)
	}
	return c
}

// All reports whether all indexes are in the set. It returns true if the length is 0.
func (f Bitfield) All() bool { return f.NextClear(0) < 0 }

// None reports whether the set is empty.
func (f Bitfield) None() bool { return f.NextSet(0) < 0 }

// NextSet returns the smallest index in the set that is not less than i, or -1.
func (f Bitfield) NextSet(i int) int { return f.next(i, 0) }

// NextClear returns the smallest index that is not in the set and not less than i, or
// -1.
func (f Bitfield) NextClear(i int) int { return f.next(i, 0xff) }

// next returns the smallest index not less than i whose bit is set if every byte of f
// is XORed with flip, or -1.
func (f Bitfield) next(i int, flip byte) int {
	i = max(i, 0)
	if i >= f.n {
		return -1
	}
	k := i >> 3
	if v := (f.b[k] ^ flip) & (0xff >> (i & 7)); v != 0 {
		return f.within(k, v)
	}
	wide := uint64(flip) * 0x0101010101010101
	for k++; k+8 <= len(f.b) && binary.NativeEndian.Uint64(f.b[k:]) == wide; {
		k += 8
	}
	for ; k < len(f.b); k++ {
		if v := f.b[k] ^ flip; v != 0 {
			return f.within(k, v)
		}
	}
	return -1
}

func (f Bitfield) within(k int, v byte) int {
	if i := k*8 + bits.LeadingZeros8(v); i < f.n {
		return i
	}
	return -1
}

// Ones iterates over the indexes in the set in increasing order.
func (f Bitfield) Ones() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := f.NextSet(0); i >= 0; i = f.NextSet(i + 1) {
			if !yield(i) {
				return
			}
		}
	}
}

// Zeros iterates over the indexes that are not in the set in increasing order.
func (f Bitfield) Zeros() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := f.NextClear(0); i >= 0; i = f.NextClear(i + 1) {
			if !yield(i) {
				return
			}
		}
	}
}

// Lacks reports whether g has an index that f does not have. If f and g are the
// bitfields of two peers, this means that the peer with f is interested in the peer
// with g. If their lengths differ, only the bytes that both have are compared.
func (f Bitfield) Lacks(g Bitfield) bool {
	a, b := f.b, g.b
	if m := min(len(a), len(b)); len(a) != len(b) {
		a, b = a[:m], b[:m]
	}
	for ; len(a) >= 8; a, b = a[8:], b[8:] {
		if binary.NativeEndian.Uint64(b)&^binary.NativeEndian.Uint64(a) != 0 {
			return true
		}
	}
	for i, v := range a {
		if b[i]&^v != 0 {
			return true
		}
	}
	return false
}

// Equal reports whether f and g have the same length and the same indexes.
func (f Bitfield) Equal(g Bitfield) bool { return f.n == g.n && string(f.b) == string(g.b) }

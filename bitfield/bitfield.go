// Package bitfield is a set of piece indexes in the bit order of BEP 3: piece 0
// is the highest bit of the first byte.
package bitfield

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
)

// ErrInvalid is the cause when bytes from outside are not a bit field of the
// wanted size.
var ErrInvalid = errors.New("invalid bitfield")

// Bitfield is a set of the integers from 0 to Len()-1. Copies share their bits;
// [Bitfield.Clone] does not. The zero value is an empty field of length 0.
//
// A Bitfield has no lock: who shares one between goroutines guards it. The
// spare bits of the last byte are always zero.
type Bitfield struct {
	b []byte
	n int
}

// New returns a field of n bits, all clear. It panics if n is negative.
func New(n int) Bitfield { return Bitfield{b: make([]byte, size(n)), n: n} }

// FromBytes returns a field of n bits over b, which it keeps. It is an error
// that wraps [ErrInvalid] if b has not exactly ceil(n/8) bytes, or a spare bit
// that is set: BEP 3 has a peer dropped for either.
func FromBytes(b []byte, n int) (Bitfield, error) {
	if n < 0 || len(b) != size(n) {
		return Bitfield{}, fmt.Errorf("%w: %d bytes for %d bits", ErrInvalid, len(b), n)
	}
	if spare := uint(len(b)*8 - n); spare > 0 && b[len(b)-1]&(1<<spare-1) != 0 {
		return Bitfield{}, fmt.Errorf("%w: a spare bit is set", ErrInvalid)
	}
	return Bitfield{b: b, n: n}, nil
}

func size(n int) int { return n/8 + (n%8+7)/8 }

// Len returns the number of bits.
func (f Bitfield) Len() int { return f.n }

// Bytes returns the field as BEP 3 sends it. It is not a copy.
func (f Bitfield) Bytes() []byte { return f.b }

// Clone returns a field with bits of its own.
func (f Bitfield) Clone() Bitfield {
	return Bitfield{b: append([]byte(nil), f.b...), n: f.n}
}

// Get reports whether i is in the set; false for an i outside the field.
func (f Bitfield) Get(i int) bool {
	return uint(i) < uint(f.n) && f.b[i>>3]&(0x80>>(i&7)) != 0
}

// Set adds i. It panics if i is outside the field.
func (f Bitfield) Set(i int) {
	f.check(i)
	f.b[i>>3] |= 0x80 >> (i & 7)
}

// Clear removes i. It panics if i is outside the field.
func (f Bitfield) Clear(i int) {
	f.check(i)
	f.b[i>>3] &^= 0x80 >> (i & 7)
}

func (f Bitfield) check(i int) {
	if uint(i) >= uint(f.n) {
		panic(fmt.Sprintf("bitfield: index %d outside of %d bits", i, f.n))
	}
}

// SetAll adds every index.
func (f Bitfield) SetAll() {
	for i := range f.b {
		f.b[i] = 0xff
	}
	if len(f.b) > 0 {
		f.b[len(f.b)-1] <<= uint(len(f.b)*8 - f.n)
	}
}

// ClearAll removes every index.
func (f Bitfield) ClearAll() { clear(f.b) }

// Count returns how many indexes are in the set.
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

// All reports whether every index is in the set; true for a field of length 0.
func (f Bitfield) All() bool { return f.NextClear(0) < 0 }

// None reports whether the set is empty.
func (f Bitfield) None() bool { return f.NextSet(0) < 0 }

// NextSet returns the smallest index from i on that is in the set, or -1.
func (f Bitfield) NextSet(i int) int { return f.next(i, 0) }

// NextClear returns the smallest index from i on that is not in the set, or -1.
func (f Bitfield) NextClear(i int) int { return f.next(i, 0xff) }

// next finds the first set bit from i on in f with every byte XORed with flip.
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

// Ones yields the members of the set in rising order.
func (f Bitfield) Ones() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := f.NextSet(0); i >= 0; i = f.NextSet(i + 1) {
			if !yield(i) {
				return
			}
		}
	}
}

// Zeros yields the indexes that are not in the set in rising order.
func (f Bitfield) Zeros() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := f.NextClear(0); i >= 0; i = f.NextClear(i + 1) {
			if !yield(i) {
				return
			}
		}
	}
}

// Lacks reports whether g has a member that f has not: whether a peer with g is
// interesting to one with f. Fields of different lengths compare over the
// shorter one.
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

// Equal reports whether f and g have the same length and members.
func (f Bitfield) Equal(g Bitfield) bool { return f.n == g.n && string(f.b) == string(g.b) }

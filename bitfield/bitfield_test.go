package bitfield_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"spate/bitfield"
)

// TestOrderOfBits checks that the highest bit of the first byte is piece 0.
func TestOrderOfBits(t *testing.T) {
	f := bitfield.New(10)
	f.Set(0)
	f.Set(9)
	if got := f.Bytes(); len(got) != 2 || got[0] != 0x80 || got[1] != 0x40 {
		t.Errorf("pieces 0 and 9 of 10 are %x, BEP 3 wants 8040", got)
	}
}

// TestFromBytes checks that FromBytes rejects a wrong length and set unused bits.
func TestFromBytes(t *testing.T) {
	cases := []struct {
		b  []byte
		n  int
		ok bool
	}{
		{nil, 0, true}, {[]byte{0}, 0, false}, {[]byte{0xff}, 8, true}, {[]byte{0xfe}, 7, true}, {[]byte{0xff}, 7, false},
		{[]byte{0x80}, 1, true}, {[]byte{0xc0}, 1, false}, {[]byte{0xff}, 9, false}, {[]byte{0xff, 0x80}, 9, true},
		{[]byte{0xff, 0x80, 0}, 9, false}, {nil, -1, false}, {nil, int(^uint(0) >> 1), false},
	}
	for _, c := range cases {
		f, err := bitfield.FromBytes(c.b, c.n)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, bitfield.ErrInvalid) {
			t.Errorf("FromBytes(%x, %d) returned %v, want success: %v", c.b, c.n, err, c.ok)
		}
		if err == nil && !f.All() {
			t.Errorf("All of %x with %d bits is false", c.b, c.n)
		}
	}
}

// TestAgainstModel compares every operation with a slice of booleans, for lengths
// around the word sizes of the fast paths.
func TestAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 200, 1000} {
		for range 30 {
			f, g := bitfield.New(n), bitfield.New(n)
			model := make([]bool, n)
			density := rng.IntN(4)
			for i := range n {
				if density == 3 || rng.IntN(40) < density*density*density {
					f.Set(i)
					model[i] = true
				}
				if rng.IntN(50) == 0 {
					f.Clear(i)
					model[i] = false
				}
				if rng.IntN(200) == 0 {
					g.Set(i)
				}
			}
			var ones, zeros []int
			lacks := false
			for i, set := range model {
				if set {
					ones = append(ones, i)
				} else {
					zeros = append(zeros, i)
				}
				lacks = lacks || g.Get(i) && !set
				if f.Get(i) != set {
					t.Fatalf("Get(%d) of %d is %v", i, n, !set)
				}
			}
			switch {
			case !slices.Equal(ones, slices.Collect(f.Ones())), !slices.Equal(zeros, slices.Collect(f.Zeros())):
				t.Fatalf("%d bits: Ones or Zeros is wrong", n)
			case f.Count() != len(ones), f.None() != (len(ones) == 0), f.All() != (len(zeros) == 0):
				t.Fatalf("%d bits: Count is %d, want %d; or None or All is wrong", n, f.Count(), len(ones))
			case f.Lacks(g) != lacks:
				t.Fatalf("%d bits: Lacks is %v, want %v", n, !lacks, lacks)
			}
		}
	}
}

// TestSetAllLeavesUnusedBitsClear checks that SetAll sets no unused bits, and that a
// clone does not share its bits.
func TestSetAllLeavesUnusedBitsClear(t *testing.T) {
	for n := range 20 {
		f := bitfield.New(n)
		f.SetAll()
		if !f.All() || f.Count() != n {
			t.Errorf("%d bits after SetAll are %x, of which %d are set", n, f.Bytes(), f.Count())
		}
		if _, err := bitfield.FromBytes(f.Bytes(), n); err != nil {
			t.Errorf("%d bits after SetAll are not valid: %v", n, err)
		}
		c := f.Clone()
		f.ClearAll()
		if !f.None() || c.Count() != n || n > 0 && f.Equal(c) {
			t.Errorf("%d bits: ClearAll left bits set or changed the clone", n)
		}
	}
}

// TestIndexOutOfRange checks that methods that read treat an index out of range as
// not in the set, and that Set panics.
func TestIndexOutOfRange(t *testing.T) {
	f := bitfield.New(9)
	if f.Get(-1) || f.Get(9) || f.Get(15) || f.NextSet(99) != -1 || f.NextClear(9) != -1 || f.NextClear(-5) != 0 {
		t.Error("an index out of range counts as set")
	}
	defer func() {
		if recover() == nil {
			t.Error("Set(9) of 9 bits did not panic")
		}
	}()
	f.Set(9)
}

// BenchmarkNextClear measures a search through a million set bits.
func BenchmarkNextClear(b *testing.B) {
	f := bitfield.New(1 << 20)
	f.SetAll()
	f.Clear(1<<20 - 1)
	for b.Loop() {
		if f.NextClear(0) != 1<<20-1 {
			b.Fatal()
		}
	}
}

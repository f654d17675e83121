package hashing

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
)

// randomBytes returns n random bytes.
func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// checkSHA1 writes data and zeros of random lengths to several digests at once and
// compares the results with crypto/sha1.
func checkSHA1(t *testing.T, seed uint64, messages, steps, most int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	ds := make([]*SHA1, messages)
	want := make([]bytes.Buffer, messages)
	for i := range ds {
		ds[i] = new(SHA1)
		ds[i].Reset()
	}
	for range steps {
		ps := make([][]byte, messages)
		ns := make([]int64, messages)
		zeros := r.IntN(2) == 0
		for i := range ds {
			if n := r.IntN(most); zeros {
				ns[i] = int64(n)
				want[i].Write(make([]byte, n))
			} else {
				ps[i] = randomBytes(r, n)
				want[i].Write(ps[i])
			}
		}
		if zeros {
			ZerosSHA1(ds, ns)
		} else {
			WriteSHA1(ds, ps)
		}
	}
	for i := range ds {
		if got, want := ds[i].Sum(), sha1.Sum(want[i].Bytes()); got != want {
			t.Fatalf("random seed %d: the digest of message %d of %d is %x, want %x", seed, i, messages, got, want)
		}
	}
}

// TestSHA1AgreesWithTheStandardLibrary compares digests of 1 to 30 messages at once
// with crypto/sha1.
func TestSHA1AgreesWithTheStandardLibrary(t *testing.T) {
	for messages := 1; messages <= 30; messages++ {
		for seed := range uint64(8) {
			checkSHA1(t, seed, messages, 5, 1<<seed*8)
		}
	}
	checkSHA1(t, 99, 3, 4, 3<<20) // longer than one call of a kernel
	checkSHA1(t, 98, 13, 2, 3<<20)
}

// TestSHA256AgreesWithTheStandardLibrary compares digests of messages of many lengths
// with crypto/sha256.
func TestSHA256AgreesWithTheStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		check256(t, r, n, n, n+1, n)
	}
	check256(t, r, 16<<10, 16<<10, 16<<10)
	check256(t, r, 3<<20, 3<<20)
}

// check256 compares the digests of random messages of the given sizes with
// crypto/sha256.
func check256(t *testing.T, r *rand.Rand, sizes ...int) {
	t.Helper()
	ps := make([][]byte, len(sizes))
	dst := make([][SizeSHA256]byte, len(sizes))
	for i, n := range sizes {
		ps[i] = randomBytes(r, n)
	}
	SumSHA256(dst, ps)
	for i := range ps {
		if want := sha256.Sum256(ps[i]); dst[i] != want {
			t.Fatalf("the digest of message %d of %d bytes is %x, want %x", i, sizes[i], dst[i], want)
		}
	}
}

// FuzzSHA1 compares digests of random messages with crypto/sha1.
func FuzzSHA1(f *testing.F) {
	f.Add(uint64(1), 2, 3, 100)
	f.Add(uint64(2), 14, 2, 70000)
	f.Fuzz(func(t *testing.T, seed uint64, messages, steps, most int) {
		if messages < 1 || messages > 40 || steps < 0 || steps > 8 || most < 1 || most > 100000 {
			t.Skip()
		}
		checkSHA1(t, seed, messages, steps, most)
	})
}

// FuzzSHA256 compares the digests of three messages with crypto/sha256.
func FuzzSHA256(f *testing.F) {
	f.Add([]byte("abc"), []byte("def"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var got [3][SizeSHA256]byte
		c := bytes.Repeat([]byte{1}, len(a))
		SumSHA256(got[:], [][]byte{c, a, b})
		if got != [3][SizeSHA256]byte{sha256.Sum256(c), sha256.Sum256(a), sha256.Sum256(b)} {
			t.Errorf("the digests of %x, %x and %x are %x", c, a, b, got)
		}
	})
}

// BenchmarkSHA1 measures different numbers of messages, and crypto/sha1.
func BenchmarkSHA1(b *testing.B) {
	for _, n := range []int{1, 2, 3, 8, 16, 17} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ds, ps := make([]*SHA1, n), make([][]byte, n)
			for i := range ds {
				ds[i], ps[i] = new(SHA1), make([]byte, 64<<10)
				ds[i].Reset()
			}
			b.SetBytes(int64(n * len(ps[0])))
			b.ReportAllocs()
			for b.Loop() {
				WriteSHA1(ds, ps)
			}
		})
	}
	b.Run("crypto", func(b *testing.B) {
		p := make([]byte, 64<<10)
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			sha1.Sum(p)
		}
	})
}

// BenchmarkZerosSHA1 measures zeros in different numbers of messages.
func BenchmarkZerosSHA1(b *testing.B) {
	for _, n := range []int{1, 3, 6, 7, 11, 64, 128} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			ds, ns := make([]*SHA1, n), make([]int64, n)
			var sum int64
			for i := range ds {
				ds[i], ns[i] = new(SHA1), 960<<10+r.Int64N(8000)
				ds[i].Reset()
				sum += ns[i]
			}
			b.SetBytes(sum)
			b.ReportAllocs()
			for b.Loop() {
				ZerosSHA1(ds, ns)
			}
		})
	}
}

// BenchmarkSHA256 measures two messages at a time, and crypto/sha256.
func BenchmarkSHA256(b *testing.B) {
	p := make([]byte, 64<<10)
	ps := [][]byte{p[:16<<10], p[16<<10 : 32<<10], p[32<<10 : 48<<10], p[48<<10:]}
	var dst [4][SizeSHA256]byte
	b.Run("2", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		b.ReportAllocs()
		for b.Loop() {
			SumSHA256(dst[:], ps)
		}
	})
	b.Run("crypto", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			sha256.Sum256(p)
		}
	})
}

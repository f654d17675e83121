package merkle_test

import (
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"spate/merkle"
)

// slowRoot computes a root as BEP 52 defines it: it pads the hashes to a power of two
// and hashes them in pairs.
func slowRoot(hashes []byte, pad [32]byte) [32]byte {
	var row [][32]byte
	for k := 0; k < len(hashes); k += 32 {
		row = append(row, [32]byte(hashes[k:]))
	}
	if len(row) == 0 {
		return [32]byte{}
	}
	for len(row)&(len(row)-1) != 0 {
		row = append(row, pad)
	}
	for len(row) > 1 {
		var parents [][32]byte
		for k := 0; k < len(row); k += 2 {
			parents = append(parents, sha256.Sum256(append(append([]byte(nil), row[k][:]...), row[k+1][:]...)))
		}
		row = parents
	}
	return row[0]
}

func randomHashes(n int, seed uint64) []byte {
	b := make([]byte, 32*n)
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	for k := range b {
		b[k] = byte(rng.Uint32())
	}
	return b
}

func TestRoot(t *testing.T) {
	for _, layer := range []int{0, 1, 5} {
		pad := merkle.Pad(layer)
		for n := range 70 {
			hashes := randomHashes(n, uint64(layer))
			want := slowRoot(hashes, pad)
			if got := merkle.Root(hashes, layer); got != want {
				t.Fatalf("Root of %d hashes of layer %d is wrong", n, layer)
			}
			b := merkle.NewBuilder(layer)
			for k := range n {
				b.Add((*[32]byte)(hashes[32*k:]))
			}
			if b.Root() != want || b.Len() != int64(n) {
				t.Fatalf("Builder over %d hashes of layer %d is wrong", n, layer)
			}
			top := layer + 8
			full := append([]byte(nil), hashes...)
			for len(full) < 32<<8 {
				full = append(full, pad[:]...)
			}
			if b.RootAt(top) != slowRoot(full, pad) {
				t.Fatalf("RootAt(%d) over %d hashes of layer %d is wrong", top, n, layer)
			}
		}
	}
}

func TestPad(t *testing.T) {
	h := [32]byte{}
	for layer := range merkle.MaxLayers {
		if merkle.Pad(layer) != h {
			t.Fatalf("padding of layer %d is wrong", layer)
		}
		h = merkle.Parent(&h, &h)
	}
}

func TestLayerAndHeight(t *testing.T) {
	for n, want := range map[int64]int{16 << 10: 0, 32 << 10: 1, 1 << 20: 6, 16 << 20: 10} {
		if got := merkle.Layer(n); got != want {
			t.Errorf("pieces of %d bytes are layer %d, want %d", n, got, want)
		}
	}
	for n, want := range map[int64]int{0: 0, 1: 0, 2: 1, 3: 2, 4: 2, 5: 3, 1 << 40: 40, 1<<40 + 1: 41} {
		if got := merkle.Height(n); got != want {
			t.Errorf("a tree over %d blocks has height %d, want %d", n, got, want)
		}
	}
}

func BenchmarkRoot(b *testing.B) {
	hashes := randomHashes(1<<16, 1)
	b.SetBytes(int64(len(hashes)))
	for b.Loop() {
		merkle.Root(hashes, 0)
	}
}

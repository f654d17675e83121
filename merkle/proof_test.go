package merkle_test

import (
	"testing"

	"spate/merkle"
)

// layers returns all layers of the tree over the block hashes, without padding.
func layers(blockHashes []byte) [][]byte {
	all := [][]byte{blockHashes}
	for layer := 0; len(all[layer]) > 32; layer++ {
		all = append(all, merkle.ParentLayer(nil, all[layer], layer))
	}
	return all
}

// TestProve checks that the answer to every request that BEP 52 allows can be verified with
// the root alone, and that an answer with a changed, missing or additional hash cannot.
func TestProve(t *testing.T) {
	for n := 1; n <= 33; n++ {
		blockHashes := randomHashes(n, 7)
		all := layers(blockHashes)
		root := merkle.Root(blockHashes, 0)
		height := merkle.Height(int64(n))
		if len(all) != height+1 || [32]byte(all[height]) != root {
			t.Fatalf("%d blocks: %d layers", n, len(all))
		}
		for base := range height {
			for length := 2; length <= 1<<(height-base); length *= 2 {
				for index := 0; index < len(all[base])/32; index += length {
					span := merkle.Span{Base: base, Index: int64(index), Length: length, Proof: height - base - 1}
					checkProof(t, all, int64(n), root, span)
				}
			}
		}
	}
}

func checkProof(t *testing.T, all [][]byte, n int64, root [32]byte, span merkle.Span) {
	t.Helper()
	hashes, err := merkle.Prove(nil, all[span.Base], n, span)
	if err != nil || len(hashes) != 32*(span.Length+span.Uncles()) {
		t.Fatalf("%d blocks, %+v: %d bytes, %v", n, span, len(hashes), err)
	}
	known := merkle.FromRoot(root, n)
	if err := merkle.Verify(hashes, n, span, known); err != nil {
		t.Fatalf("%d blocks, %+v: %v", n, span, err)
	}
	for k := 0; k < len(hashes); k += 31 {
		hashes[k] ^= 1
		if merkle.Verify(hashes, n, span, known) == nil {
			t.Fatalf("%d blocks, %+v: a wrong hash verifies", n, span)
		}
		hashes[k] ^= 1
	}
	if merkle.Verify(hashes[:len(hashes)-32], n, span, known) == nil || merkle.Verify(append(hashes, root[:]...), n, span, known) == nil {
		t.Fatalf("%d blocks, %+v: a hash too few or too many verifies", n, span)
	}
	// Verify without uncles, with all layers known.
	short := span
	short.Proof = 0
	part, err := merkle.Prove(nil, all[span.Base], n, short)
	if err != nil {
		t.Fatal(err)
	}
	err = merkle.Verify(part, n, short, func(layer int, index int64) ([32]byte, bool) {
		if layer < len(all) && int(index) < len(all[layer])/32 {
			return [32]byte(all[layer][32*index:]), true
		}
		return [32]byte{}, false
	})
	if err != nil {
		t.Fatalf("%d blocks, %+v from its parent: %v", n, short, err)
	}
}

// TestProveBlocks checks that ProveBlocks, which has the block hashes of one piece,
// gives the same hashes as Prove.
func TestProveBlocks(t *testing.T) {
	for n := 2; n <= 33; n++ {
		blockHashes := randomHashes(n, 7)
		all := layers(blockHashes)
		height := merkle.Height(int64(n))
		for top := 1; top <= 4; top++ {
			pieces := all[min(top, height)]
			for base := range top + 1 {
				for length := 2; length <= 1<<(top-base+1); length *= 2 {
					for index := 0; index<<base < n; index += length {
						for proof := range height {
							span := merkle.Span{Base: base, Index: int64(index), Length: length, Proof: proof}
							first := index << base >> top << top
							part := blockHashes[32*first : 32*min(n, first+1<<top)]
							got, err := merkle.ProveBlocks(nil, part, pieces, top, int64(n), span)
							if base+merkle.Height(int64(length)) > top || base >= min(top, height) {
								if err == nil {
									t.Fatalf("%d blocks, pieces in layer %d, %+v: was answered", n, top, span)
								}
								continue
							}
							want, wantErr := merkle.Prove(nil, all[base], int64(n), span)
							if string(got) != string(want) || (err == nil) != (wantErr == nil) {
								t.Fatalf("%d blocks, pieces in layer %d, %+v: other hashes, %v, %v", n, top, span, err, wantErr)
							}
						}
					}
				}
			}
		}
	}
}

func TestInvalidSpans(t *testing.T) {
	blockHashes := randomHashes(5, 1)
	for _, s := range []merkle.Span{
		{}, {Length: 1}, {Length: 3}, {Length: 16}, {Length: 2, Index: 1}, {Length: 2, Index: 8}, {Length: 2, Index: 6}, {Length: 2, Index: -2},
		{Length: 2, Base: -1}, {Length: 2, Base: 3}, {Length: 2, Base: 63}, {Length: 2, Proof: 3}, {Length: 2, Proof: -1}, {Length: -2}, {Length: 1024},
	} {
		if _, err := merkle.Prove(nil, blockHashes, 5, s); err == nil {
			t.Errorf("%+v was answered", s)
		}
	}
	for _, n := range []int64{0, -1, 4, 6, 1 << 62} {
		if _, err := merkle.Prove(nil, blockHashes, n, merkle.Span{Length: 2}); err == nil {
			t.Errorf("5 hashes were taken for the layer of %d blocks", n)
		}
	}
}

// FuzzVerify checks that Verify accepts only the hashes of the tree.
func FuzzVerify(f *testing.F) {
	blockHashes := randomHashes(11, 3)
	all := layers(blockHashes)
	root := merkle.Root(blockHashes, 0)
	for _, s := range []merkle.Span{{Length: 2, Proof: 3}, {Length: 4, Index: 8, Proof: 3}, {Base: 1, Length: 2, Index: 4, Proof: 2}, {Length: 16, Proof: 3}} {
		b, err := merkle.Prove(nil, all[s.Base], 11, s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, s.Base, s.Index, s.Length, s.Proof)
	}
	f.Add([]byte{}, 0, int64(0), 0, 0)
	f.Fuzz(func(t *testing.T, hashes []byte, base int, index int64, length, proof int) {
		s := merkle.Span{Base: base, Index: index, Length: length, Proof: proof}
		if merkle.Verify(hashes, 11, s, merkle.FromRoot(root, 11)) != nil {
			return
		}
		want, err := merkle.Prove(nil, all[base], 11, s)
		if err != nil || string(want) != string(hashes) {
			t.Fatalf("%+v verifies but differs from the tree: %v", s, err)
		}
	})
}

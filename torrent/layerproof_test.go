package torrent

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"spate/merkle"
	"spate/peerwire"
)

// TestLayerProofs checks that proofs with stored upper layers equal those of package merkle, for
// layers of many sizes and spans of each length and height, and that the layers are stored once.
func TestLayerProofs(t *testing.T) {
	t.Parallel()
	const base = 3
	rng := rand.NewChaCha8([32]byte{})
	for _, pieces := range []int64{2, 512, 1024, 1025, 1500, 2048, 5000} {
		layer := make([]byte, pieces*merkle.HashSize)
		rng.Read(layer)
		blocks := pieces << base
		height := merkle.Height(blocks) - base
		var u upperLayers
		r := &peerwire.HashRange{PiecesRoot: [merkle.HashSize]byte{1}}
		proofs := 0
		for length := int64(2); length <= min(merkle.MaxAnswer, int64(1)<<height); length *= 2 {
			for proof := range height + 1 { // the last one is not valid
				for index := int64(0); index < pieces; index += max(length, pieces/7/length*length) {
					span := merkle.Span{Base: base, Index: index, Length: int(length), Proof: proof}
					want, wantErr := merkle.Prove(nil, layer, blocks, span)
					got, err := u.prove(r, layer, blocks, span)
					if err != wantErr || err == nil && !bytes.Equal(got, want) {
						t.Fatalf("%d pieces, %+v: %v, want %v, or other hashes", pieces, span, err, wantErr)
					}
					proofs++
				}
			}
		}
		if want := min(1, int(pieces/(2<<upperHeight+1))); len(u.by) != want || proofs == 0 {
			t.Errorf("%d pieces: %d layers are stored after %d proofs, want %d", pieces, len(u.by), proofs, want)
		}
	}
}

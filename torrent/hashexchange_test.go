package torrent

import (
	"math/rand/v2"
	"testing"
	"time"

	"spate/merkle"
	"spate/metainfo"
	"spate/peerwire"
)

// TestHashesInAnyOrderMoveFew checks that each hashes message finds the part of a piece layer
// that it answers without a search of all missing parts, and moves at most one other part,
// because the sender chooses the order.
func TestHashesInAnyOrderMoveFew(t *testing.T) {
	t.Parallel()
	const n = 500
	for name, order := range map[string]func(i int) int{
		"ascending": func(i int) int { return i }, "descending": func(i int) int { return n - 1 - i }, "mixed": func(i int) int { return i * 7 % n },
		"from both ends": func(i int) int { return max(i/2, (n-1-i/2)*(i%2)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.NewChaCha8([32]byte{1})
			mi := &metainfo.MetaInfo{Info: metainfo.Info{PieceLength: 16 << 10, Files: make([]metainfo.File, n)}}
			layers := make([][]byte, n)
			for i := range layers {
				layers[i] = make([]byte, 2*merkle.HashSize)
				rng.Read(layers[i])
				root := merkle.Root(layers[i], 0)
				mi.Info.Files[i] = metainfo.File{Length: 32 << 10, Offset: int64(i) * 32 << 10, PiecesRoot: &root}
			}
			tor := &Torrent{mi: mi, info: &mi.Info}
			tor.full.Store(mi)
			tor.v2.setMissing(tor.missingHashes())
			tor.v2.partLayers = map[[32]byte][]byte{}
			all := append([]*hashWant(nil), tor.v2.missing...)
			c := &conn{t: tor}
			for i := range n - 1 { // the last one would begin the download
				w := all[order(i)]
				before := append([]*hashWant(nil), tor.v2.missing...)
				decoy := before[0]
				tor.v2.missing[0] = w // a search from the front ends here
				b := peerwire.AppendHashRange(nil, peerwire.Hashes, rangeOf(w), layers[order(i)])
				m := peerwire.Message{ID: peerwire.Hashes, Payload: b[5:]}
				if err := c.hashesLocked(&m, time.Now()); err != nil {
					t.Fatal(err)
				}
				if w != decoy {
					tor.v2.missing[0] = decoy
				}
				moved := 0
				for k, left := range tor.v2.missing {
					if left != before[k] {
						moved++
					}
					if left == w || left.index != k || tor.v2.byRange[*rangeOf(left)] != left {
						t.Fatalf("message %d: the missing part at %d is wrong", i, k)
					}
				}
				if len(tor.v2.missing) != n-1-i || len(tor.v2.byRange) != n-1-i || moved > 1 {
					t.Fatalf("message %d: %d parts are missing and %d were moved, want %d and at most 1", i, len(tor.v2.missing), moved, n-1-i)
				}
			}
		})
	}
}

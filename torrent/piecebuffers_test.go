package torrent

import (
	"testing"

	"spate/metainfo"
)

// TestPieceBuffersDoNotOverlap checks that each buffer of a piece has the length of
// a piece, and shares no memory with another one.
func TestPieceBuffersDoNotOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ total, piece int64 }{
		{1 << 30, 1 << 20}, {1 << 30, 16 << 10}, {1 << 30, 600 << 10}, {1 << 30, 4 << 20}, {1 << 20, 64 << 10},
	} {
		tor := &Torrent{info: &metainfo.Info{PieceLength: c.piece, Files: []metainfo.File{{Length: c.total}}}}
		for i := range 20 {
			b := tor.pieceBufLocked(i)
			if int64(len(b)) != c.piece || cap(b) != len(b) {
				t.Fatalf("pieces of %d bytes: buffer %d has length %d and capacity %d", c.piece, i, len(b), cap(b))
			}
			for j := range b {
				b[j] = byte(i + 1)
			}
		}
		for i, b := range tor.pieces.bufs {
			if b[0] != byte(i+1) || b[len(b)-1] != byte(i+1) {
				t.Errorf("pieces of %d bytes: buffer %d overlaps another one", c.piece, i)
			}
		}
	}
}

package torrent

import (
	"testing"

	"spate/metainfo"
	"spate/peerwire"
)

// TestPieceOfRoot checks that each root leads to the first piece that has it.
func TestPieceOfRoot(t *testing.T) {
	t.Parallel()
	h := &metainfo.V2Hashes{}
	for _, k := range []byte{5, 2, 5, 9, 2, 0} {
		h.Pieces = append(h.Pieces, append([]byte{k}, make([]byte, 31)...)...)
	}
	mi := &metainfo.MetaInfo{Info: metainfo.Info{PieceLength: 16 << 10, Files: []metainfo.File{{Length: 6 * 16 << 10}}}, V2Hashes: h}
	tor := &Torrent{mi: mi, info: &mi.Info}
	tor.full.Store(mi)
	for k, want := range map[byte]int{5: 0, 2: 1, 9: 3, 0: 5, 7: -1, 255: -1} {
		if got, ok := tor.pieceOfRoot([32]byte{k}); ok != (want >= 0) || ok && got != want {
			t.Errorf("root %d: piece %d, %t; want %d", k, got, ok, want)
		}
	}
}

// TestParkedForAskedPeer checks which of two parked pieces with equal data an answer is for.
func TestParkedForAskedPeer(t *testing.T) {
	t.Parallel()
	r := peerwire.HashRange{Length: 4}
	tor := &Torrent{}
	a, b, stranger := &conn{t: tor}, &conn{t: tor}, &conn{t: tor}
	first := &parkedPiece{ask: r, asked: b, tried: map[*conn]bool{a: true, b: true}}
	second := &parkedPiece{ask: r, asked: a, tried: map[*conn]bool{a: true}}
	tor.bad.parked = map[int]*parkedPiece{0: first, 1: second}
	for range 20 { // the order of a map is random
		if a.parkedFor(&r) != second || b.parkedFor(&r) != first || stranger.parkedFor(&r) != nil || a.parkedFor(&peerwire.HashRange{Length: 2}) != nil {
			t.Fatal("an answer is for the wrong piece")
		}
	}
}

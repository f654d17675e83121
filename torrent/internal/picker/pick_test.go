package picker

import (
	"slices"
	"testing"
)

// TestAbandonedPieceIsShared checks that a peer that owns a piece loses it when it
// abandons a request, so that other peers get the blocks.
func TestAbandonedPieceIsShared(t *testing.T) {
	k := newPicker(t, 20, 1)
	k.SeedJoined(0)
	k.SeedJoined(1)
	a := k.Pick(nil, 0, 2, PickOptions{WholePieces: true})
	k.Abandon(a[1], 0)
	if s := &k.slots[k.Slot(int(a[0].Piece))]; s.owner != none {
		t.Error("peer 0 still owns the piece")
	}
	if b := k.Pick(nil, 1, 1, PickOptions{}); len(b) != 1 || b[0] != a[1] {
		t.Errorf("picked %v, want the abandoned block %v", b, a[1])
	}
}

// TestSharingPeerStaysWithItsPiece checks that a peer without WholePieces begins
// with the open piece that misses the fewest blocks, and continues with that piece
// even if another one then misses fewer.
func TestSharingPeerStaysWithItsPiece(t *testing.T) {
	k := newPicker(t, 20, 20)
	for p := range PeerID(4) {
		k.SeedJoined(p)
	}
	fast := PickOptions{WholePieces: true}
	a, b := k.Pick(nil, 0, 3, fast), k.Pick(nil, 1, 3, fast)
	deliverBlocks(t, k, 0, a[0])
	deliverBlocks(t, k, 1, b[0], b[1])
	k.AbandonAll(0)
	k.AbandonAll(1)
	c := k.Pick(nil, 2, 1, PickOptions{})
	if c[0].Piece != b[0].Piece {
		t.Errorf("picked a block of piece %d, but piece %d misses fewer blocks", c[0].Piece, b[0].Piece)
	}
	d := k.Pick(nil, 3, 4, PickOptions{}) // the last block of b, and three of a
	if !slices.Equal(piecesOf(d), []int{int(b[0].Piece), int(a[0].Piece)}) {
		t.Fatalf("picked %v, want blocks of pieces %d and %d", d, b[0].Piece, a[0].Piece)
	}
	k.Abandon(c[0], 2)
	k.AbandonAll(3)
	deliverBlocks(t, k, 2, k.Pick(nil, 2, 1, PickOptions{})...)
	k.slots[k.Slot(int(a[0].Piece))].count[arrived] = 4 // more than the piece of peer 2
	if e := k.Pick(nil, 2, 1, PickOptions{}); e[0].Piece != b[0].Piece {
		t.Errorf("picked a block of piece %d, but peer 2 downloads piece %d", e[0].Piece, b[0].Piece)
	}
}

// TestPieceIsAdoptedOnlyWhenIdle checks that a peer with WholePieces becomes the
// owner of an open piece only after the last arriving block is copied.
func TestPieceIsAdoptedOnlyWhenIdle(t *testing.T) {
	k := newPicker(t, 20, 20)
	for p := range PeerID(2) {
		k.SeedJoined(p)
	}
	a := k.Pick(nil, 0, 1, PickOptions{})
	k.Claim(a[0], 0)
	if b := k.Pick(nil, 1, 1, PickOptions{WholePieces: true}); b[0].Piece == a[0].Piece {
		t.Error("peer 1 got blocks of a piece while a block of it is being copied")
	}
	k.Arrived(a[0], 0)
	if b := k.Pick(nil, 1, 9, PickOptions{WholePieces: true}); !slices.Contains(piecesOf(b), int(a[0].Piece)) {
		t.Error("peer 1 got no blocks of the idle piece")
	}
}

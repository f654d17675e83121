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

// pickerWithParole returns a Picker of two pieces with four seeds. Piece 0 is on
// parole, and piece 1 is verified.
func pickerWithParole(t *testing.T) *Picker {
	k := newPicker(t, 2, 8)
	for p := range PeerID(4) {
		k.SeedJoined(p)
	}
	k.Verified(1)
	for p := range PeerID(2) {
		deliverBlocks(t, k, p, k.Pick(nil, p, 2, PickOptions{})...)
	}
	if got := k.Failed(nil, 0); len(got) != 2 {
		t.Fatalf("Failed returned the peers %v, want two", got)
	}
	return k
}

// TestParoleKeepsAPieceWithOnePeer checks that no second peer gets blocks of a
// piece on parole, even between the requests of the first, until the first peer
// has abandoned all its requests.
func TestParoleKeepsAPieceWithOnePeer(t *testing.T) {
	k := pickerWithParole(t)
	deliverBlocks(t, k, 2, k.Pick(nil, 2, 2, PickOptions{})...)
	if got := k.Pick(nil, 3, 9, PickOptions{Endgame: true}); len(got) != 0 {
		t.Fatalf("peer 3 got %v of peer 2's piece", got)
	}
	a := k.Pick(nil, 2, 2, PickOptions{})
	k.Abandon(a[1], 2)
	if got := k.Pick(nil, 3, 9, PickOptions{}); len(got) != 0 {
		t.Fatalf("peer 3 got %v while a block is requested from peer 2", got)
	}
	if got := k.Pick(nil, 2, 9, PickOptions{}); len(got) != 1 || got[0] != a[1] {
		t.Fatalf("peer 2 got %v, want %v", got, a[1])
	}
	k.AbandonAll(2)
	if got := k.Pick(nil, 3, 9, PickOptions{}); len(got) != 2 {
		t.Fatalf("peer 3 got %v after peer 2 abandoned its requests, want two blocks", got)
	}
	if got := k.Pick(nil, 2, 9, PickOptions{}); len(got) != 0 {
		t.Fatalf("peer 2 got %v of peer 3's piece", got)
	}
}

// TestParoleEnds checks that parole ends when the piece is verified, and after it
// has failed maxParole times with blocks of several peers.
func TestParoleEnds(t *testing.T) {
	k := pickerWithParole(t)
	k.Verified(0)
	if k.Parole(0) {
		t.Error("a verified piece is on parole")
	}
	k = pickerWithParole(t)
	for range maxParole {
		deliverBlocks(t, k, 2, k.Pick(nil, 2, 2, PickOptions{})...)
		k.PeerLeft(2)
		deliverBlocks(t, k, 3, k.Pick(nil, 3, 2, PickOptions{})...)
		if got := k.Failed(nil, 0); len(got) != 2 {
			t.Fatalf("Failed returned the peers %v, want two", got)
		}
		k.SeedJoined(2)
		if !k.Parole(0) {
			return
		}
	}
	t.Errorf("the piece is on parole after %d failures", maxParole)
}

// TestEndgameOrder checks that a block that lost its second requester is the first
// to get another one, and that blocks of unwanted pieces get none.
func TestEndgameOrder(t *testing.T) {
	k := newPicker(t, 2, 8)
	for p := range PeerID(3) {
		k.SeedJoined(p)
	}
	game := PickOptions{Endgame: true}
	a := k.Pick(nil, 0, 8, game)
	k.Pick(nil, 1, 4, game)
	k.Abandon(a[2], 1)
	if got := k.Pick(nil, 2, 2, game); !slices.Equal(got, []Block{a[2], a[4]}) {
		t.Errorf("picked %v, want %v", got, []Block{a[2], a[4]})
	}
	drop := int(a[4].Piece)
	k.SetPriority(drop, drop+1, 0)
	game.Requesters = 3
	if got := k.Pick(nil, 2, 9, game); !slices.Equal(got, []Block{a[0], a[1], a[3]}) {
		t.Errorf("picked %v, want three blocks of the piece other than %d", got, drop)
	}
}

// TestEvictOrder checks that Evict closes an unwanted piece first, then a piece
// that no peer has, then the others.
func TestEvictOrder(t *testing.T) {
	k := newPicker(t, 10, 3)
	k.PeerJoined(0, field(10, 0))
	k.PeerJoined(1, field(10, 1))
	k.PeerJoined(2, field(10, 2))
	k.PeerJoined(3, field(10, 3))
	deliverBlocks(t, k, 0, k.Pick(nil, 0, 2, PickOptions{})...)
	deliverBlocks(t, k, 1, k.Pick(nil, 1, 1, PickOptions{})...)
	deliverBlocks(t, k, 2, k.Pick(nil, 2, 3, PickOptions{})...)
	k.PeerLeft(2)
	k.SetPriority(0, 1, 0)
	for _, want := range []int{0, 2, 1} {
		if got, ok := k.Evict(3); !ok || got != want {
			t.Errorf("evicted piece %d, want %d", got, want)
		}
	}
	if k.Open() != 0 || !k.Reusable(2) {
		t.Errorf("%d pieces are open, want 0; peer 2 is reusable: %v, want true", k.Open(), k.Reusable(2))
	}
}

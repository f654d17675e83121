package picker

import (
	"slices"
	"testing"
)

// A piece of a fast peer that times out is shared, and is nobody's after that.
func TestTimeoutShares(t *testing.T) {
	k := newPicker(t, 20, 1)
	k.SeedJoined(0)
	k.SeedJoined(1)
	a := k.Pick(nil, 0, 2, PickOptions{WholePieces: true})
	k.Abandon(a[1], 0)
	if s := &k.slots[k.Slot(int(a[0].Piece))]; s.owner != none {
		t.Error("still its own")
	}
	if b := k.Pick(nil, 1, 1, PickOptions{}); len(b) != 1 || b[0] != a[1] {
		t.Errorf("picked %v", b)
	}
}

// A slow peer stays with its piece, and begins with the one nearest to its end.
func TestSlowPeerStays(t *testing.T) {
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
		t.Errorf("picked of %d, %d is nearer to its end", c[0].Piece, b[0].Piece)
	}
	d := k.Pick(nil, 3, 4, PickOptions{}) // the last block of b, and three of a
	if !slices.Equal(piecesOf(d), []int{int(b[0].Piece), int(a[0].Piece)}) {
		t.Fatalf("picked %v", d)
	}
	k.Abandon(c[0], 2)
	k.AbandonAll(3)
	deliverBlocks(t, k, 2, k.Pick(nil, 2, 1, PickOptions{})...)
	k.slots[k.Slot(int(a[0].Piece))].count[arrived] = 4 // nearer than the other
	if e := k.Pick(nil, 2, 1, PickOptions{}); e[0].Piece != b[0].Piece {
		t.Errorf("left piece %d for %d", b[0].Piece, e[0].Piece)
	}
}

// While somebody copies a block, the piece is no orphan.
func TestNoOrphanWhileCopying(t *testing.T) {
	k := newPicker(t, 20, 20)
	for p := range PeerID(2) {
		k.SeedJoined(p)
	}
	a := k.Pick(nil, 0, 1, PickOptions{})
	k.Claim(a[0], 0)
	if b := k.Pick(nil, 1, 1, PickOptions{WholePieces: true}); b[0].Piece == a[0].Piece {
		t.Error("adopted")
	}
	k.Arrived(a[0], 0)
	if b := k.Pick(nil, 1, 9, PickOptions{WholePieces: true}); !slices.Contains(piecesOf(b), int(a[0].Piece)) {
		t.Error("not adopted")
	}
}

// failed returns a picker whose piece 0 is on parole; piece 1 is verified.
func pickerWithParole(t *testing.T) *Picker {
	k := newPicker(t, 2, 8)
	for p := range PeerID(4) {
		k.SeedJoined(p)
	}
	k.Verified(1)
	for p := range PeerID(2) {
		deliverBlocks(t, k, p, k.Pick(nil, p, 2, PickOptions{})...)
	}
	if len(k.Failed(nil, 0)) != 2 {
		t.Fatal("contributors")
	}
	return k
}

// A piece on parole stays with its peer between its requests, whatever the peer's
// speed, until the peer has nothing outstanding and gives up.
func TestParoleStays(t *testing.T) {
	k := pickerWithParole(t)
	deliverBlocks(t, k, 2, k.Pick(nil, 2, 2, PickOptions{})...)
	if got := k.Pick(nil, 3, 9, PickOptions{Endgame: true}); len(got) != 0 {
		t.Fatalf("another got %v", got)
	}
	a := k.Pick(nil, 2, 2, PickOptions{})
	k.Abandon(a[1], 2)
	if got := k.Pick(nil, 3, 9, PickOptions{}); len(got) != 0 {
		t.Fatalf("another got %v while one is outstanding", got)
	}
	if got := k.Pick(nil, 2, 9, PickOptions{}); len(got) != 1 || got[0] != a[1] {
		t.Fatalf("the peer itself got %v", got)
	}
	k.AbandonAll(2)
	if got := k.Pick(nil, 3, 9, PickOptions{}); len(got) != 2 {
		t.Fatalf("the next one got %v", got)
	}
	if got := k.Pick(nil, 2, 9, PickOptions{}); len(got) != 0 {
		t.Fatalf("the one before got %v", got)
	}
}

// Parole ends when the piece is good, and after too many rounds without a
// single liar.
func TestParoleEnds(t *testing.T) {
	k := pickerWithParole(t)
	k.Verified(0)
	if k.Parole(0) {
		t.Error("a verified piece on parole")
	}
	k = pickerWithParole(t)
	for range maxParole {
		deliverBlocks(t, k, 2, k.Pick(nil, 2, 2, PickOptions{})...)
		k.PeerLeft(2)
		deliverBlocks(t, k, 3, k.Pick(nil, 3, 2, PickOptions{})...)
		if len(k.Failed(nil, 0)) != 2 {
			t.Fatal("contributors")
		}
		k.SeedJoined(2)
		if !k.Parole(0) {
			return
		}
	}
	t.Error("parole without an end")
}

// A block that lost its second requester is the first to get another, and blocks
// of unwanted pieces get none.
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
		t.Errorf("picked %v of %v", got, a)
	}
	drop := int(a[4].Piece)
	k.SetPriority(drop, drop+1, 0)
	game.Requesters = 3
	if got := k.Pick(nil, 2, 9, game); !slices.Equal(got, []Block{a[0], a[1], a[3]}) {
		t.Errorf("picked %v, piece %d is unwanted", got, drop)
	}
}

// What nobody can complete is evicted first, but for what nobody wants.
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
			t.Errorf("evicted %d, want %d", got, want)
		}
	}
	if k.Open() != 0 || !k.Reusable(2) {
		t.Error("something is left")
	}
}

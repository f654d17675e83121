package picker

import (
	"slices"
	"testing"
)

// TestEndgame checks that the endgame requests the oldest blocks from a second
// peer, and with Requesters from a third, and that Arrived returns the other
// requesters.
func TestEndgame(t *testing.T) {
	k := newPicker(t, 2, 8)
	for p := range PeerID(4) {
		k.SeedJoined(p)
	}
	a := k.Pick(nil, 0, 3, PickOptions{})
	b := k.Pick(nil, 1, 5, PickOptions{Endgame: true})
	if k.Unrequested() != 0 || !k.Endgame() {
		t.Fatalf("%d blocks are unrequested, Endgame is %v; want 0 and true", k.Unrequested(), k.Endgame())
	}
	if c := k.Pick(nil, 2, 2, PickOptions{}); len(c) != 0 {
		t.Errorf("picked %v without the option Endgame", c)
	}
	opt := PickOptions{Endgame: true}
	if c := k.Pick(nil, 2, 4, opt); !slices.Equal(c, append(a, b[0])) {
		t.Errorf("picked %v, want the oldest requests %v and %v", c, a, b[0])
	}
	if c := k.Pick(nil, 3, 100, opt); len(c) != 4 || c[0] != b[1] {
		t.Errorf("picked %v, want the four other blocks %v", c, b[1:])
	}
	if c := k.Pick(nil, 1, 100, opt); len(c) != 0 {
		t.Errorf("picked %v for a third requester without the option Requesters", c)
	}
	opt.Requesters = 3
	if c := k.Pick(nil, 1, 1, opt); len(c) != 1 || c[0] != a[0] {
		t.Errorf("picked %v for a third requester, want %v", c, a[0])
	}
	if !k.Requested(a[0], 1) || k.Requested(b[0], 0) || k.PendingOf(1) != 6 || k.PendingOf(2) != 4 {
		t.Errorf("peers 1 and 2 have %d and %d requests, want 6 and 4; or Requested is wrong", k.PendingOf(1), k.PendingOf(2))
	}
	if k.Claim(a[0], 2) != Fresh || k.Claim(a[0], 0) != Duplicate {
		t.Error("the first Claim of a block is not Fresh, or the second is not Duplicate")
	}
	if done, others := k.Arrived(a[0], 2); done || !slices.Equal(others, []PeerID{1}) {
		t.Errorf("Arrived returned the requesters %v, want peer 1", others)
	}
	if k.Claim(a[0], 1) != Duplicate || k.PendingOf(1) != 5 {
		t.Errorf("the Claim of an arrived block is not Duplicate, or peer 1 has %d requests instead of 5", k.PendingOf(1))
	}
}

// TestEndgameIgnoresUnavailablePieces checks that the endgame begins although no
// peer has some of the wanted pieces.
func TestEndgameIgnoresUnavailablePieces(t *testing.T) {
	k := newPicker(t, 3, 8)
	k.PeerJoined(0, field(3, 0, 1))
	k.PeerJoined(1, field(3, 1))
	k.Pick(nil, 0, 7, PickOptions{})
	if k.Endgame() {
		t.Error("Endgame is true although a block can be requested")
	}
	k.Pick(nil, 0, 7, PickOptions{})
	if !k.Endgame() || k.Unrequested() != 4 {
		t.Errorf("Endgame is %v with %d unrequested blocks, want true with 4", k.Endgame(), k.Unrequested())
	}
	if got := k.Pick(nil, 1, 100, PickOptions{Endgame: true}); len(got) != 4 || got[0].Piece != 1 {
		t.Errorf("picked %v, want the four blocks of piece 1", got)
	}
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

// TestEarly checks that the option Early returns requested blocks before the endgame, and only blocks
// whose requesters are all late.
func TestEarly(t *testing.T) {
	k := newPicker(t, 3, 8)
	k.PeerJoined(0, field(3, 0, 1))
	k.PeerJoined(1, field(3, 0))
	k.PeerJoined(2, field(3, 2))
	k.Pick(nil, 1, 4, PickOptions{})
	k.Pick(nil, 0, 4, PickOptions{Only: []int32{0}})
	k.PeerJoined(3, field(3, 0))
	early := PickOptions{Early: true, Late: func(p PeerID) bool { return p == 1 }}
	if got := k.Pick(nil, 3, 100, PickOptions{Endgame: true, Late: early.Late}); k.Endgame() || len(got) != 0 {
		t.Fatalf("picked %v, endgame %v; the endgame must not have begun", got, k.Endgame())
	}
	if got := k.Pick(nil, 3, 100, PickOptions{Early: true}); len(got) != 0 {
		t.Errorf("picked %v without the option Late", got)
	}
	if got := k.Pick(nil, 3, 100, early); len(got) != 4 || !k.Requested(got[0], 1) || got[0].Piece != 0 {
		t.Errorf("picked %v, want the four blocks of the late peer", got)
	}
	if got := k.Pick(nil, 3, 100, early); len(got) != 0 {
		t.Errorf("picked %v a second time", got)
	}
}

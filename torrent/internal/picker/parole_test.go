package picker

import (
	"slices"
	"testing"
)

// TestParole checks that a piece that failed with blocks of several peers is then
// downloaded from one peer, and that Failed names the sender.
func TestParole(t *testing.T) {
	k := newPicker(t, 1, 8)
	for p := range PeerID(3) {
		k.SeedJoined(p)
	}
	a := k.Pick(nil, 0, 2, PickOptions{})
	b := k.Pick(nil, 1, 2, PickOptions{})
	deliverBlocks(t, k, 0, a...)
	if done := deliverBlocks(t, k, 1, b...); len(done) != 1 {
		t.Fatalf("pieces %v are complete, want piece 0", done)
	}
	if p, ok := k.Contributor(b[0]); !ok || p != 1 || k.Reusable(1) {
		t.Errorf("the contributor of %v is peer %d, want 1, who is not reusable", b[0], p)
	}
	if got := k.Failed(nil, 0); !slices.Equal(got, []PeerID{0, 1}) || !k.onParole(0) {
		t.Fatalf("contributors %v, want 0 and 1; parole is %v, want true", got, k.onParole(0))
	}
	a = k.Pick(nil, 2, 1, PickOptions{})
	if got := k.Pick(nil, 0, 9, PickOptions{Endgame: true}); len(got) != 0 || len(a) != 1 {
		t.Fatalf("peer 2 got %v, peer 0 got %v; want one block and none", a, got)
	}
	if k.Claim(k.BlockAt(0, 3), 1) != Unwanted {
		t.Error("Claim accepts a block from a peer that does not own the piece on parole")
	}
	k.Abandon(a[0], 2)
	a = k.Pick(nil, 1, 9, PickOptions{})
	deliverBlocks(t, k, 1, a...)
	if got := k.Failed(nil, 0); !slices.Equal(got, []PeerID{1}) || k.onParole(0) {
		t.Fatalf("contributors %v, want 1; parole is %v, want false", got, k.onParole(0))
	}
	k.PeerLeft(1)
	if !k.Reusable(1) || k.Reusable(0) {
		t.Errorf("peers 1 and 0 are reusable: %v and %v, want true and false", k.Reusable(1), k.Reusable(0))
	}
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
	if k.onParole(0) {
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
		if !k.onParole(0) {
			return
		}
	}
	t.Errorf("the piece is on parole after %d failures", maxParole)
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

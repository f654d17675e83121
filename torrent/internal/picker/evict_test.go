package picker

import (
	"slices"
	"testing"
)

// TestEvict checks that Evict closes a piece that the peer does not have, so that
// the peer can open another, and spares complete pieces and pieces in use.
func TestEvict(t *testing.T) {
	k := newPicker(t, 10, 2)
	k.PeerJoined(0, field(10, 0, 1))
	k.PeerJoined(1, field(10, 2))
	deliverBlocks(t, k, 0, k.Pick(nil, 0, 3, PickOptions{})...)
	deliverBlocks(t, k, 0, k.Pick(nil, 0, 4, PickOptions{})...) // one complete piece, and three blocks of the other
	if len(k.Pick(nil, 1, 4, PickOptions{})) != 0 || !k.Full() {
		t.Fatal("the Picker is not full")
	}
	complete, other := 0, 1
	if k.slots[k.Slot(1)].count[arrived] == 4 {
		complete, other = 1, 0
	}
	if i, ok := k.Evict(1); !ok || i != other {
		t.Fatalf("evicted piece %d (%v), want %d, because %d is complete", i, ok, other, complete)
	}
	if got := k.Pick(nil, 1, 9, PickOptions{}); !slices.Equal(piecesOf(got), []int{2}) {
		t.Errorf("picked %v, want blocks of piece 2", got)
	}
	if i, ok := k.Evict(1); ok {
		t.Errorf("evicted piece %d, which is complete or has requested blocks", i)
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

package superseed

import (
	"slices"
	"testing"

	"spate/torrent/internal/picker"
)

// TestKeptPiecesAreShownAgain checks that a piece that only a peer has which passes on nothing is
// shown to others, after those that nobody has, and that it counts as usual when the peer passes
// on something, when no peer does, and when the peer leaves.
func TestKeptPiecesAreShownAgain(t *testing.T) {
	const keeper, other = picker.PeerID(0), picker.PeerID(1)
	seed := func() (*Seed, *picker.Picker) {
		s, k, now := newSeed(t, 4, 3)
		k.PeerHave(keeper, 0)
		k.PeerHave(keeper, 1)
		k.PeerHave(other, 1)
		s.SetKeeps(keeper, true)
		s.Tick(3, true, now)
		k.PeerHave(keeper, 2) // it gets another piece later
		s.Has(keeper, 2, now)
		return s, k
	}
	available := func(s *Seed) (n []int) {
		for i := range 4 {
			n = append(n, s.available(i))
		}
		return n
	}
	s, _ := seed()
	_, _, now := newSeed(t, 1, 0)
	if got := available(s); !slices.Equal(got, []int{0, 1, 0, 0}) {
		t.Errorf("%v peers count as having the pieces", got)
	}
	if !s.Alone(other, 1) || !s.Alone(2, 0) || s.Alone(2, 1) || !s.Alone(keeper, 0) || s.Alone(keeper, 1) {
		t.Error("Alone does not tell whether another peer passes the piece on")
	}
	s.Unchoked(2, now)
	var shown []uint32
	for range 4 {
		list, _ := s.Show(2, Link{Queued: len(shown)}, now)
		shown = append(shown, list...)
		s.peer(2).window += 4 * block
	}
	if len(shown) < 3 || shown[0] != 3 || slices.Contains(shown[:3], 1) {
		t.Errorf("a peer is shown %v, want the piece that nobody has, and then those that are kept", shown)
	}
	s.SetKeeps(keeper, false)
	if got := available(s); !slices.Equal(got, []int{1, 2, 1, 0}) {
		t.Errorf("the peer passes on something: %v peers count as having the pieces", got)
	}

	s, _ = seed()
	s.SetKeeps(other, true)
	s.SetKeeps(2, true)
	s.Tick(3, true, now)
	if got := available(s); !slices.Equal(got, []int{1, 2, 1, 0}) {
		t.Errorf("no peer passes on anything: %v peers count as having the pieces", got)
	}

	s, k := seed()
	s.Leave(keeper)
	k.PeerLeft(keeper)
	if got := available(s); !slices.Equal(got, []int{0, 1, 0, 0}) {
		t.Errorf("the peer has left: %v peers count as having the pieces", got)
	}
}

// TestKeptPieceCountsOnce checks that a peer that passes on nothing cannot hide the copies of
// others: it announces a piece many times, or takes it back and announces it again.
func TestKeptPieceCountsOnce(t *testing.T) {
	t.Parallel()
	const keeper, other = picker.PeerID(0), picker.PeerID(1)
	s, k, now := newSeed(t, 4, 2)
	k.PeerHave(other, 0)
	k.PeerHave(keeper, 0)
	s.SetKeeps(keeper, true)
	s.Tick(2, true, now)
	for range 5 {
		s.Has(keeper, 0, now)
	}
	if n := s.available(0); n != 1 {
		t.Errorf("after repeated announcements, %d peers count as having the piece, want 1", n)
	}
	for range 5 {
		k.PeerDontHave(keeper, 0)
		s.Lacks(keeper, 0)
		s.Lacks(keeper, 0)
		if n := s.available(0); n != 1 {
			t.Fatalf("after the peer took the piece back, %d peers count as having it, want 1", n)
		}
		k.PeerHave(keeper, 0)
		s.Has(keeper, 0, now)
	}
	s.Leave(keeper)
	k.PeerLeft(keeper)
	if n := s.available(0); n != 1 {
		t.Errorf("after the peer has left, %d peers count as having the piece, want 1", n)
	}
}

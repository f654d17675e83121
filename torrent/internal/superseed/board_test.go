package superseed

import (
	"slices"
	"testing"
	"time"

	"spate/torrent/internal/picker"
)

// linkedSeeds returns the seeds of the two swarms of a release with n pieces and two peers in each
// swarm. Peer 0 of each is the peer that takes part in both, if carriers is 1.
func linkedSeeds(t *testing.T, n, carriers int) (seeds [2]*Seed, pickers [2]*picker.Picker, now time.Time) {
	t.Helper()
	for i := range seeds {
		seeds[i], pickers[i], now = newSeed(t, n, 2)
		seeds[i].Unchoked(1, now)
	}
	a, b := NewBoard(n), NewBoard(n)
	seeds[0].Link(a, b)
	seeds[1].Link(b, a)
	for _, s := range seeds {
		s.SetCarriers(carriers)
		s.Tick(2, true, now)
	}
	return seeds, pickers, now
}

// received gives peer 1 of a swarm a piece that the seed has sent it.
func received(s *Seed, k *picker.Picker, piece uint32, now time.Time) {
	s.Request(1, piece, block, now)
	s.Written(1, piece, block)
	k.PeerHave(1, int(piece))
	s.Has(1, piece, now)
}

// nextOf returns the pieces that peer 1 of a swarm is shown after it has received everything.
func nextOf(s *Seed, now time.Time) []uint32 {
	list, _ := s.Show(1, Link{Unacked: func() (int, bool) { return 0, true }}, now)
	return slices.Clone(list)
}

// TestSeedsOfTwoSwarmsShareTheFirstCopy checks that no piece is shown in both swarms until all
// were shown in one, while a peer carries pieces between them, and that each swarm gets all pieces
// from its own seed if no peer does.
func TestSeedsOfTwoSwarmsShareTheFirstCopy(t *testing.T) {
	t.Parallel()
	const pieces = 16
	for carriers, want := range [2]int{2 * pieces, pieces} {
		seeds, pickers, now := linkedSeeds(t, pieces, carriers)
		shown := 0
		for !seeds[0].firstCopyOut() || !seeds[1].firstCopyOut() {
			for i, s := range seeds {
				for _, piece := range nextOf(s, now) {
					shown++
					received(s, pickers[i], piece, now)
				}
			}
			if shown > 2*pieces {
				break
			}
		}
		if shown > want+1 || shown < want { // the last piece can be shown in both
			t.Errorf("with %d carriers %d pieces were shown until each had reached a peer of both swarms or was carried, want %d", carriers, shown, want)
		}
	}
}

// TestNobodyWaitsForAPieceToBeCarried checks that a peer which has received everything that its own
// swarm lacks is shown the pieces that the other swarm has.
func TestNobodyWaitsForAPieceToBeCarried(t *testing.T) {
	t.Parallel()
	const pieces = 8
	seeds, pickers, now := linkedSeeds(t, pieces, 1)
	for i := range uint32(pieces - 1) { // piece 7 remains, so that the first copy is not out
		pickers[1].PeerHave(1, int(i))
		seeds[1].Has(1, i, now)
	}
	got := map[uint32]bool{}
	for range pieces {
		list := nextOf(seeds[0], now)
		if len(list) == 0 {
			break
		}
		if len(got) == 0 && list[0] != pieces-1 {
			t.Errorf("the peer is shown piece %d first, want the piece that nobody has", list[0])
		}
		for _, piece := range list {
			got[piece] = true
			received(seeds[0], pickers[0], piece, now)
		}
	}
	if len(got) != pieces {
		t.Errorf("the peer was shown %d pieces, want all %d", len(got), pieces)
	}
}

// TestCarrierThatLeavesCarriesNothing checks that pieces of the other swarm no longer count when the
// peer that carried them has left either swarm, and when the session has removed the other torrent.
func TestCarrierThatLeavesCarriesNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(seeds [2]*Seed){
		"it left this swarm":         func(seeds [2]*Seed) { seeds[0].SetCarriers(0) },
		"it left the other swarm":    func(seeds [2]*Seed) { seeds[1].SetCarriers(0) },
		"the other torrent is gone":  func(seeds [2]*Seed) { seeds[1].Link(nil, nil) },
		"this seed stands alone now": func(seeds [2]*Seed) { seeds[0].Link(nil, nil) },
	} {
		seeds, pickers, now := linkedSeeds(t, 4, 1)
		for i := range uint32(4) {
			pickers[1].PeerHave(1, int(i))
			seeds[1].Has(1, i, now)
		}
		if !seeds[0].firstCopyOut() {
			t.Fatalf("%s: the pieces of the other swarm do not count while a peer carries them", name)
		}
		end(seeds)
		seeds[0].Tick(2, true, now)
		if seeds[0].firstCopyOut() || len(nextOf(seeds[0], now)) == 0 {
			t.Errorf("%s: pieces that nobody carries count as being there", name)
		}
	}
}

// TestLonelyCarrierIsShownPiecesOneByOne checks that the only peer of a swarm is not told of all
// pieces while peers of the other swarm need different ones.
func TestLonelyCarrierIsShownPiecesOneByOne(t *testing.T) {
	t.Parallel()
	seeds, _, now := linkedSeeds(t, 100, 1)
	for i := range 4 {
		seeds[0].Tick(1, true, now.Add(time.Duration(i)*time.Second))
	}
	if !seeds[0].Hides(1) {
		t.Error("the peer was told of all pieces")
	}
}

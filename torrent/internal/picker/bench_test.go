package picker

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"spate/bitfield"
)

// endlessDownload simulates a download that never completes, because it loses each
// piece as soon as it is verified.
type endlessDownload struct {
	k         *Picker
	peers     int
	batch     int
	opt       PickOptions
	requested [][]Block
	turn      int
}

// newEndlessDownload returns a download whose peers are seeds, or have two thirds
// of the pieces. Each peer gets batch blocks at a time.
func newEndlessDownload(tb testing.TB, pieces, blocks, peers, batch int, seeds bool, opt PickOptions) *endlessDownload {
	k, err := New(Config{NumPieces: pieces, PieceSize: func(int) int { return blocks * BlockSize }, MaxOpen: max(64, 3*peers*batch/blocks)})
	if err != nil {
		tb.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for p := range peers {
		f := bitfield.New(pieces)
		for i := range pieces {
			if seeds || rng.IntN(3) > 0 {
				f.Set(i)
			}
		}
		k.PeerJoined(PeerID(p), f)
	}
	for i := range pieces / 2 {
		k.Verified(i)
	}
	return &endlessDownload{k: k, peers: peers, batch: batch, opt: opt, requested: make([][]Block, peers)}
}

// step delivers the requested blocks of the next peer and picks new ones for it.
// It returns the number of delivered blocks.
func (s *endlessDownload) step() int {
	p := PeerID(s.turn % s.peers)
	s.turn++
	q := s.requested[p]
	for _, b := range q {
		if s.k.Claim(b, p) != Fresh {
			continue
		}
		if done, _ := s.k.Arrived(b, p); done {
			s.k.Verified(int(b.Piece))
			s.k.Lost(s.turn % s.k.numPieces)
			s.k.Lost(int(b.Piece))
		}
	}
	s.requested[p] = s.k.Pick(q[:0], p, s.batch, s.opt)
	return len(q)
}

// BenchmarkBlock measures Pick, Claim and Arrived of one block, and its share of
// the calls of Verified and Lost for its piece.
func BenchmarkBlock(b *testing.B) {
	for _, c := range []struct {
		name                         string
		pieces, blocks, peers, batch int
		seeds                        bool
		opt                          PickOptions
	}{
		{"seeds", 4000, 64, 4, 256, true, PickOptions{WholePieces: true}},
		{"leechers", 4000, 64, 50, 64, false, PickOptions{WholePieces: true}},
		{"sharing", 4000, 64, 50, 8, false, PickOptions{}},
		{"small", 100_000, 1, 50, 64, false, PickOptions{WholePieces: true}},
		{"large", 2000, 1024, 4, 256, true, PickOptions{WholePieces: true}},
		{"sequential", 4000, 64, 50, 64, false, PickOptions{WholePieces: true, Sequential: true}},
		{"endgame", 4000, 64, 50, 64, false, PickOptions{WholePieces: true, Endgame: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newEndlessDownload(b, c.pieces, c.blocks, c.peers, c.batch, c.seeds, c.opt)
			for range 4 * c.peers {
				s.step()
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; {
				n += s.step()
			}
		})
	}
}

// BenchmarkPeerHave measures PeerHave in a torrent of a million pieces.
func BenchmarkPeerHave(b *testing.B) {
	const n = 1 << 20
	k, _ := New(Config{NumPieces: n, PieceSize: func(int) int { return 1 }})
	for p := range PeerID(50) {
		k.PeerJoined(p, bitfield.New(n))
	}
	k.SeedJoined(99)
	k.Pick(nil, 99, 1, PickOptions{})
	rng := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k.PeerHave(PeerID(i%50), rng.IntN(n))
	}
}

// BenchmarkPeerJoined measures a peer that joins with a bitfield, gets a block and
// leaves.
func BenchmarkPeerJoined(b *testing.B) {
	for _, n := range []int{4000, 1 << 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			k, _ := New(Config{NumPieces: n, PieceSize: func(int) int { return 1 }})
			f := bitfield.New(n)
			f.SetAll()
			f.Clear(0)
			b.ReportAllocs()
			for b.Loop() {
				k.PeerJoined(1, f)
				k.Pick(nil, 1, 1, PickOptions{})
				k.PeerLeft(1)
			}
		})
	}
}

// TestDownloadDoesNotAllocate checks that a download in the steady state allocates
// no memory, with different options of Pick.
func TestDownloadDoesNotAllocate(t *testing.T) {
	for _, opt := range []PickOptions{
		{}, {WholePieces: true, Endgame: true}, {Sequential: true}, {Suggested: []int32{1, 2, 3}, NoUrgent: true}, {Adjacent: true, UrgentTwice: true},
	} {
		s := newEndlessDownload(t, 1000, 16, 20, 64, false, opt)
		s.k.SetUrgent([]int{1, 2, 3})
		for range 200 {
			s.step()
		}
		n := testing.AllocsPerRun(500, func() {
			s.step()
			p := PeerID(s.turn % s.peers)
			s.k.PeerHave(p, s.turn%s.k.numPieces)
			s.k.AbandonAll(p)
			s.requested[p] = s.requested[p][:0]
		})
		if n != 0 {
			t.Errorf("%+v: %v allocations for each batch, want 0", opt, n)
		}
		if err := s.k.checkInvariants(); err != nil {
			t.Error(err)
		}
	}
}

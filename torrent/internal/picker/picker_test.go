package picker

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"spate/bitfield"
)

// newPicker returns a Picker of n pieces of four blocks each, with MaxOpen open.
func newPicker(t testing.TB, n, open int) *Picker {
	t.Helper()
	k, err := New(Config{NumPieces: n, PieceSize: func(int) int { return 4 * BlockSize }, Seed: 1, MaxOpen: open})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// field returns a bitfield of n pieces in which the pieces has are set.
func field(n int, has ...int) bitfield.Bitfield {
	f := bitfield.New(n)
	for _, i := range has {
		f.Set(i)
	}
	return f
}

// deliverBlocks claims blocks for p, reports them as arrived, and returns the
// pieces that are then complete.
func deliverBlocks(t testing.TB, k *Picker, p PeerID, bs ...Block) (done []int) {
	t.Helper()
	for _, b := range bs {
		if r := k.Claim(b, p); r != Fresh {
			t.Fatalf("Claim(%v) is %d, want Fresh", b, r)
		}
		if complete, _ := k.Arrived(b, p); complete {
			done = append(done, int(b.Piece))
		}
	}
	return done
}

// piecesOf returns the pieces of the blocks, each once, in the order of bs.
func piecesOf(bs []Block) []int {
	var is []int
	for _, b := range bs {
		if !slices.Contains(is, int(b.Piece)) {
			is = append(is, int(b.Piece))
		}
	}
	return is
}

// TestNewChecksConfig checks that New returns ErrConfig for values out of bounds,
// and accepts the largest and the smallest piece.
func TestNewChecksConfig(t *testing.T) {
	size := func(n int) func(int) int { return func(int) int { return n } }
	for _, c := range []Config{
		{}, {NumPieces: 1}, {NumPieces: 0, PieceSize: size(1)}, {NumPieces: 1, PieceSize: size(0)},
		{NumPieces: 1, PieceSize: size(1 << 31)}, {NumPieces: 1, PieceSize: size(1), MaxOpen: -1},
		{NumPieces: 1, PieceSize: size(1<<31 - 1), MaxOpen: 1 << 20}, {NumPieces: maxPieces + 1, PieceSize: size(1)},
	} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("New(%+v) returned %v, want ErrConfig", c, err)
		}
	}
	k, err := New(Config{NumPieces: 2, PieceSize: func(i int) int { return []int{1<<31 - 1, 1}[i] }})
	if err != nil || k.BlocksOf(0) != 1<<17 || k.BlockAt(0, 1<<17-1).Length != BlockSize-1 || k.BlockAt(1, 0) != (Block{1, 0, 1}) {
		t.Errorf("wrong blocks of pieces of 2 GiB - 1 and 1 byte, or error %v", err)
	}
}

// TestRandomFirstThenRarest checks that the first pieces are chosen at random
// whatever their availability, and later pieces at random among the rarest.
func TestRandomFirstThenRarest(t *testing.T) {
	first := map[int]int{}
	rare := map[int]int{}
	for seed := range uint64(600) {
		k, _ := New(Config{NumPieces: 20, PieceSize: func(int) int { return 1 }, Seed: seed})
		k.SeedJoined(0)
		k.PeerJoined(1, field(20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)) // 16 to 19 are rare
		first[int(k.Pick(nil, 0, 1, PickOptions{})[0].Piece)]++
		k.AbandonAll(0)
		for i := range randomFirst {
			k.Verified(i)
		}
		rare[int(k.Pick(nil, 0, 1, PickOptions{})[0].Piece)]++
	}
	for i := range 20 {
		if first[i] < 10 || first[i] > 60 {
			t.Errorf("piece %d was first in %d of 600 downloads, want about 30", i, first[i])
		}
		if want := i >= 16; (rare[i] > 0) != want || want && (rare[i] < 100 || rare[i] > 200) {
			t.Errorf("piece %d was picked in %d of 600 downloads, want about 150 for rare pieces and 0 for others", i, rare[i])
		}
	}
}

// TestWholePieces checks that peers with WholePieces download pieces alone, and
// that other peers share pieces.
func TestWholePieces(t *testing.T) {
	k := newPicker(t, 20, 8)
	for p := range PeerID(4) {
		k.SeedJoined(p)
	}
	fast := PickOptions{WholePieces: true}
	a := k.Pick(nil, 0, 6, fast)
	b := k.Pick(nil, 1, 6, fast)
	c := k.Pick(nil, 2, 2, PickOptions{})
	d := k.Pick(nil, 3, 2, PickOptions{})
	if len(piecesOf(a)) != 2 || len(piecesOf(b)) != 2 || len(piecesOf(c)) != 1 || !slices.Equal(piecesOf(c), piecesOf(d)) {
		t.Fatalf("picked pieces %v, %v, %v and %v; want two, two, one, and the same one", piecesOf(a), piecesOf(b), piecesOf(c), piecesOf(d))
	}
	all := slices.Concat(piecesOf(a), piecesOf(b), piecesOf(c))
	slices.Sort(all)
	if len(slices.Compact(all)) != 5 {
		t.Fatalf("peers 0 to 2 share pieces: %v", all)
	}
	// The next two blocks complete the piece of the last ones.
	if more := k.Pick(nil, 0, 2, fast); more[0].Piece != a[5].Piece || more[1].Begin != 3*BlockSize {
		t.Errorf("picked %v after %v, want the rest of the piece", more, a)
	}
	// Peer 1 chokes us, so that peer 0 adopts its piece.
	deliverBlocks(t, k, 1, b[4])
	k.AbandonAll(1)
	if next := k.Pick(nil, 0, 3, fast); len(next) != 3 || next[0].Piece != b[4].Piece || next[0].Begin == b[4].Begin {
		t.Errorf("picked %v, want the missing blocks of the idle piece %d", next, b[4].Piece)
	}
	if k.Slot(int(b[0].Piece)) >= 0 {
		t.Error("a piece without claimed blocks is still open")
	}
}

// TestFastPeerSharesWhenFull checks that a peer with WholePieces gets blocks of
// another peer's piece when it cannot open one.
func TestFastPeerSharesWhenFull(t *testing.T) {
	k := newPicker(t, 20, 1)
	k.SeedJoined(0)
	k.SeedJoined(1)
	a := k.Pick(nil, 0, 2, PickOptions{WholePieces: true})
	b := k.Pick(nil, 1, 9, PickOptions{WholePieces: true})
	if len(b) != 2 || b[0].Piece != a[0].Piece || !k.Full() || k.Open() != 1 {
		t.Errorf("picked %v and %v, want the other two blocks of the only open piece", a, b)
	}
	if c := k.Pick(nil, 1, 9, PickOptions{WholePieces: true, Endgame: true}); len(c) != 0 {
		t.Errorf("the endgame began before all blocks were requested: picked %v", c)
	}
}

// TestSequentialAndPriorities checks that Pick with Sequential opens the pieces by
// priority, then by index, and that priority 0 excludes pieces.
func TestSequentialAndPriorities(t *testing.T) {
	k := newPicker(t, 100, 64)
	k.SeedJoined(0)
	k.SetPriority(0, 100, 1)
	k.SetPriority(80, 90, 7)
	k.SetPriority(10, 20, 0)
	got := piecesOf(k.Pick(nil, 0, 4*30, PickOptions{Sequential: true}))
	var want []int
	for i := 80; i < 90; i++ {
		want = append(want, i)
	}
	for i := 0; i < 30; i++ {
		if i < 10 || i >= 20 {
			want = append(want, i)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("picked pieces %v, want %v", got, want)
	}
	if k.Wanted() != 90 || k.Unrequested() != 60*4 || k.Interest(0) != 90 {
		t.Errorf("wanted %d, unrequested %d, interest %d; want 90, 240, 90", k.Wanted(), k.Unrequested(), k.Interest(0))
	}
	k.SetPriority(80, 90, 0)
	if b := (Block{80, 0, BlockSize}); k.Claim(b, 0) != Fresh {
		t.Error("Claim rejects a block that was requested before its piece became unwanted")
	}
	if k.Wanted() != 80 || k.Priority(80) != 0 {
		t.Errorf("wanted %d, priority of piece 80 is %d; want 80 and 0", k.Wanted(), k.Priority(80))
	}
}

// TestUrgent checks that urgent pieces come first and in their order, that fast
// peers share them, that slots are reserved for them, and that UrgentTwice
// requests their blocks from a second peer.
func TestUrgent(t *testing.T) {
	k := newPicker(t, 100, 8)
	for p := range PeerID(3) {
		k.SeedJoined(p)
	}
	k.SetUrgent([]int{50, 51, 50, 52})
	fast := PickOptions{WholePieces: true}
	slow := k.Pick(nil, 2, 100, PickOptions{NoUrgent: true})
	if len(slow) != 6*4 || slices.ContainsFunc(slow, func(b Block) bool { return b.Piece >= 50 && b.Piece <= 52 }) {
		t.Fatalf("peer with NoUrgent got pieces %v, want six pieces other than 50 to 52", piecesOf(slow))
	}
	a, b := k.Pick(nil, 0, 6, fast), k.Pick(nil, 1, 100, fast)
	if !slices.Equal(piecesOf(a), []int{50, 51}) || !slices.Equal(piecesOf(b), []int{51}) || len(b) != 2 {
		t.Errorf("picked %v and %v, want blocks of 50 and 51, then the rest of 51", a, b)
	}
	fast.UrgentTwice = true
	if c := k.Pick(nil, 1, 3, fast); len(c) != 3 || c[0] != a[0] || c[2] != a[2] {
		t.Errorf("UrgentTwice: picked %v, want %v", c, a[:3])
	}
	for _, i := range []int{50, 51, 52} {
		k.Verified(i)
	}
	if len(k.urgent) != 0 || !k.Full() == (k.Open() >= 8) {
		t.Errorf("urgent pieces %v after all were verified; Full is %v with %d open pieces", k.urgent, k.Full(), k.Open())
	}
	k.SetUrgent(nil)
}

// TestOnlySuggestedAdjacent checks which pieces Pick opens with the options Only,
// Suggested and Adjacent, and that it ignores invalid piece indexes of peers.
func TestOnlySuggestedAdjacent(t *testing.T) {
	k := newPicker(t, 100, 64)
	k.SeedJoined(0)
	k.SeedJoined(1)
	if got := k.Pick(nil, 0, 100, PickOptions{Only: []int32{7, 400, -1, 9}}); !slices.Equal(piecesOf(got), []int{7, 9}) || len(got) != 8 {
		t.Errorf("Only 7 and 9: picked %v", got)
	}
	if got := k.Pick(nil, 0, 5, PickOptions{Only: []int32{}}); len(got) != 0 {
		t.Errorf("Only no piece: picked %v", got)
	}
	if got := k.Pick(nil, 0, 8, PickOptions{Suggested: []int32{7, 33, -5, 101, 34}}); !slices.Equal(piecesOf(got), []int{33, 34}) {
		t.Errorf("Suggested 33 and 34: picked pieces %v", piecesOf(got))
	}
	k.SetPriority(20, 21, 7)
	if got := k.Pick(nil, 1, 20, PickOptions{Adjacent: true, WholePieces: true}); !slices.Equal(piecesOf(got)[1:], consecutive(piecesOf(got)[1], 4)) {
		t.Errorf("Adjacent: picked pieces %v, want consecutive ones after the first", piecesOf(got))
	}
}

// consecutive returns n consecutive numbers beginning with i.
func consecutive(i, n int) (r []int) {
	for j := range n {
		r = append(r, i+j)
	}
	return r
}

// TestPeerWithFewPieces checks that a peer with few of many free pieces gets the
// rarest of them, although the search of the order ends before it finds one.
func TestPeerWithFewPieces(t *testing.T) {
	const n = 20000
	k := newPicker(t, n, 8)
	k.SeedJoined(0)
	k.PeerJoined(1, field(n, 700, 17001, 19999))
	k.PeerJoined(2, field(n, 700, 19999))
	crowd := bitfield.New(n)
	crowd.SetAll()
	for _, i := range []int{5, 700, 17001, 19999} {
		crowd.Clear(i)
	}
	k.PeerJoined(3, field(n))
	for p := PeerID(4); p < 8; p++ {
		k.PeerJoined(p, field(n, 700, 17001, 19999))
	}
	for i := range randomFirst {
		k.Verified(i)
	}
	if got := k.Pick(nil, 1, 4, PickOptions{}); !slices.Equal(piecesOf(got), []int{17001}) {
		t.Errorf("picked %v, want blocks of piece 17001", got)
	}
	if got := k.Pick(nil, 3, 4, PickOptions{}); len(got) != 0 {
		t.Errorf("picked %v for a peer without pieces", got)
	}
	gen := k.Generation()
	if len(k.Pick(nil, 1, 100, PickOptions{})) != 8 || len(k.Pick(nil, 1, 1, PickOptions{})) != 0 || k.Generation() != gen {
		t.Error("the next picks returned other than 8 and 0 blocks, or changed the generation")
	}
	k.PeerHave(1, 40)
	if k.Generation() == gen {
		t.Error("the generation is the same after PeerHave")
	}
	if got := k.Pick(nil, 1, 1, PickOptions{}); len(got) != 1 || got[0].Piece != 40 {
		t.Errorf("picked %v after PeerHave of piece 40, want a block of it", got)
	}
	if err := k.checkInvariants(); err != nil {
		t.Error(err)
	}
}

// TestDownloadCompletes checks that a download with eight peers completes although
// requests are abandoned, blocks get lost and pieces fail their hash.
func TestDownloadCompletes(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := 1 + rng.IntN(300)
		k, err := New(Config{NumPieces: n, PieceSize: func(i int) int { return 1 + (i*7919)%(6*BlockSize) }, Seed: seed, MaxOpen: 1 + rng.IntN(20)})
		if err != nil {
			t.Fatal(err)
		}
		pending := map[PeerID][]Block{}
		for p := range PeerID(8) {
			f := bitfield.New(n)
			for i := range n {
				if p == 0 || rng.IntN(2) == 0 {
					f.Set(i)
				}
			}
			k.PeerJoined(p, f)
		}
		rounds := 0
		for ; !k.Complete() && rounds < 100_000; rounds++ {
			p := PeerID(rng.IntN(8))
			opt := PickOptions{WholePieces: p < 3, Endgame: true, Sequential: seed%3 == 0}
			if len(pending[p]) < 20 {
				got := k.Pick(nil, p, 1+rng.IntN(10), opt)
				if len(got) == 0 && k.Full() {
					k.Evict(p)
				}
				pending[p] = append(pending[p], got...)
			}
			if rng.IntN(50) == 0 {
				k.AbandonAll(p)
				pending[p] = nil
			}
			for len(pending[p]) > 0 && rng.IntN(3) > 0 {
				b := pending[p][0]
				pending[p] = pending[p][1:]
				if rng.IntN(20) == 0 || k.Claim(b, p) != Fresh {
					k.Abandon(b, p)
				} else if done, _ := k.Arrived(b, p); !done {
				} else if rng.IntN(10) == 0 {
					k.Failed(nil, int(b.Piece))
				} else {
					k.Verified(int(b.Piece))
				}
			}
		}
		if !k.Complete() || k.HaveCount() != n || !k.Bitfield().All() || k.Unrequested() != 0 {
			t.Fatalf("random seed %d: %d of %d pieces are verified after %d rounds", seed, k.HaveCount(), n, rounds)
		}
		if err := k.checkInvariants(); err != nil {
			t.Fatalf("random seed %d: %v", seed, err)
		}
	}
}

// TestHaveAllAndLost checks that HaveAll ends all downloads and the interest in all
// peers, and that a lost piece is wanted again.
func TestHaveAllAndLost(t *testing.T) {
	k := newPicker(t, 10, 4)
	k.SeedJoined(0)
	k.PeerJoined(1, field(10, 3, 4))
	k.Pick(nil, 1, 6, PickOptions{})
	k.HaveAll()
	if k.Interest(0) != 0 || k.Interest(1) != 0 || k.Open() != 0 || k.PendingOf(1) != 0 || !k.Complete() || k.Endgame() {
		t.Error("after HaveAll: peers are interesting, pieces are open, or the torrent is not complete")
	}
	k.Lost(4)
	k.Lost(4)
	if k.Interest(0) != 1 || k.Interest(1) != 1 || k.Wanted() != 1 || len(k.Pick(nil, 1, 9, PickOptions{})) != 4 {
		t.Error("after Lost: the piece is not wanted, or Pick did not return its four blocks")
	}
	if k.PeerIsSeed(1) || !k.PeerIsSeed(0) || k.PeerHaveCount(0) != 10 || k.PeerHaveCount(9) != 0 || k.Seeds() != 1 || k.Availability(4) != 2 {
		t.Error("wrong numbers of pieces of peers, or wrong seeds")
	}
}

// TestInvalidArguments checks that wrong arguments of the engine panic, and that
// wrong blocks and pieces of peers are rejected.
func TestInvalidArguments(t *testing.T) {
	k := newPicker(t, 10, 4)
	for name, f := range map[string]func(){
		"PeerJoined":  func() { k.PeerJoined(0, bitfield.New(9)) },
		"SetHave":     func() { k.SetHave(bitfield.New(11)) },
		"SetPriority": func() { k.SetPriority(0, 11, 1) },
		"SeedJoined":  func() { k.SeedJoined(MaxPeers) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s with a wrong argument does not panic", name)
				}
			}()
			f()
		}()
	}
	k.SeedJoined(0)
	b := k.Pick(nil, 0, 1, PickOptions{})[0]
	for _, bad := range []Block{
		{-1, 0, BlockSize}, {10, 0, BlockSize}, {b.Piece, -BlockSize, BlockSize}, {b.Piece, 1, BlockSize},
		{b.Piece, 0, 1}, {b.Piece, 4 * BlockSize, BlockSize}, {b.Piece, 3 * BlockSize, 0}, {b.Piece, 3 * BlockSize, 1 << 30},
	} {
		_, sent := k.Contributor(bad)
		_, failed := k.BlockFailed(bad)
		complete, others := k.Arrived(bad, 0)
		if k.Claim(bad, 0) != Unwanted || k.Abandon(bad, 0) || k.Requested(bad, 0) || sent || failed || complete || others != nil {
			t.Errorf("a method accepted the invalid block %v", bad)
		}
	}
	if k.Claim(b, 77) != Unwanted || k.PeerHave(77, 0) || k.PeerHave(0, 99) || k.AbandonAll(77) != 0 || k.PendingOf(77) != 0 || !k.Reusable(77) {
		t.Error("a method accepted an unknown peer or an invalid piece")
	}
	if got := k.Failed(nil, 9-int(b.Piece)); k.Slot(99) != -1 || len(got) != 0 {
		t.Errorf("Failed of a piece that is not open returned the peers %v; Slot(99) is %d", got, k.Slot(99))
	}
	if err := k.checkInvariants(); err != nil {
		t.Error(err)
	}
}

package picker

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"spate/bitfield"
)

// simple returns a picker of n pieces of four blocks each.
func newPicker(t testing.TB, n, open int) *Picker {
	t.Helper()
	k, err := New(Config{NumPieces: n, PieceSize: func(int) int { return 4 * BlockSize }, Seed: 1, MaxOpen: open})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// field returns a bitfield of n pieces with those in has.
func field(n int, has ...int) bitfield.Bitfield {
	f := bitfield.New(n)
	for _, i := range has {
		f.Set(i)
	}
	return f
}

// deliver lets blocks come from p and returns the pieces that are complete.
func deliverBlocks(t testing.TB, k *Picker, p PeerID, bs ...Block) (done []int) {
	t.Helper()
	for _, b := range bs {
		if r := k.Claim(b, p); r != Fresh {
			t.Fatalf("claim of %v: %d", b, r)
		}
		if complete, _ := k.Arrived(b, p); complete {
			done = append(done, int(b.Piece))
		}
	}
	return done
}

// pieces returns the pieces of the blocks, each once, in their order.
func piecesOf(bs []Block) []int {
	var is []int
	for _, b := range bs {
		if !slices.Contains(is, int(b.Piece)) {
			is = append(is, int(b.Piece))
		}
	}
	return is
}

func TestConfig(t *testing.T) {
	size := func(n int) func(int) int { return func(int) int { return n } }
	for _, c := range []Config{
		{}, {NumPieces: 1}, {NumPieces: 0, PieceSize: size(1)}, {NumPieces: 1, PieceSize: size(0)},
		{NumPieces: 1, PieceSize: size(1 << 31)}, {NumPieces: 1, PieceSize: size(1), MaxOpen: -1},
		{NumPieces: 1, PieceSize: size(1<<31 - 1), MaxOpen: 1 << 20}, {NumPieces: maxPieces + 1, PieceSize: size(1)},
	} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	k, err := New(Config{NumPieces: 2, PieceSize: func(i int) int { return []int{1<<31 - 1, 1}[i] }})
	if err != nil || k.BlocksOf(0) != 1<<17 || k.BlockAt(0, 1<<17-1).Length != BlockSize-1 || k.BlockAt(1, 0) != (Block{1, 0, 1}) {
		t.Errorf("2 GiB - 1 and 1 byte: %v", err)
	}
}

// The first pieces are drawn at random whatever their availability, later ones
// are the rarest, at random among equals.
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
			t.Errorf("piece %d was first %d times of 600, expected 30", i, first[i])
		}
		if want := i >= 16; (rare[i] > 0) != want || want && (rare[i] < 100 || rare[i] > 200) {
			t.Errorf("piece %d was rarest %d times of 600", i, rare[i])
		}
	}
}

// A fast peer keeps to pieces of its own, slow ones share.
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
		t.Fatalf("picked %v %v %v %v", piecesOf(a), piecesOf(b), piecesOf(c), piecesOf(d))
	}
	all := slices.Concat(piecesOf(a), piecesOf(b), piecesOf(c))
	if slices.Sort(all); len(slices.Compact(all)) != 5 {
		t.Fatalf("pieces are shared: %v", all)
	}
	// The next two blocks finish the piece that was begun.
	if more := k.Pick(nil, 0, 2, fast); more[0].Piece != a[5].Piece || more[1].Begin != 3*BlockSize {
		t.Errorf("after %v: %v", a, more)
	}
	// A choked peer's piece is an orphan: a fast peer adopts it.
	deliverBlocks(t, k, 1, b[4])
	k.AbandonAll(1)
	if next := k.Pick(nil, 0, 3, fast); len(next) != 3 || next[0].Piece != b[4].Piece || next[0].Begin == b[4].Begin {
		t.Errorf("orphan %v, picked %v", b[4], next)
	}
	if k.Slot(int(b[0].Piece)) >= 0 {
		t.Error("a piece without a block is open")
	}
}

// When there is no room for another piece, a fast peer shares.
func TestFastPeerShares(t *testing.T) {
	k := newPicker(t, 20, 1)
	k.SeedJoined(0)
	k.SeedJoined(1)
	a := k.Pick(nil, 0, 2, PickOptions{WholePieces: true})
	b := k.Pick(nil, 1, 9, PickOptions{WholePieces: true})
	if len(b) != 2 || b[0].Piece != a[0].Piece || !k.Full() || k.Open() != 1 {
		t.Errorf("picked %v and %v", a, b)
	}
	if c := k.Pick(nil, 1, 9, PickOptions{WholePieces: true, Endgame: true}); len(c) != 0 {
		t.Errorf("endgame before everything was requested: %v", c)
	}
}

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
		t.Errorf("picked %v, want %v", got, want)
	}
	if k.Wanted() != 90 || k.Unrequested() != 60*4 || k.Interest(0) != 90 {
		t.Errorf("wanted %d, unrequested %d, interest %d", k.Wanted(), k.Unrequested(), k.Interest(0))
	}
	k.SetPriority(80, 90, 0)
	if b := (Block{80, 0, BlockSize}); k.Claim(b, 0) != Fresh {
		t.Error("a block that was requested before its piece became unwanted is refused")
	}
	if k.Wanted() != 80 || k.Priority(80) != 0 {
		t.Errorf("wanted %d", k.Wanted())
	}
}

// Urgent pieces come first, in their order, are shared even by fast peers, have
// room kept for them, and may be asked of a second peer.
func TestUrgent(t *testing.T) {
	k := newPicker(t, 100, 8)
	for p := range PeerID(3) {
		k.SeedJoined(p)
	}
	k.SetUrgent([]int{50, 51, 50, 52})
	fast := PickOptions{WholePieces: true}
	slow := k.Pick(nil, 2, 100, PickOptions{NoUrgent: true})
	if len(slow) != 6*4 || slices.ContainsFunc(slow, func(b Block) bool { return b.Piece >= 50 && b.Piece <= 52 }) {
		t.Fatalf("slow peer: %v", piecesOf(slow))
	}
	a, b := k.Pick(nil, 0, 6, fast), k.Pick(nil, 1, 100, fast)
	if !slices.Equal(piecesOf(a), []int{50, 51}) || !slices.Equal(piecesOf(b), []int{51}) || len(b) != 2 {
		t.Errorf("picked %v and %v", a, b)
	}
	fast.UrgentTwice = true
	if c := k.Pick(nil, 1, 3, fast); len(c) != 3 || c[0] != a[0] || c[2] != a[2] {
		t.Errorf("twice: %v", c)
	}
	for _, i := range []int{50, 51, 52} {
		k.Verified(i)
	}
	if len(k.urgent) != 0 || !k.Full() == (k.Open() >= 8) {
		t.Errorf("urgent %v", k.urgent)
	}
	k.SetUrgent(nil)
}

func TestOnlySuggestedAdjacent(t *testing.T) {
	k := newPicker(t, 100, 64)
	k.SeedJoined(0)
	k.SeedJoined(1)
	if got := k.Pick(nil, 0, 100, PickOptions{Only: []int32{7, 400, -1, 9}}); !slices.Equal(piecesOf(got), []int{7, 9}) || len(got) != 8 {
		t.Errorf("allowed fast: %v", got)
	}
	if got := k.Pick(nil, 0, 5, PickOptions{Only: []int32{}}); len(got) != 0 {
		t.Errorf("nothing allowed: %v", got)
	}
	if got := k.Pick(nil, 0, 8, PickOptions{Suggested: []int32{7, 33, -5, 101, 34}}); !slices.Equal(piecesOf(got), []int{33, 34}) {
		t.Errorf("suggested: %v", piecesOf(got))
	}
	k.SetPriority(20, 21, 7)
	if got := k.Pick(nil, 1, 20, PickOptions{Adjacent: true, WholePieces: true}); !slices.Equal(piecesOf(got)[1:], consecutive(piecesOf(got)[1], 4)) {
		t.Errorf("adjacent: %v", piecesOf(got))
	}
}

func consecutive(i, n int) (r []int) {
	for j := range n {
		r = append(r, i+j)
	}
	return r
}

// The endgame asks two peers, three if allowed, for the blocks that have waited
// longest, and whoever loses is told.
func TestEndgame(t *testing.T) {
	k := newPicker(t, 2, 8)
	for p := range PeerID(4) {
		k.SeedJoined(p)
	}
	a := k.Pick(nil, 0, 3, PickOptions{})
	b := k.Pick(nil, 1, 5, PickOptions{Endgame: true})
	if k.Unrequested() != 0 || !k.Endgame() {
		t.Fatal("no endgame")
	}
	if c := k.Pick(nil, 2, 2, PickOptions{}); len(c) != 0 {
		t.Errorf("endgame without being allowed: %v", c)
	}
	game := PickOptions{Endgame: true}
	if c := k.Pick(nil, 2, 4, game); !slices.Equal(c, append(a, b[0])) {
		t.Errorf("longest wait: %v, then %v; picked %v", a, b, c)
	}
	if c := k.Pick(nil, 3, 100, game); len(c) != 4 || c[0] != b[1] {
		t.Errorf("the others: %v", c)
	}
	if c := k.Pick(nil, 1, 100, game); len(c) != 0 {
		t.Errorf("a third requester: %v", c)
	}
	game.Requesters = 3
	if c := k.Pick(nil, 1, 1, game); len(c) != 1 || c[0] != a[0] {
		t.Errorf("a third requester: %v", c)
	}
	if !k.Requested(a[0], 1) || k.Requested(b[0], 0) || k.PendingOf(1) != 6 || k.PendingOf(2) != 4 {
		t.Errorf("pending %d and %d", k.PendingOf(1), k.PendingOf(2))
	}
	if k.Claim(a[0], 2) != Fresh || k.Claim(a[0], 0) != Duplicate {
		t.Error("claims")
	}
	if done, others := k.Arrived(a[0], 2); done || !slices.Equal(others, []PeerID{1}) {
		t.Errorf("others %v", others)
	}
	if k.Claim(a[0], 1) != Duplicate || k.PendingOf(1) != 5 {
		t.Error("claim after the end")
	}
}

// Pieces that nobody has do not keep the rest from its endgame.
func TestEndgameWithoutTheUnavailable(t *testing.T) {
	k := newPicker(t, 3, 8)
	k.PeerJoined(0, field(3, 0, 1))
	k.PeerJoined(1, field(3, 1))
	k.Pick(nil, 0, 7, PickOptions{})
	if k.Endgame() {
		t.Error("endgame with a block to ask for")
	}
	k.Pick(nil, 0, 7, PickOptions{})
	if !k.Endgame() || k.Unrequested() != 4 {
		t.Error("no endgame")
	}
	if got := k.Pick(nil, 1, 100, PickOptions{Endgame: true}); len(got) != 4 || got[0].Piece != 1 {
		t.Errorf("picked %v", got)
	}
}

// After a failure by several peers a piece comes from one alone.
func TestParole(t *testing.T) {
	k := newPicker(t, 1, 8)
	for p := range PeerID(3) {
		k.SeedJoined(p)
	}
	a := k.Pick(nil, 0, 2, PickOptions{})
	b := k.Pick(nil, 1, 2, PickOptions{})
	deliverBlocks(t, k, 0, a...)
	if done := deliverBlocks(t, k, 1, b...); len(done) != 1 {
		t.Fatal("not complete")
	}
	if p, ok := k.Contributor(b[0]); !ok || p != 1 || k.Reusable(1) {
		t.Errorf("contributor %d", p)
	}
	if got := k.Failed(nil, 0); !slices.Equal(got, []PeerID{0, 1}) || !k.Parole(0) {
		t.Fatalf("contributors %v", got)
	}
	a = k.Pick(nil, 2, 1, PickOptions{})
	if got := k.Pick(nil, 0, 9, PickOptions{Endgame: true}); len(got) != 0 || len(a) != 1 {
		t.Fatalf("on parole with another: %v", got)
	}
	if k.Claim(k.BlockAt(0, 3), 1) != Unwanted {
		t.Error("took a block of another on parole")
	}
	k.Abandon(a[0], 2) // too slow
	a = k.Pick(nil, 1, 9, PickOptions{})
	deliverBlocks(t, k, 1, a...)
	if got := k.Failed(nil, 0); !slices.Equal(got, []PeerID{1}) || k.Parole(0) {
		t.Fatalf("the liar alone: %v", got)
	}
	k.PeerLeft(1)
	if !k.Reusable(1) || k.Reusable(0) {
		t.Error("handles")
	}
}

func TestEvict(t *testing.T) {
	k := newPicker(t, 10, 2)
	k.PeerJoined(0, field(10, 0, 1))
	k.PeerJoined(1, field(10, 2))
	deliverBlocks(t, k, 0, k.Pick(nil, 0, 3, PickOptions{})...)
	deliverBlocks(t, k, 0, k.Pick(nil, 0, 4, PickOptions{})...) // one piece whole, three blocks of the other
	if len(k.Pick(nil, 1, 4, PickOptions{})) != 0 || !k.Full() {
		t.Fatal("not full")
	}
	whole, other := 0, 1
	if k.slots[k.Slot(1)].count[arrived] == 4 {
		whole, other = 1, 0
	}
	if i, ok := k.Evict(1); !ok || i != other {
		t.Fatalf("evicted %d, %v; %d is being hashed", i, ok, whole)
	}
	if got := k.Pick(nil, 1, 9, PickOptions{}); !slices.Equal(piecesOf(got), []int{2}) {
		t.Errorf("picked %v", got)
	}
	if _, ok := k.Evict(1); ok {
		t.Error("evicted what is in use")
	}
}

// A peer that has few of many pieces is served by the bitmaps, with the rarest
// of them.
func TestSparsePeer(t *testing.T) {
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
		t.Errorf("picked %v", got)
	}
	if got := k.Pick(nil, 3, 4, PickOptions{}); len(got) != 0 {
		t.Errorf("picked %v of nothing", got)
	}
	gen := k.Generation()
	if len(k.Pick(nil, 1, 100, PickOptions{})) != 8 || len(k.Pick(nil, 1, 1, PickOptions{})) != 0 || k.Generation() != gen {
		t.Error("the rest")
	}
	if k.PeerHave(1, 40); k.Generation() == gen {
		t.Error("the generation is the same after a have")
	}
	if got := k.Pick(nil, 1, 1, PickOptions{}); len(got) != 1 || got[0].Piece != 40 {
		t.Errorf("after a have: %v", got)
	}
	if err := k.checkInvariants(); err != nil {
		t.Error(err)
	}
}

// A whole swarm of peers that lose, choke, lie and leave: everything arrives.
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
			t.Fatalf("seed %d: %d of %d pieces after %d rounds", seed, k.HaveCount(), n, rounds)
		}
		if err := k.checkInvariants(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// A complete torrent is interested in nobody, and what is lost is wanted again.
func TestHaveAllAndLost(t *testing.T) {
	k := newPicker(t, 10, 4)
	k.SeedJoined(0)
	k.PeerJoined(1, field(10, 3, 4))
	k.Pick(nil, 1, 6, PickOptions{})
	k.HaveAll()
	if k.Interest(0) != 0 || k.Interest(1) != 0 || k.Open() != 0 || k.PendingOf(1) != 0 || !k.Complete() || k.Endgame() {
		t.Error("complete")
	}
	k.Lost(4)
	k.Lost(4)
	if k.Interest(0) != 1 || k.Interest(1) != 1 || k.Wanted() != 1 || len(k.Pick(nil, 1, 9, PickOptions{})) != 4 {
		t.Error("lost")
	}
	if k.PeerIsSeed(1) || !k.PeerIsSeed(0) || k.PeerHaveCount(0) != 10 || k.PeerHaveCount(9) != 0 || k.Seeds() != 1 || k.Availability(4) != 2 {
		t.Error("peers")
	}
}

// What the caller gets wrong is a panic, what a peer gets wrong is not.
func TestMisuse(t *testing.T) {
	k := newPicker(t, 10, 4)
	for name, f := range map[string]func(){
		"bitfield": func() { k.PeerJoined(0, bitfield.New(9)) }, "have": func() { k.SetHave(bitfield.New(11)) },
		"priority": func() { k.SetPriority(0, 11, 1) }, "peer": func() { k.SeedJoined(MaxPeers) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
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
			t.Errorf("%v was taken", bad)
		}
	}
	if k.Claim(b, 77) != Unwanted || k.PeerHave(77, 0) || k.PeerHave(0, 99) || k.AbandonAll(77) != 0 || k.PendingOf(77) != 0 || !k.Reusable(77) {
		t.Error("unknown peer")
	}
	if got := k.Failed(nil, 9-int(b.Piece)); k.Slot(99) != -1 || len(got) != 0 {
		t.Error("a piece that is not open failed")
	}
	if err := k.checkInvariants(); err != nil {
		t.Error(err)
	}
}

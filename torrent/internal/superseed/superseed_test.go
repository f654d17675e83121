package superseed

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"spate/bitfield"
	"spate/torrent/internal/picker"
)

// newSeed returns a seed of n pieces of one block each, with peers that were shown no
// piece yet.
func newSeed(tb testing.TB, n, peers int) (*Seed, *picker.Picker, time.Time) {
	tb.Helper()
	k, err := picker.New(picker.Config{NumPieces: n, PieceSize: func(int) int { return block }})
	if err != nil {
		tb.Fatal(err)
	}
	s := New(Pieces{Num: n, Length: block, Size: func(int) int64 { return block }})
	s.SetSwarm(k)
	now := time.Unix(1e9, 0)
	for i := range peers {
		id := picker.PeerID(i)
		k.PeerJoined(id, bitfield.New(n))
		if hides := s.Join(Joining{ID: id, Connected: now, Complete: true}, now); !hides {
			tb.Fatalf("peer %d is told of all pieces", i)
		}
		s.Ready(id)
	}
	return s, k, now
}

// TestFirstCopyCostsLittle checks that a seed whose peers pass on each piece at once sends
// hardly any piece twice until every piece has reached a peer.
func TestFirstCopyCostsLittle(t *testing.T) {
	t.Parallel()
	for _, peers := range []int{3, 10, 60} {
		t.Run(fmt.Sprint(peers), func(t *testing.T) {
			t.Parallel()
			const pieces = 1000
			s, k, now := newSeed(t, pieces, peers)
			queues := make([][]uint32, peers)
			show := func(id picker.PeerID) {
				list, _ := s.Show(id, Link{Queued: len(queues[id])}, now)
				for _, piece := range list {
					if s.Request(id, piece, block, now) {
						queues[id] = append(queues[id], piece)
					}
				}
			}
			for id := picker.PeerID(1); int(id) < peers; id++ {
				s.Unchoked(id, now)
				show(id)
			}
			sent := 0
			for round := 0; !s.firstCopyOut(); round++ {
				if round > 2*pieces {
					t.Fatal("the first copy does not get out")
				}
				now = now.Add(10 * time.Millisecond)
				for id := picker.PeerID(1); int(id) < peers; id++ {
					if len(queues[id]) == 0 {
						show(id)
						continue
					}
					piece := queues[id][0]
					queues[id] = queues[id][1:]
					sent++
					for o := range picker.PeerID(peers) { // every peer gets the piece from another one
						if k.PeerHave(o, int(piece)) {
							s.Has(o, piece, now)
						}
					}
					if len(queues[id]) == 0 {
						s.Drained(id, 1e6)
					}
					show(id)
				}
			}
			if most := pieces + pieces/20 + 2*peers; sent > most {
				t.Errorf("%d pieces are sent for a copy of %d, want at most %d", sent, pieces, most)
			}
		})
	}
}

// TestSilentPeersDoNotDelayOthers checks that a peer is shown every piece even if all other
// peers request none.
func TestSilentPeersDoNotDelayOthers(t *testing.T) {
	t.Parallel()
	const pieces, peers = 300, 20
	s, k, now := newSeed(t, pieces, peers)
	for id := picker.PeerID(1); id < peers; id++ {
		s.Unchoked(id, now)
		s.Show(id, Link{}, now)
	}
	const last = peers - 1
	for round := 0; k.PeerHaveCount(last) < pieces; round++ {
		if round > pieces {
			t.Fatalf("the peer got %d of %d pieces", k.PeerHaveCount(last), pieces)
		}
		for w := s.peers[last].open; len(w) > 0; w = s.peers[last].open {
			piece := w[0].piece
			k.PeerHave(last, int(piece))
			s.Has(last, piece, now)
		}
		s.Drained(last, 1e6)
		s.Show(last, Link{}, now)
	}
}

// TestChokeWaitsForPiece checks that a choke waits until the peer has the rest of a requested
// piece, but no longer than lastPieceWait.
func TestChokeWaitsForPiece(t *testing.T) {
	t.Parallel()
	s, k, now := newSeed(t, 100, 2)
	s.peers[1].window = block
	s.Unchoked(1, now)
	pieces, _ := s.Show(1, Link{}, now)
	piece := pieces[0]
	if s.Finishing(1, now) {
		t.Error("the choke waits for a piece that was not requested")
	}
	s.KeepUnchoked(1)
	s.Request(1, piece, block, now)
	if !s.Finishing(1, now) {
		t.Error("the choke does not wait for a piece that was requested")
	}
	if more, _ := s.Show(1, Link{}, now); len(more) > 0 {
		t.Errorf("pieces %v are shown before the choke", more)
	}
	if s.Finishing(1, now.Add(lastPieceWait)) {
		t.Errorf("the choke still waits after %v", lastPieceWait)
	}
	k.PeerHave(1, int(piece))
	if !s.Has(1, piece, now) {
		t.Error("the peer is not choked once it has the piece")
	}
	s.Choked(1)
	if more, _ := s.Show(1, Link{Choked: true}, now); len(more) != 1 {
		t.Errorf("the choked peer is shown %v, want one piece", more)
	}
}

// TestLastPiecesAreRepeatedSparingly checks a fast peer while a slow peer delays the end of
// the first copy. The fast peer is shown the pieces of the slow one only when it has received
// everything else, and then one, one, two, two, four ... at a time.
func TestLastPiecesAreRepeatedSparingly(t *testing.T) {
	t.Parallel()
	const pieces, slow, fast = 40, 1, 2
	s, k, now := newSeed(t, pieces, 3)
	s.peers[slow].window, s.peers[fast].window = 30*block, pieces*block
	s.unshown = 100 * pieces // so that only the window limits what is shown
	for _, id := range []picker.PeerID{slow, fast} {
		s.Unchoked(id, now)
	}
	list, _ := s.Show(slow, Link{}, now)
	if len(list) != 30 {
		t.Fatalf("the slow peer is shown %d pieces", len(list))
	}
	unacked := 1
	link := Link{Unacked: func() (int, bool) { return unacked, true }}
	list, _ = s.Show(fast, link, now)
	if len(list) != pieces-30 {
		t.Fatalf("the fast peer is shown %d pieces", len(list))
	}
	take := func(list []uint32) {
		for _, piece := range slices.Clone(list) {
			k.PeerHave(fast, int(piece))
			s.Has(fast, piece, now)
		}
	}
	take(list)
	for wait := firstRetry; wait <= 4*firstRetry; wait *= 2 {
		list, retry := s.Show(fast, link, now)
		if len(list) > 0 || retry != wait {
			t.Fatalf("shown %v, look again after %v, want %v", list, retry, wait)
		}
		if _, again := s.Show(fast, link, now); again != 0 {
			t.Fatal("two retries at once")
		}
		s.Retry(fast)
	}
	unacked = 0
	for _, want := range []int{1, 1, 2, 2, 4, 4} {
		list, _ := s.Show(fast, link, now)
		if len(list) != want {
			t.Fatalf("shown %v, want %d pieces", list, want)
		}
		take(list)
	}
	if _, retry := s.Show(fast, Link{Unacked: func() (int, bool) { return 1, true }}, now); retry != firstRetry {
		t.Errorf("look again after %v: a piece that is shown makes the wait short again", retry)
	}
}

// TestRarestPieceIsShown checks the order in which pieces are shown: pieces that peers have,
// were shown, or are expected to get come later.
func TestRarestPieceIsShown(t *testing.T) {
	t.Parallel()
	const has2, has1, expects, shown = 0, 1, 2, 3
	s, k, now := newSeed(t, 4, 5)
	for range 2 {
		k.PeerHave(1, has2)
		k.PeerHave(1, has1)
		k.PeerHave(2, has2)
	}
	s.open(s.peers[3], expects, true, now)
	s.open(s.peers[3], shown, false, now)
	s.peers[4].window = 100 * block
	list, _ := s.Show(4, Link{}, now)
	if want := []uint32{shown, has1, expects, has2}; !slices.Equal(list, want[:1]) {
		t.Fatalf("shown %v, want %v", list, want[:1])
	}
	s.peers[4].repeats = 100
	for _, want := range []uint32{has1, expects, has2} {
		if piece, _ := s.rarest(4, s.peers[4]); piece != int(want) {
			t.Fatalf("piece %d is next, want %d", piece, want)
		}
		s.peers[4].told.Set(int(want))
	}
}

// TestUnrequestedPiecesAreNotExpected checks that a peer that does not request a piece that it
// was shown is shown other pieces after a while, and that the first piece then no longer
// counts as expected.
func TestUnrequestedPiecesAreNotExpected(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		elsewhere bool // another peer has the piece
		after     time.Duration
	}{{"another peer has it", true, elsewhereWait}, {"no peer has it", false, askWait}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, k, now := newSeed(t, 100, 3)
			s.Unchoked(1, now)
			list, _ := s.Show(1, Link{}, now)
			piece := list[0]
			if c.elsewhere {
				k.PeerHave(0, int(piece))
			}
			list, _ = s.Show(1, Link{}, now.Add(c.after))
			if len(list) > 0 || s.shown[piece] != 1+expected {
				t.Errorf("after %v: shown %v, count %d", c.after, list, s.shown[piece])
			}
			list, _ = s.Show(1, Link{}, now.Add(c.after+1))
			if len(list) == 0 || s.shown[piece] != 1 {
				t.Errorf("later: shown %v, count %d", list, s.shown[piece])
			}
		})
	}
}

// TestRequestOfPeerThatKnowsAllPiecesCounts checks that a piece that is requested by a peer
// that was told of all pieces counts as expected until the peer has the piece, is choked or
// leaves.
func TestRequestOfPeerThatKnowsAllPiecesCounts(t *testing.T) {
	t.Parallel()
	const piece = 7
	for name, end := range map[string]func(s *Seed, now time.Time){
		"has it": func(s *Seed, now time.Time) { s.Has(0, piece, now) },
		"choked": func(s *Seed, now time.Time) { s.Choked(0) },
		"left":   func(s *Seed, now time.Time) { s.Leave(0) },
	} {
		s, _, now := newSeed(t, 100, 2)
		s.Leave(0) // it was told of all pieces, and needs no record
		if !s.Request(0, piece, block, now) || s.shown[piece] != 1+expected {
			t.Errorf("%s: count %d", name, s.shown[piece])
		}
		end(s, now)
		if s.shown[piece] != 0 {
			t.Errorf("%s: count %d at the end", name, s.shown[piece])
		}
	}
}

// TestFastPeerIsShownMorePieces checks that a peer is shown twice as many pieces each time
// that it has received everything: up to maxWindow if the link to it is idle, otherwise up to
// four seconds of its rate.
func TestFastPeerIsShownMorePieces(t *testing.T) {
	t.Parallel()
	s, _, now := newSeed(t, 100, 2)
	for _, want := range []int64{2, 4, 8, 16, 16} {
		s.Drained(1, 4*block)
		if s.peers[1].window != want*block {
			t.Fatalf("the window is %d bytes, want %d", s.peers[1].window, want*block)
		}
	}
	s.Unchoked(1, now)
	s.unshown = 10000 // so that only the window limits what is shown
	list, _ := s.Show(1, Link{Queued: 6}, now)
	if len(list) != 10 {
		t.Fatalf("%d pieces are shown to a peer with 6 blocks to come, want 10", len(list))
	}
	idle := Link{Unacked: func() (int, bool) { return 0, true }}
	for _, want := range []int64{2, 4, 8, 8} {
		for _, piece := range slices.Clone(list) {
			s.Request(1, piece, block, now)
			s.Written(1, piece, block)
			s.Has(1, piece, now)
		}
		list, _ = s.Show(1, idle, now)
		if got := s.peers[1].window; len(list) > 0 && got != want*16*block {
			t.Fatalf("the window is %d bytes, want %d", got, want*16*block)
		}
	}
}

// TestLastPiecesAreSharedOut checks that peers with large windows are shown fewer pieces the
// fewer are left that nobody was shown, so that no peer holds many of the last ones.
func TestLastPiecesAreSharedOut(t *testing.T) {
	t.Parallel()
	const pieces, peers = 160, 4
	s, _, now := newSeed(t, pieces, peers)
	for i := range peers {
		s.peers[i].window = pieces * block
		s.Unchoked(picker.PeerID(i), now)
	}
	for i, want := range []int{20, 17, 15, 13} {
		if list, _ := s.Show(picker.PeerID(i), Link{}, now); len(list) != want {
			t.Errorf("peer %d is shown %d pieces, want %d", i, len(list), want)
		}
	}
	s.unshown = 8
	for i := range peers {
		for _, w := range slices.Clone(s.peers[i].open) {
			s.Request(picker.PeerID(i), w.piece, block, now)
			s.Has(picker.PeerID(i), w.piece, now)
		}
		if list, _ := s.Show(picker.PeerID(i), Link{}, now); len(list) != fewPieces {
			t.Errorf("near the end peer %d is shown %d pieces, want %d", i, len(list), fewPieces)
		}
	}
	s.Tick(peers, true, now)
	if s.hiding != peers {
		t.Errorf("%d peers are counted, want %d", s.hiding, peers)
	}
}

// TestCanceledRequestCounts checks that the bytes of a canceled request count as ahead again.
func TestCanceledRequestCounts(t *testing.T) {
	t.Parallel()
	s, _, now := newSeed(t, 100, 2)
	s.Unchoked(1, now)
	list, _ := s.Show(1, Link{}, now)
	piece := list[0]
	shown := int64(len(list)) * block
	s.Request(1, piece, block, now)
	if n := s.ahead(s.peers[1], &Link{}, now); n != shown-block {
		t.Errorf("%d bytes are ahead after the request, want %d", n, shown-block)
	}
	s.Cancel(1, piece, block)
	if n := s.ahead(s.peers[1], &Link{}, now); n != shown {
		t.Errorf("%d bytes are ahead after the cancel, want %d", n, shown)
	}
}

// TestChokedPeerIsShownOnePiece checks that a choked peer is shown exactly one piece even if
// another peer is expected to get all pieces that are left.
func TestChokedPeerIsShownOnePiece(t *testing.T) {
	t.Parallel()
	s, _, now := newSeed(t, 5, 3)
	s.peers[1].window = 5 * block
	s.Unchoked(1, now)
	s.Show(1, Link{}, now)
	for _, want := range []int{1, 0} {
		if list, _ := s.Show(2, Link{Choked: true}, now); len(list) != want {
			t.Errorf("the choked peer is shown %v, want %d pieces", list, want)
		}
	}
	s.Choked(1)
	for piece, n := range s.shown {
		if n >= expected {
			t.Errorf("piece %d is still expected at a peer that was choked", piece)
		}
	}
}

// TestOnlyPeerIsToldOfAllPieces checks that a peer is told of all pieces once it has been
// the only peer for aloneWait without a break.
func TestOnlyPeerIsToldOfAllPieces(t *testing.T) {
	t.Parallel()
	s, _, now := newSeed(t, 100, 2)
	for i, peers := range []int{1, 2, 1, 1} {
		if !s.Hides(1) {
			t.Fatalf("the peer is told of all pieces in second %d", i)
		}
		now = now.Add(time.Second)
		s.Tick(peers, true, now)
	}
	if s.Hides(1) {
		t.Error("pieces are hidden from a peer that is alone")
	}
}

// TestEndOfSuperSeeding checks that the peers are told of all hidden pieces, some thousand at
// a time, after another seed has come.
func TestEndOfSuperSeeding(t *testing.T) {
	t.Parallel()
	const pieces = restAtOnce + 100
	s, _, now := newSeed(t, pieces, 3)
	shown, _ := s.Show(1, Link{}, now)
	told := len(shown)
	s.OtherSeed(now)
	for tick, want := range []int{restAtOnce, pieces - restAtOnce - told} {
		now = now.Add(time.Second)
		s.Tick(3, true, now)
		if rest := s.Rest(1); len(rest) != want {
			t.Errorf("second %d: the peer is told of %d pieces, want %d", tick, len(rest), want)
		}
	}
	for range 2 {
		s.Rest(0)
		s.Rest(2)
	}
	s.Tick(3, true, now)
	if s.Active() {
		t.Error("super-seeding goes on beside another seed")
	}
}

// TestCompletedPeer checks that the pieces stay hidden from the other peers after one has completed
// its download, and from a peer that joins later, also while it is the only one, and that this ends
// with a seed that had the data before.
func TestCompletedPeer(t *testing.T) {
	t.Parallel()
	s, w, now := newSeed(t, 100, 3)
	for i := range 100 {
		w.PeerHave(0, i)
	}
	s.Completed(now)
	for range 5 {
		now = now.Add(time.Second)
		s.Tick(3, true, now)
	}
	if !s.Hides(1) || !s.Hides(2) || len(s.Rest(1)) > 0 {
		t.Error("the peers are told of all pieces after another has completed its download")
	}
	if pieces, _ := s.Show(1, Link{}, now); len(pieces) == 0 {
		t.Error("a peer is shown no piece after another has completed its download")
	}
	for i := range picker.PeerID(3) {
		s.Leave(i)
		w.PeerLeft(i)
	}
	w.PeerJoined(3, bitfield.New(100))
	if !s.Join(Joining{ID: 3, Connected: now, Complete: true}, now) {
		t.Error("a peer that joins later is told of all pieces")
	}
	for range 3 {
		now = now.Add(time.Second)
		s.Tick(1, true, now)
	}
	if !s.Hides(3) {
		t.Error("a peer that is alone with the seed is told of all pieces although another has completed its download")
	}
	s.OtherSeed(now)
	s.Tick(1, true, now.Add(time.Second))
	if s.Hides(3) {
		t.Error("pieces are hidden beside a seed that had the data before")
	}
}

// BenchmarkShow measures the choice of the next piece in a swarm of 200 peers.
func BenchmarkShow(b *testing.B) {
	const pieces, peers = 50_000, 200
	s, k, now := newSeed(b, pieces, peers)
	for id := picker.PeerID(1); id < peers; id++ {
		s.Unchoked(id, now)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := picker.PeerID(1 + i%(peers-1))
		list, _ := s.Show(id, Link{}, now)
		for _, piece := range list {
			k.PeerHave(id, int(piece))
			s.Has(id, piece, now)
			k.PeerDontHave(id, int(piece))
			s.peers[id].told.Clear(int(piece))
		}
	}
}

// TestStillSwarmIsToldEverything checks that all peers are told of all pieces that they lack,
// also of those that they were shown, when no peer has sent a request for some time.
func TestStillSwarmIsToldEverything(t *testing.T) {
	t.Parallel()
	s, _, now := newSeed(t, 3, 2)
	for id := range picker.PeerID(2) {
		s.Unchoked(id, now)
		s.Show(id, Link{}, now)
	}
	s.Request(0, 0, block, now.Add(time.Second))
	for after, still := range []bool{stillWait / time.Second: false, stillWait/time.Second + 1: true} {
		s.Tick(2, true, now.Add(time.Duration(after)*time.Second))
		for id := range picker.PeerID(2) {
			if rest := s.Rest(id); still != slices.Equal(rest, []uint32{0, 1, 2}) {
				t.Fatalf("after %d s peer %d is told of the pieces %v", after, id, rest)
			}
		}
	}
}

package picker

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"spate/bitfield"
)

// model records in maps what a Picker must record. It accepts the blocks that Pick
// returns and checks each of them against the documented order.
type model struct {
	k         *Picker
	sizes     []int
	have      []bool
	prio      []int
	peers     map[PeerID][]bool  // the pieces of each joined peer
	requested map[Block][]PeerID // the requesters of each block
	claims    map[Block]PeerID   // the peer from which a block is being copied
	senders   map[Block]PeerID   // the peer that sent an arrived block
	open      map[int]bool
	onParole  map[int]bool // open pieces that one peer downloads alone
	fails     map[int]int  // consecutive failures with blocks of several peers
	maxOpen   int
	urgent    []int
}

// newModel draws a torrent and returns the model of a new Picker for it.
func newModel(t *rapid.T) *model {
	m := &model{
		peers: map[PeerID][]bool{}, requested: map[Block][]PeerID{}, claims: map[Block]PeerID{}, senders: map[Block]PeerID{},
		open: map[int]bool{}, onParole: map[int]bool{}, fails: map[int]int{},
	}
	n := rapid.IntRange(1, 90).Draw(t, "pieces")
	length := rapid.SampledFrom([]int{1, BlockSize, BlockSize + 1, 3 * BlockSize, 5*BlockSize - 7}).Draw(t, "length")
	for i := range n {
		size := length
		if i == n-1 || i%7 == 3 {
			size = rapid.IntRange(1, length).Draw(t, "short")
		}
		m.sizes = append(m.sizes, size)
		m.have = append(m.have, false)
		m.prio = append(m.prio, NormalPrio)
	}
	m.maxOpen = rapid.IntRange(1, 12).Draw(t, "open")
	k, err := New(Config{NumPieces: n, PieceSize: func(i int) int { return m.sizes[i] }, Seed: rapid.Uint64().Draw(t, "seed"), MaxOpen: m.maxOpen})
	if err != nil {
		t.Fatal(err)
	}
	k.orderLimit = rapid.SampledFrom([]int{1, 5, defaultOrderLimit}).Draw(t, "order limit")
	m.k = k
	return m
}

// wanted reports whether piece i is wanted.
func (m *model) wanted(i int) bool { return !m.have[i] && m.prio[i] > 0 }

// avail returns the number of peers that have piece i.
func (m *model) avail(i int) int {
	n := 0
	for _, h := range m.peers {
		if h[i] {
			n++
		}
	}
	return n
}

// free reports whether b is neither requested, being copied nor arrived.
func (m *model) free(b Block) bool {
	_, c := m.claims[b]
	_, s := m.senders[b]
	return len(m.requested[b]) == 0 && !c && !s
}

// blocks returns the blocks of piece i.
func (m *model) blocks(i int) []Block {
	var bs []Block
	for begin := 0; begin < m.sizes[i]; begin += BlockSize {
		bs = append(bs, Block{int32(i), int32(begin), int32(min(BlockSize, m.sizes[i]-begin))})
	}
	return bs
}

// paroleAllows reports whether parole permits that p gets blocks of piece i: no
// other peer has a request or a claim.
func (m *model) paroleAllows(i int, p PeerID) bool {
	if !m.onParole[i] {
		return true
	}
	for _, b := range m.blocks(i) {
		if c, ok := m.claims[b]; ok && c != p {
			return false
		}
		for _, q := range m.requested[b] {
			if q != p {
				return false
			}
		}
	}
	return true
}

// unrequested returns the number of free blocks of wanted pieces.
func (m *model) unrequested() int {
	n := 0
	for i := range m.sizes {
		if m.wanted(i) {
			for _, b := range m.blocks(i) {
				if m.free(b) {
					n++
				}
			}
		}
	}
	return n
}

// endgame reports whether pieces are wanted, and no peer has a free block.
func (m *model) endgame() bool {
	missing := false
	for i := range m.sizes {
		if !m.wanted(i) {
			continue
		}
		missing = true
		if m.avail(i) > 0 {
			for _, b := range m.blocks(i) {
				if m.free(b) {
					return false
				}
			}
		}
	}
	return missing
}

// forget removes all that the model records of the open piece i.
func (m *model) forget(i int) {
	for _, b := range m.blocks(i) {
		delete(m.requested, b)
		delete(m.claims, b)
		delete(m.senders, b)
	}
	delete(m.open, i)
	delete(m.onParole, i)
}

// closeUnclaimed forgets the open pieces that the Picker has closed. It panics if
// one of them has a block that is not free.
func (m *model) closeUnclaimed() {
	for i := range m.open {
		if m.k.Slot(i) >= 0 {
			continue
		}
		for _, b := range m.blocks(i) {
			if !m.free(b) {
				panic(fmt.Sprintf("piece %d was closed, but its block %v is not free", i, b))
			}
		}
		m.forget(i)
	}
}

// mayOpen reports whether Pick may open another urgent piece, and another piece of
// the others.
func (m *model) mayOpen() (urgent, other bool) {
	return len(m.open) < m.maxOpen, len(m.open) < m.maxOpen-min(len(m.urgent), m.maxOpen/4)
}

// checkedPick checks the result of a call of Pick.
type checkedPick struct {
	*model
	p   PeerID
	opt PickOptions
}

// pickAndCheck calls Pick with random options and checks each block that it
// returns.
func (m *model) pickAndCheck(t *rapid.T, p PeerID) {
	opt := PickOptions{
		WholePieces: rapid.Bool().Draw(t, "whole"), Sequential: rapid.Bool().Draw(t, "sequential"),
		Endgame: rapid.Bool().Draw(t, "endgame"), Requesters: rapid.IntRange(0, 4).Draw(t, "requesters"),
		UrgentTwice: rapid.Bool().Draw(t, "twice"), NoUrgent: rapid.IntRange(0, 3).Draw(t, "no urgent") == 0,
	}
	if rapid.IntRange(0, 9).Draw(t, "allowed fast") == 0 {
		opt.Only = []int32{int32(rapid.IntRange(0, len(m.sizes)-1).Draw(t, "only"))}
	}
	n := rapid.IntRange(1, 12).Draw(t, "n")
	got := m.k.Pick(nil, p, n, opt)
	if len(got) > n {
		t.Fatalf("Pick returned %d blocks, want at most %d", len(got), n)
	}
	c := &checkedPick{model: m, p: p, opt: opt}
	duplicates := false
	for _, b := range got {
		i := int(b.Piece)
		if !m.wanted(i) || !m.peers[p][i] || !slices.Contains(m.blocks(i), b) {
			t.Fatalf("picked %v of a piece that is wanted: %v, that the peer has: %v", b, m.wanted(i), m.peers[p][i])
		}
		if opt.NoUrgent && opt.Only == nil && slices.Contains(m.urgent, i) || opt.Only != nil && !slices.Contains(opt.Only, b.Piece) {
			t.Fatalf("picked %v, which the options NoUrgent or Only exclude", b)
		}
		if !m.paroleAllows(i, p) {
			t.Fatalf("picked %v of a piece on parole that another peer downloads", b)
		}
		switch {
		case !m.free(b):
			duplicates = true
			c.checkDuplicate(t, b)
		case duplicates:
			t.Fatalf("picked the free block %v after a requested one", b)
		case !m.open[i]:
			c.checkOpened(t, i)
		}
		m.requested[b] = append(m.requested[b], p)
	}
	if len(got) < n {
		c.checkExhausted(t)
	}
}

// checkDuplicate checks that the options and the state permit Pick to return a
// block that is requested from another peer.
func (c *checkedPick) checkDuplicate(t *rapid.T, b Block) {
	limit := min(max(c.opt.Requesters, 0), MaxRequesters)
	if limit == 0 {
		limit = 2
	}
	requesters := c.requested[b]
	urgentTwice := c.opt.UrgentTwice && !c.opt.NoUrgent && slices.Contains(c.urgent, int(b.Piece)) && len(requesters) == 1
	endgame := c.opt.Endgame && c.endgame() && len(requesters) > 0 && len(requesters) < limit
	if !urgentTwice && !endgame || slices.Contains(requesters, c.p) || c.onParole[int(b.Piece)] || c.opt.Only != nil {
		t.Fatalf("picked %v, which is requested from %v; endgame %v, options %+v", b, requesters, c.endgame(), c.opt)
	}
}

// checkOpened checks that piece i is the right one to open: an urgent piece, or the
// rarest piece (the first one with Sequential) of the highest priority.
func (c *checkedPick) checkOpened(t *rapid.T, i int) {
	haves := 0
	for _, h := range c.have {
		if h {
			haves++
		}
	}
	urgent := slices.Contains(c.urgent, i) && !c.opt.NoUrgent
	if mayOpenUrgent, mayOpenOther := c.mayOpen(); !mayOpenOther && !(mayOpenUrgent && urgent && c.opt.Only == nil) {
		t.Fatalf("opened piece %d although %d of at most %d are open, %d urgent", i, len(c.open), c.maxOpen, len(c.urgent))
	}
	for o := range c.sizes {
		if !c.wanted(o) || c.open[o] || !c.peers[c.p][o] || o == i || c.opt.Only != nil {
			continue
		}
		other := slices.Contains(c.urgent, o)
		switch {
		case other && c.opt.NoUrgent:
		case urgent && !other:
		case other && (!urgent || slices.Index(c.urgent, o) < slices.Index(c.urgent, i)):
			t.Fatalf("opened piece %d before %d, urgent pieces are %v", i, o, c.urgent)
		case urgent:
		case c.prio[o] > c.prio[i]:
			t.Fatalf("opened piece %d of priority %d before piece %d of priority %d", i, c.prio[i], o, c.prio[o])
		case c.prio[o] < c.prio[i]:
		case c.opt.Sequential && o < i:
			t.Fatalf("opened piece %d before %d with Sequential", i, o)
		case !c.opt.Sequential && haves >= randomFirst && c.avail(o) < c.avail(i):
			t.Fatalf("opened piece %d with availability %d before piece %d with %d", i, c.avail(i), o, c.avail(o))
		}
	}
	c.open[i] = true
	c.onParole[i] = c.fails[i] > 0 && c.fails[i] < maxParole
}

// checkExhausted checks a Pick that returned fewer than n blocks: no free block may
// be left that it could have returned.
func (c *checkedPick) checkExhausted(t *rapid.T) {
	_, mayOpen := c.mayOpen()
	for i := range c.sizes {
		if !c.wanted(i) || !c.peers[c.p][i] || !c.open[i] && !mayOpen || !c.paroleAllows(i, c.p) || c.onParole[i] {
			continue
		}
		if c.opt.Only != nil && !slices.Contains(c.opt.Only, int32(i)) || c.opt.NoUrgent && slices.Contains(c.urgent, i) {
			continue
		}
		for _, b := range c.blocks(i) {
			if c.free(b) {
				t.Fatalf("Pick did not return the free block %v", b)
			}
		}
	}
}

// claim calls Claim for a block that may or may not be requested from p, and
// checks the result.
func (m *model) claim(t *rapid.T, p PeerID, b Block) {
	had := slices.Index(m.requested[b], p)
	solo := m.onParole[int(b.Piece)]
	_, copying := m.claims[b]
	_, hasArrived := m.senders[b]
	got := m.k.Claim(b, p)
	if had >= 0 {
		m.requested[b] = slices.Delete(m.requested[b], had, had+1)
	}
	switch {
	case !m.open[int(b.Piece)]:
		if got != Unwanted {
			t.Fatalf("Claim(%v) is %d, want Unwanted, because the piece is not open", b, got)
		}
	case copying || hasArrived:
		if got != Duplicate {
			t.Fatalf("Claim(%v) is %d, want Duplicate, because the block is being copied or has arrived", b, got)
		}
	case got == Unwanted && solo && had < 0:
	case got != Fresh:
		t.Fatalf("Claim(%v) is %d, want Fresh", b, got)
	default:
		m.claims[b] = p
	}
}

// arrive calls Arrived for a claimed block and checks the result. It hashes a
// complete piece.
func (m *model) arrive(t *rapid.T, b Block) {
	p := m.claims[b]
	complete, others := m.k.Arrived(b, p)
	if !slices.Equal(others, m.requested[b]) {
		t.Fatalf("Arrived(%v) returned the requesters %v, want %v", b, others, m.requested[b])
	}
	delete(m.claims, b)
	delete(m.requested, b)
	m.senders[b] = p
	all := true
	for _, o := range m.blocks(int(b.Piece)) {
		if _, ok := m.senders[o]; !ok {
			all = false
		}
	}
	if all != complete {
		t.Fatalf("Arrived(%v) returned complete %v, want %v", b, complete, all)
	}
	if complete {
		m.hash(t, int(b.Piece))
	}
}

// setVerified records that piece i is verified.
func (m *model) setVerified(i int) {
	m.have[i] = true
	delete(m.fails, i)
	if at := slices.Index(m.urgent, i); at >= 0 {
		m.urgent = slices.Delete(m.urgent, at, at+1)
	}
}

// hash calls Verified or Failed for the complete piece i, and checks which peers
// sent its blocks.
func (m *model) hash(t *rapid.T, i int) {
	if rapid.IntRange(0, 3).Draw(t, "good") > 0 {
		m.k.Verified(i)
		m.setVerified(i)
		m.forget(i)
		return
	}
	want := map[PeerID]bool{}
	for _, b := range m.blocks(i) {
		want[m.senders[b]] = true
		if q, ok := m.k.Contributor(b); !ok || q != m.senders[b] {
			t.Fatalf("the contributor of %v is peer %d, want %d", b, q, m.senders[b])
		}
	}
	got := m.k.Failed(nil, i)
	for _, p := range got {
		if !want[p] {
			t.Fatalf("Failed returned the peers %v, want %v", got, want)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("Failed returned the peers %v, want %v", got, want)
	}
	if len(want) > 1 {
		m.fails[i] = min(m.fails[i]+1, maxParole)
	} else {
		delete(m.fails, i)
	}
	m.forget(i)
}

// abandonAll calls AbandonAll for p and checks the result.
func (m *model) abandonAll(t *rapid.T, p PeerID) {
	n := 0
	for b, ps := range m.requested {
		if at := slices.Index(ps, p); at >= 0 {
			m.requested[b] = slices.Delete(ps, at, at+1)
			n++
		}
	}
	if got := m.k.AbandonAll(p); got != n {
		t.Fatalf("AbandonAll(%d) returned %d, want %d", p, got, n)
	}
	m.closeUnclaimed()
}

// leave removes peer p.
func (m *model) leave(t *rapid.T, p PeerID) {
	m.abandonAll(t, p)
	m.k.PeerLeft(p)
	delete(m.peers, p)
}

// compare checks that the Picker's methods return what the model records.
func (m *model) compare(t *rapid.T) {
	if err := m.k.checkInvariants(); err != nil {
		t.Fatal(err)
	}
	wanted := 0
	for i := range m.sizes {
		if m.wanted(i) {
			wanted++
		}
		if m.k.Have(i) != m.have[i] || m.k.Slot(i) >= 0 != m.open[i] || m.k.Availability(i) != m.avail(i) {
			t.Fatalf("piece %d: have %v, slot %d, availability %d; want have %v, open %v, availability %d",
				i, m.k.Have(i), m.k.Slot(i), m.k.Availability(i), m.have[i], m.open[i], m.avail(i))
		}
	}
	if m.k.Wanted() != wanted || m.k.Complete() != (wanted == 0) || m.k.Unrequested() != m.unrequested() || m.k.Endgame() != m.endgame() {
		t.Fatalf("wanted %d, unrequested %d, endgame %v; want %d, %d, %v", m.k.Wanted(), m.k.Unrequested(), m.k.Endgame(), wanted, m.unrequested(), m.endgame())
	}
	for p, h := range m.peers {
		interest, pending := 0, 0
		for i := range m.sizes {
			if h[i] != m.k.PeerHas(p, i) {
				t.Fatalf("PeerHas(%d, %d) is %v, want %v", p, i, !h[i], h[i])
			}
			if h[i] && m.wanted(i) {
				interest++
			}
		}
		for _, ps := range m.requested {
			if slices.Contains(ps, p) {
				pending++
			}
		}
		if m.k.Interest(p) != interest || m.k.PendingOf(p) != pending {
			t.Fatalf("peer %d: interest %d, pending %d; want %d, %d", p, m.k.Interest(p), m.k.PendingOf(p), interest, pending)
		}
	}
}

// sortedBlocks returns the keys of m in a fixed order, so that a random draw can be
// repeated.
func sortedBlocks[V any](m map[Block]V) []Block {
	var bs []Block
	for b := range m {
		bs = append(bs, b)
	}
	slices.SortFunc(bs, func(a, b Block) int {
		if a.Piece != b.Piece {
			return int(a.Piece - b.Piece)
		}
		return int(a.Begin - b.Begin)
	})
	return bs
}

// TestPickerAgreesWithModel checks random calls of a Picker against the model.
func TestPickerAgreesWithModel(t *testing.T) { rapid.Check(t, checkAgainstModel) }

// checkAgainstModel makes random calls and compares the Picker with the model after
// each.
func checkAgainstModel(t *rapid.T) {
	m := newModel(t)
	n := len(m.sizes)
	peer := func(t *rapid.T) PeerID {
		ps := make([]PeerID, 0, len(m.peers))
		for p := range m.peers {
			ps = append(ps, p)
		}
		if len(ps) == 0 {
			t.Skip("no peers")
		}
		slices.Sort(ps)
		return rapid.SampledFrom(ps).Draw(t, "peer")
	}
	piece := func(t *rapid.T) int { return rapid.IntRange(0, n-1).Draw(t, "piece") }
	one := func(t *rapid.T, bs []Block) Block {
		if len(bs) == 0 {
			t.Skip("no block")
		}
		return rapid.SampledFrom(bs).Draw(t, "block")
	}
	t.Repeat(map[string]func(*rapid.T){
		"": m.compare,
		"join": func(t *rapid.T) {
			p := PeerID(rapid.IntRange(0, 7).Draw(t, "p"))
			if _, joined := m.peers[p]; !joined && !m.k.Reusable(p) {
				t.Skip("not reusable")
			}
			h, f, kind := make([]bool, n), bitfield.New(n), rapid.IntRange(0, 3).Draw(t, "kind")
			for i := range n {
				h[i] = kind == 3 || kind > 0 && rapid.IntRange(0, 3).Draw(t, "has") < kind
				if h[i] {
					f.Set(i)
				}
			}
			m.k.PeerJoined(p, f)
			m.peers[p] = h
		},
		"have": func(t *rapid.T) {
			p, i := peer(t), piece(t)
			if m.k.PeerHave(p, i) == m.peers[p][i] {
				t.Fatalf("PeerHave(%d, %d) is %v, want %v", p, i, m.peers[p][i], !m.peers[p][i])
			}
			m.peers[p][i] = true
		},
		"dont have": func(t *rapid.T) {
			p, i := peer(t), piece(t)
			if m.k.PeerDontHave(p, i) != m.peers[p][i] {
				t.Fatalf("PeerDontHave(%d, %d) is %v, want %v", p, i, !m.peers[p][i], m.peers[p][i])
			}
			m.peers[p][i] = false
		},
		"pick":       func(t *rapid.T) { m.pickAndCheck(t, peer(t)) },
		"pick again": func(t *rapid.T) { m.pickAndCheck(t, peer(t)) },
		"claim": func(t *rapid.T) {
			b := one(t, sortedBlocks(m.requested))
			if len(m.requested[b]) == 0 {
				t.Skip("not requested")
			}
			m.claim(t, rapid.SampledFrom(m.requested[b]).Draw(t, "from"), b)
		},
		"claim any": func(t *rapid.T) { m.claim(t, peer(t), one(t, m.blocks(piece(t)))) },
		"arrive": func(t *rapid.T) {
			for _, b := range sortedBlocks(m.claims) {
				if _, ok := m.claims[b]; ok && rapid.IntRange(0, 9).Draw(t, "now") > 0 {
					m.arrive(t, b)
				}
			}
		},
		"arrive all": func(t *rapid.T) {
			for _, b := range sortedBlocks(m.requested) {
				if len(m.requested[b]) > 0 && m.open[int(b.Piece)] {
					if _, busy := m.claims[b]; !busy {
						m.claim(t, m.requested[b][0], b)
						m.arrive(t, b)
					}
				}
			}
		},
		"copy fails": func(t *rapid.T) {
			b := one(t, sortedBlocks(m.claims))
			if !m.k.Abandon(b, m.claims[b]) {
				t.Fatalf("Abandon of the claimed block %v is false", b)
			}
			delete(m.claims, b)
			m.closeUnclaimed()
		},
		"abandon": func(t *rapid.T) {
			b, p := one(t, sortedBlocks(m.requested)), peer(t)
			at := slices.Index(m.requested[b], p)
			_, copying := m.claims[b]
			if copying && m.claims[b] == p {
				t.Skip("the peer is sending the block")
			}
			if m.k.Abandon(b, p) != (at >= 0) {
				t.Fatalf("Abandon(%v, %d) is %v, want %v", b, p, at < 0, at >= 0)
			}
			if at >= 0 {
				m.requested[b] = slices.Delete(m.requested[b], at, at+1)
			}
			m.closeUnclaimed()
		},
		"choke": func(t *rapid.T) { m.abandonAll(t, peer(t)) },
		"leave": func(t *rapid.T) { m.leave(t, peer(t)) },
		"bad block": func(t *rapid.T) {
			b := one(t, sortedBlocks(m.senders))
			if p, ok := m.k.BlockFailed(b); !ok || p != m.senders[b] {
				t.Fatalf("BlockFailed(%v) returned %d, %v; want the sender %d", b, p, ok, m.senders[b])
			}
			delete(m.senders, b)
		},
		"priority": func(t *rapid.T) {
			from, prio := piece(t), rapid.IntRange(0, MaxPriority).Draw(t, "priority")
			to := rapid.IntRange(from, n).Draw(t, "to")
			m.k.SetPriority(from, to, prio)
			for i := from; i < to; i++ {
				m.prio[i] = prio
			}
		},
		"lost": func(t *rapid.T) {
			i := piece(t)
			m.k.Lost(i)
			m.have[i] = false
		},
		"urgent": func(t *rapid.T) {
			ask := rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 4).Draw(t, "urgent")
			m.k.SetUrgent(ask)
			m.urgent = nil
			for _, i := range ask {
				if m.wanted(i) && !slices.Contains(m.urgent, i) {
					m.urgent = append(m.urgent, i)
				}
			}
		},
		"verified on disk": func(t *rapid.T) {
			i := piece(t)
			m.k.Verified(i)
			m.setVerified(i)
			m.forget(i)
		},
		"resume": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
				t.Skip("one in ten")
			}
			f := bitfield.New(n)
			for i := range n {
				m.forget(i)
				m.have[i] = rapid.Bool().Draw(t, "have")
				if m.have[i] {
					m.setVerified(i)
					f.Set(i)
				}
			}
			m.k.SetHave(f)
		},
		"evict": func(t *rapid.T) {
			p := peer(t)
			if i, ok := m.k.Evict(p); ok {
				if m.prio[i] > 0 && m.peers[p][i] {
					t.Fatalf("evicted piece %d, which the peer has", i)
				}
				for _, b := range m.blocks(i) {
					if _, copying := m.claims[b]; copying || len(m.requested[b]) > 0 {
						t.Fatalf("evicted piece %d while its block %v is requested or being copied", i, b)
					}
				}
				m.forget(i)
			}
		},
	})
}

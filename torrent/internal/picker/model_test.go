package picker

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"
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

// forget removes all records about the open piece i from the model.
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

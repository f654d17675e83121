package picker

import (
	"slices"

	"pgregory.net/rapid"
)

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

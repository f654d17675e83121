package picker

// PickOptions say how a peer is used.
type PickOptions struct {
	WholePieces bool              // a fast peer: pieces of its own
	Sequential  bool              // new pieces in their order instead of the rarest
	Adjacent    bool              // a new piece is the one after the peer's last if it can be (web seeds)
	Endgame     bool              // may be given blocks that are outstanding elsewhere, in the endgame
	Late        func(PeerID) bool // in the endgame: that peer takes long for what it was asked, ask again; nil: all do
	Requesters  int               // peers a block in the endgame: 0 is 2; MaxRequesters when those who were asked are very slow
	UrgentTwice bool              // may also be given urgent blocks that are outstanding elsewhere
	NoUrgent    bool              // too slow for urgent pieces
	Only        []int32           // if not nil, nothing but these pieces (allowed fast while choked, BEP 6)
	Suggested   []int32           // pieces to prefer when a new one is opened (BEP 6)
}

// Pick appends to dst up to n blocks to request of p now, marks them requested,
// and returns dst. Blocks of one piece follow each other in ascending order,
// those of the endgame aside.
func (k *Picker) Pick(dst []Block, p PeerID, n int, opt PickOptions) []Block {
	if k.peer(p) == nil || n <= 0 || k.Interest(p) == 0 {
		return dst
	}
	r := round{k: k, p: p, pe: &k.peers[p], opt: opt, dst: dst, left: n}
	if opt.Only != nil {
		for _, i := range opt.Only {
			r.piece(int(i), k.Full())
		}
		return r.dst
	}
	if !opt.NoUrgent {
		for _, i := range k.urgent {
			r.piece(int(i), k.Open() >= k.maxOpen)
		}
	}
	for lv := MaxPriority; lv > 0 && r.left > 0; lv-- {
		r.level(lv)
	}
	for lv := MaxPriority; lv > 0 && r.left > 0; lv-- {
		r.open(lv, anybody)
	}
	if opt.UrgentTwice && !opt.NoUrgent {
		r.twice()
	}
	if opt.Endgame && r.left > 0 && k.Endgame() {
		r.endgame()
	}
	return r.dst
}

// round is one Pick under way.
type round struct {
	k    *Picker
	p    PeerID
	pe   *peer
	opt  PickOptions
	dst  []Block
	left int
}

// give appends a block.
func (r *round) give(s *slot, bi int) {
	length := int32(BlockSize)
	if bi == len(s.blocks)-1 {
		length = s.tail
	}
	r.dst = append(r.dst, Block{s.piece, int32(bi) * BlockSize, length})
	r.pe.pending++
	r.left--
}

// take gives free blocks of a slot.
func (r *round) take(si int) {
	k := r.k
	s := &k.slots[si]
	if s.solo {
		s.owner = r.p
	}
	r.pe.cur = int32(si)
	bi := int(s.next)
	for ; r.left > 0 && s.n[free] > 0; bi++ {
		b := &s.blocks[bi]
		if b.state != free {
			continue
		}
		b.req[0], b.n = r.p, 1
		k.move(si, bi, requested)
		k.link(si, bi, false)
		r.give(s, bi)
	}
	s.next = int32(bi)
}

// may tells whether the peer may be given free blocks of an active slot that
// others work on.
func (r *round) may(s *slot) bool {
	if s.solo && s.owner != r.p && !s.orphan() {
		return false
	}
	return r.pe.has(int(s.piece)) && !(r.opt.NoUrgent && r.k.urgentSet.Get(int(s.piece)))
}

// piece gives blocks of one piece, for which others may be at work.
func (r *round) piece(i int, full bool) {
	k := r.k
	if r.left == 0 || !k.want.Get(i) || !r.pe.has(i) {
		return
	}
	if si := k.Slot(i); si >= 0 {
		if s := &k.slots[si]; s.active >= 0 && r.may(s) {
			r.take(si)
		}
	} else if !full {
		r.begin(i, none)
	}
}

func (r *round) begin(i int, owner PeerID) {
	r.pe.last = int32(i)
	r.take(r.k.open(i, owner))
}

// level gives blocks of one priority: of pieces that are open and not another's,
// then of new ones.
func (r *round) level(lv int) {
	k := r.k
	who, owner := shared, none
	if r.opt.WholePieces {
		who, owner = own, r.p
	}
	r.open(lv, who)
	for r.left > 0 && !k.Full() {
		i := k.choose(r.pe, lv, &r.opt)
		if i < 0 {
			return
		}
		r.begin(i, owner)
	}
}

// whose open pieces are taken from.
type whose uint8

const (
	own     whose = iota // the peer's own, and orphans, which become its own
	shared               // the peer's own, and those that nobody has for itself
	anybody              // all
)

// open gives blocks of open pieces of one priority.
func (r *round) open(lv int, who whose) {
	k := r.k
	for r.left > 0 && k.activeBy[lv] > 0 {
		si := r.best(lv, who)
		if si < 0 {
			return
		}
		if who == own {
			k.slots[si].owner = r.p
		}
		r.take(si)
	}
}

// best returns the active slot to go on with: the one that the peer worked on,
// then its own ones, then the one that is nearest to its end, or the first in
// order. -1 if there is none.
func (r *round) best(lv int, who whose) int {
	k := r.k
	best, least := -1, int64(0)
	for _, si := range k.active {
		s := &k.slots[si]
		mine := s.owner == r.p
		switch {
		case int(k.prio[s.piece]) != lv || !r.may(s):
			continue
		case mine || who == anybody:
		case who == own && !s.orphan(), who == shared && s.owner != none:
			continue
		}
		score := int64(len(s.blocks) - s.n[arrived])
		if r.opt.Sequential {
			score = int64(s.piece)
		}
		if !mine {
			score += 1 << 32
		}
		if si == r.pe.cur {
			score = -1
		}
		if best < 0 || score < least {
			best, least = int(si), score
		}
	}
	return best
}

// again gives a block that is outstanding elsewhere.
func (r *round) again(si, bi int) {
	k := r.k
	s := &k.slots[si]
	b := &s.blocks[bi]
	k.unlink(si, bi)
	b.req[b.n] = r.p
	b.n++
	k.link(si, bi, false)
	r.give(s, bi)
}

// asked tells whether the block is requested of the peer already.
func (r *round) asked(b *block) bool {
	for _, q := range b.req[:b.n] {
		if q == r.p {
			return true
		}
	}
	return false
}

// late tells whether all that the block is requested of take long.
func (r *round) late(b *block) bool {
	if r.opt.Late == nil {
		return true
	}
	for _, q := range b.req[:b.n] {
		if !r.opt.Late(q) {
			return false
		}
	}
	return true
}

// requesters is the greatest number of peers that a block may be asked of.
func (r *round) requesters() int {
	if r.opt.Requesters <= 0 {
		return 2
	}
	return min(r.opt.Requesters, MaxRequesters)
}

// endgame gives blocks that are outstanding elsewhere, first those that are
// asked of the fewest peers, among them those that wait longest.
func (r *round) endgame() {
	k := r.k
	for have := 1; have < r.requesters(); have++ {
		budget := gameBudget + int(r.pe.pending)
		for node := k.waiting[have-1].head; node != nilNode && r.left > 0 && budget > 0; budget-- {
			s, b := k.at(node)
			this := node
			node = b.next
			if k.prio[s.piece] > 0 && r.may(s) && !r.asked(b) && r.late(b) {
				r.again(int(this>>k.nodeShift), int(this&(1<<k.nodeShift-1)))
			}
		}
	}
}

// twice gives urgent blocks that are outstanding at one other peer, in the order
// of urgency.
func (r *round) twice() {
	k := r.k
	for _, i := range k.urgent {
		si := k.Slot(int(i))
		if si < 0 || !k.want.Get(int(i)) || k.slots[si].solo || !r.pe.has(int(i)) {
			continue
		}
		s := &k.slots[si]
		for bi := 0; bi < len(s.blocks) && r.left > 0 && s.n[requested] > 0; bi++ {
			if b := &s.blocks[bi]; b.state == requested && b.n == 1 && !r.asked(b) {
				r.again(si, bi)
			}
		}
	}
}

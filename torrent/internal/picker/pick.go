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
	r := picking{k: k, p: p, pe: &k.peers[p], opt: opt, dst: dst, remaining: n}
	if opt.Only != nil {
		for _, i := range opt.Only {
			r.pickPiece(int(i), k.Full())
		}
		return r.dst
	}
	if !opt.NoUrgent {
		for _, i := range k.urgent {
			r.pickPiece(int(i), k.Open() >= k.maxOpen)
		}
	}
	for lv := MaxPriority; lv > 0 && r.remaining > 0; lv-- {
		r.pickLevel(lv)
	}
	for lv := MaxPriority; lv > 0 && r.remaining > 0; lv-- {
		r.pickOpen(lv, allPieces)
	}
	if opt.UrgentTwice && !opt.NoUrgent {
		r.pickUrgentDuplicates()
	}
	if opt.Endgame && r.remaining > 0 && k.Endgame() {
		r.pickEndgame()
	}
	return r.dst
}

// round is one Pick under way.
type picking struct {
	k         *Picker
	p         PeerID
	pe        *peer
	opt       PickOptions
	dst       []Block
	remaining int
}

// give appends a block.
func (r *picking) appendBlock(s *slot, bi int) {
	length := int32(BlockSize)
	if bi == len(s.blocks)-1 {
		length = s.lastLength
	}
	r.dst = append(r.dst, Block{s.piece, int32(bi) * BlockSize, length})
	r.pe.pending++
	r.remaining--
}

// take gives free blocks of a slot.
func (r *picking) pickFree(si int) {
	k := r.k
	s := &k.slots[si]
	if s.onParole {
		s.owner = r.p
	}
	r.pe.lastSlot = int32(si)
	bi := int(s.freeFrom)
	for ; r.remaining > 0 && s.count[free] > 0; bi++ {
		b := &s.blocks[bi]
		if b.state != free {
			continue
		}
		b.requesters[0], b.numRequesters = r.p, 1
		k.setState(si, bi, requested)
		k.link(si, bi, false)
		r.appendBlock(s, bi)
	}
	s.freeFrom = int32(bi)
}

// may tells whether the peer may be given free blocks of an active slot that
// others work on.
func (r *picking) allowed(s *slot) bool {
	if s.onParole && s.owner != r.p && !s.idle() {
		return false
	}
	return r.pe.has(int(s.piece)) && !(r.opt.NoUrgent && r.k.urgentSet.Get(int(s.piece)))
}

// piece gives blocks of one piece, for which others may be at work.
func (r *picking) pickPiece(i int, full bool) {
	k := r.k
	if r.remaining == 0 || !k.want.Get(i) || !r.pe.has(i) {
		return
	}
	if si := k.Slot(i); si >= 0 {
		if s := &k.slots[si]; s.pickableIndex >= 0 && r.allowed(s) {
			r.pickFree(si)
		}
	} else if !full {
		r.openPiece(i, none)
	}
}

func (r *picking) openPiece(i int, owner PeerID) {
	r.pe.lastOpened = int32(i)
	r.pickFree(r.k.openPiece(i, owner))
}

// level gives blocks of one priority: of pieces that are open and not another's,
// then of new ones.
func (r *picking) pickLevel(lv int) {
	k := r.k
	who, owner := sharedPieces, none
	if r.opt.WholePieces {
		who, owner = ownPieces, r.p
	}
	r.pickOpen(lv, who)
	for r.remaining > 0 && !k.Full() {
		i := k.chooseNew(r.pe, lv, &r.opt)
		if i < 0 {
			return
		}
		r.openPiece(i, owner)
	}
}

// whose open pieces are taken from.
type scope uint8

const (
	ownPieces    scope = iota // the peer's own, and orphans, which become its own
	sharedPieces              // the peer's own, and those that nobody has for itself
	allPieces                 // all
)

// open gives blocks of open pieces of one priority.
func (r *picking) pickOpen(lv int, who scope) {
	k := r.k
	for r.remaining > 0 && k.pickableBy[lv] > 0 {
		si := r.bestOpen(lv, who)
		if si < 0 {
			return
		}
		if who == ownPieces {
			k.slots[si].owner = r.p
		}
		r.pickFree(si)
	}
}

// best returns the active slot to go on with: the one that the peer worked on,
// then its own ones, then the one that is nearest to its end, or the first in
// order. -1 if there is none.
func (r *picking) bestOpen(lv int, who scope) int {
	k := r.k
	best, least := -1, int64(0)
	for _, si := range k.pickable {
		s := &k.slots[si]
		mine := s.owner == r.p
		switch {
		case int(k.prio[s.piece]) != lv || !r.allowed(s):
			continue
		case mine || who == allPieces:
		case who == ownPieces && !s.idle(), who == sharedPieces && s.owner != none:
			continue
		}
		score := int64(len(s.blocks) - s.count[arrived])
		if r.opt.Sequential {
			score = int64(s.piece)
		}
		if !mine {
			score += 1 << 32
		}
		if si == r.pe.lastSlot {
			score = -1
		}
		if best < 0 || score < least {
			best, least = int(si), score
		}
	}
	return best
}

// again gives a block that is outstanding elsewhere.
func (r *picking) pickDuplicate(si, bi int) {
	k := r.k
	s := &k.slots[si]
	b := &s.blocks[bi]
	k.unlink(si, bi)
	b.requesters[b.numRequesters] = r.p
	b.numRequesters++
	k.link(si, bi, false)
	r.appendBlock(s, bi)
}

// asked tells whether the block is requested of the peer already.
func (r *picking) requested(b *block) bool {
	for _, q := range b.requesters[:b.numRequesters] {
		if q == r.p {
			return true
		}
	}
	return false
}

// late tells whether all that the block is requested of take long.
func (r *picking) allLate(b *block) bool {
	if r.opt.Late == nil {
		return true
	}
	for _, q := range b.requesters[:b.numRequesters] {
		if !r.opt.Late(q) {
			return false
		}
	}
	return true
}

// requesters is the greatest number of peers that a block may be asked of.
func (r *picking) maxRequesters() int {
	if r.opt.Requesters <= 0 {
		return 2
	}
	return min(r.opt.Requesters, MaxRequesters)
}

// endgame gives blocks that are outstanding elsewhere, first those that are
// asked of the fewest peers, among them those that wait longest.
func (r *picking) pickEndgame() {
	k := r.k
	for have := 1; have < r.maxRequesters(); have++ {
		budget := endgameLimit + int(r.pe.pending)
		for node := k.byRequesters[have-1].head; node != nilNode && r.remaining > 0 && budget > 0; budget-- {
			s, b := k.blockAt(node)
			this := node
			node = b.next
			if k.prio[s.piece] > 0 && r.allowed(s) && !r.requested(b) && r.allLate(b) {
				r.pickDuplicate(int(this>>k.nodeShift), int(this&(1<<k.nodeShift-1)))
			}
		}
	}
}

// twice gives urgent blocks that are outstanding at one other peer, in the order
// of urgency.
func (r *picking) pickUrgentDuplicates() {
	k := r.k
	for _, i := range k.urgent {
		si := k.Slot(int(i))
		if si < 0 || !k.want.Get(int(i)) || k.slots[si].onParole || !r.pe.has(int(i)) {
			continue
		}
		s := &k.slots[si]
		for bi := 0; bi < len(s.blocks) && r.remaining > 0 && s.count[requested] > 0; bi++ {
			if b := &s.blocks[bi]; b.state == requested && b.numRequesters == 1 && !r.requested(b) {
				r.pickDuplicate(si, bi)
			}
		}
	}
}

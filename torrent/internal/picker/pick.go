package picker

// PickOptions tell Pick how to treat a peer.
type PickOptions struct {
	WholePieces bool              // the peer owns the pieces that it opens, for fast peers
	Sequential  bool              // open the piece with the lowest index instead of the rarest
	Adjacent    bool              // open the piece after the one that the peer opened last, if it is free (web seeds)
	Endgame     bool              // in the endgame, return blocks that are requested from other peers
	Early       bool              // the same before the endgame; Late must be set
	Late        func(PeerID) bool // limits Endgame and Early to blocks whose requesters are all late; nil sets no limit
	Requesters  int               // the most requesters of a block in the endgame; 0 means 2
	UrgentTwice bool              // return urgent blocks that are requested from one other peer
	NoUrgent    bool              // return no urgent pieces, because the peer is too slow
	Only        []int32           // if not nil, return blocks of these pieces only (allowed fast, BEP 6)
	Suggested   []int32           // open these pieces first (suggest piece, BEP 6)
}

// Pick chooses up to n blocks to request from p, marks them requested, appends
// them to dst and returns dst. The blocks of a piece are consecutive and in
// ascending order, except in the endgame.
func (k *Picker) Pick(dst []Block, p PeerID, n int, opt PickOptions) []Block {
	if k.peer(p) == nil || n <= 0 || k.Interest(p) == 0 {
		return dst
	}
	c := pickCall{k: k, p: p, pe: &k.peers[p], opt: opt, dst: dst, remaining: n}
	if opt.Only != nil {
		for _, i := range opt.Only {
			c.pickPiece(int(i), k.Full())
		}
		return c.dst
	}
	if !opt.NoUrgent {
		for _, i := range k.urgent {
			c.pickPiece(int(i), k.Open() >= k.maxOpen)
		}
	}
	for lv := MaxPriority; lv > 0 && c.remaining > 0; lv-- {
		c.pickLevel(lv)
	}
	for lv := MaxPriority; lv > 0 && c.remaining > 0; lv-- {
		c.pickOpen(lv, allPieces)
	}
	if opt.UrgentTwice && !opt.NoUrgent {
		c.pickUrgentDuplicates()
	}
	if c.remaining > 0 && (opt.Early && opt.Late != nil || opt.Endgame && k.Endgame()) {
		c.pickEndgame()
	}
	return c.dst
}

// pickCall holds the arguments and the result of one call of Pick.
type pickCall struct {
	k         *Picker
	p         PeerID
	pe        *peer
	opt       PickOptions
	dst       []Block
	remaining int // blocks to append before Pick returns
}

// appendBlock appends block bi of slot s to the result.
func (c *pickCall) appendBlock(s *slot, bi int) {
	length := int32(BlockSize)
	if bi == len(s.blocks)-1 {
		length = s.lastLength
	}
	c.dst = append(c.dst, Block{s.piece, int32(bi) * BlockSize, length})
	c.pe.pending++
	c.remaining--
}

// pickFree picks free blocks of slot si, in ascending order.
func (c *pickCall) pickFree(si int) {
	k := c.k
	s := &k.slots[si]
	if s.onParole {
		s.owner = c.p
	}
	c.pe.lastSlot = int32(si)
	bi := int(s.freeFrom)
	for ; c.remaining > 0 && s.count[free] > 0; bi++ {
		b := &s.blocks[bi]
		if b.state != free {
			continue
		}
		b.requesters[0], b.numRequesters = c.p, 1
		k.setState(si, bi, requested)
		k.link(si, bi, false)
		c.appendBlock(s, bi)
	}
	s.freeFrom = int32(bi)
}

// allowed reports whether the peer may get blocks of an open piece: the peer has
// the piece, parole permits it, and opt.NoUrgent does not exclude the piece.
func (c *pickCall) allowed(s *slot) bool {
	if s.onParole && s.owner != c.p && !s.idle() {
		return false
	}
	return c.pe.has(int(s.piece)) && !(c.opt.NoUrgent && c.k.urgentSet.Get(int(s.piece)))
}

// pickPiece picks free blocks of piece i, whichever peer owns it. It opens a free
// piece unless full is set.
func (c *pickCall) pickPiece(i int, full bool) {
	k := c.k
	if c.remaining == 0 || !k.want.Get(i) || !c.pe.has(i) {
		return
	}
	if si := k.Slot(i); si >= 0 {
		if s := &k.slots[si]; s.pickableIndex >= 0 && c.allowed(s) {
			c.pickFree(si)
		}
	} else if !full {
		c.openPiece(i, none)
	}
}

// openPiece opens the free piece i for owner and picks its blocks.
func (c *pickCall) openPiece(i int, owner PeerID) {
	c.pe.lastOpened = int32(i)
	c.pickFree(c.k.openPiece(i, owner))
}

// pickLevel picks blocks of one priority: first of open pieces that no other peer
// owns, then of free pieces.
func (c *pickCall) pickLevel(lv int) {
	k := c.k
	from, owner := sharedPieces, none
	if c.opt.WholePieces {
		from, owner = ownPieces, c.p
	}
	c.pickOpen(lv, from)
	for c.remaining > 0 && !k.Full() {
		i := k.chooseNew(c.pe, lv, &c.opt)
		if i < 0 {
			return
		}
		c.openPiece(i, owner)
	}
}

// scope selects open pieces by their owner.
type scope uint8

const (
	ownPieces    scope = iota // pieces that the peer owns, and idle pieces, which it then owns
	sharedPieces              // pieces that the peer owns, and pieces without an owner
	allPieces
)

// pickOpen picks blocks of the open pieces in a scope that have one priority.
func (c *pickCall) pickOpen(lv int, who scope) {
	k := c.k
	for c.remaining > 0 && k.pickableBy[lv] > 0 {
		si := c.bestOpen(lv, who)
		if si < 0 {
			return
		}
		if who == ownPieces {
			k.slots[si].owner = c.p
		}
		c.pickFree(si)
	}
}

// bestOpen returns the pickable slot to pick from next, or -1. The slot that the
// peer picked from last is first, then the slots that it owns, then the others.
// Among equals the piece with the fewest missing blocks is first, or with
// opt.Sequential the piece with the lowest index.
func (c *pickCall) bestOpen(lv int, who scope) int {
	k := c.k
	best, least := -1, int64(0)
	for _, si := range k.pickable {
		s := &k.slots[si]
		mine := s.owner == c.p
		switch {
		case int(k.prio[s.piece]) != lv || !c.allowed(s):
			continue
		case mine || who == allPieces:
		case who == ownPieces && !s.idle(), who == sharedPieces && s.owner != none:
			continue
		}
		score := int64(len(s.blocks) - s.count[arrived])
		if c.opt.Sequential {
			score = int64(s.piece)
		}
		if !mine {
			score += 1 << 32
		}
		if si == c.pe.lastSlot {
			score = -1
		}
		if best < 0 || score < least {
			best, least = int(si), score
		}
	}
	return best
}

// pickDuplicate picks a block that is already requested from another peer.
func (c *pickCall) pickDuplicate(si, bi int) {
	k := c.k
	s := &k.slots[si]
	b := &s.blocks[bi]
	k.unlink(si, bi)
	b.requesters[b.numRequesters] = c.p
	b.numRequesters++
	k.link(si, bi, false)
	c.appendBlock(s, bi)
}

// requested reports whether the block is already requested from the peer.
func (c *pickCall) requested(b *block) bool {
	for _, q := range b.requesters[:b.numRequesters] {
		if q == c.p {
			return true
		}
	}
	return false
}

// allLate reports whether opt.Late is true for all requesters of the block.
func (c *pickCall) allLate(b *block) bool {
	if c.opt.Late == nil {
		return true
	}
	for _, q := range b.requesters[:b.numRequesters] {
		if !c.opt.Late(q) {
			return false
		}
	}
	return true
}

// maxRequesters returns the most peers that a block is requested from in the
// endgame.
func (c *pickCall) maxRequesters() int {
	if c.opt.Requesters <= 0 {
		return 2
	}
	return min(c.opt.Requesters, MaxRequesters)
}

// pickEndgame picks blocks that are requested from other peers. The blocks with
// the fewest requesters are first, and among them the oldest request.
func (c *pickCall) pickEndgame() {
	k := c.k
	for n := 1; n < c.maxRequesters(); n++ {
		limit := endgameLimit + int(c.pe.pending)
		for node := k.byRequesters[n-1].head; node != nilNode && c.remaining > 0 && limit > 0; limit-- {
			s, b := k.blockOfNode(node)
			this := node
			node = b.next
			if k.prio[s.piece] > 0 && c.allowed(s) && !c.requested(b) && c.allLate(b) {
				c.pickDuplicate(int(this>>k.nodeShift), int(this&(1<<k.nodeShift-1)))
			}
		}
	}
}

// pickUrgentDuplicates picks urgent blocks that are requested from one other
// peer, of the most urgent piece first.
func (c *pickCall) pickUrgentDuplicates() {
	k := c.k
	for _, i := range k.urgent {
		si := k.Slot(int(i))
		if si < 0 || !k.want.Get(int(i)) || k.slots[si].onParole || !c.pe.has(int(i)) {
			continue
		}
		s := &k.slots[si]
		for bi := 0; bi < len(s.blocks) && c.remaining > 0 && s.count[requested] > 0; bi++ {
			if b := &s.blocks[bi]; b.state == requested && b.numRequesters == 1 && !c.requested(b) {
				c.pickDuplicate(si, bi)
			}
		}
	}
}

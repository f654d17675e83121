package picker

// States of a block of an open piece; the package comment describes them.
const (
	free uint8 = iota
	requested
	copying
	arrived
)

// block is a block of an open piece. It may be requested from several peers, and
// remains requested from the others while it arrives from one.
type block struct {
	sender        PeerID                // the peer that sends it or sent it, if copying or arrived
	requesters    [MaxRequesters]PeerID // the peers that it is requested from
	prev, next    uint32                // neighbours in Picker.byRequesters, if requested
	state         uint8
	numRequesters uint8
}

// slot holds an open piece. The piece of an unused slot is -1.
type slot struct {
	piece         int32
	blocks        []block
	freeFrom      int32  // all blocks with a lower index are not free
	count         [4]int // the number of blocks in each state
	lastLength    int32  // bytes of the last block
	pickableIndex int32  // the index in Picker.pickable, or -1
	owner         PeerID // the peer that owns the piece (see the package comment), or none
	onParole      bool   // only the owner gets blocks
	everClaimed   bool   // a block was claimed, so that the engine may have a buffer
}

// idle reports whether the piece has no owner and all its blocks are free or have
// arrived.
func (s *slot) idle() bool {
	return s.owner == none && s.count[requested] == 0 && s.count[copying] == 0
}

// list is a doubly linked list of blocks, the oldest request first. The link
// fields are in the blocks.
type list struct{ head, tail uint32 }

// nilNode ends a list.
const nilNode = 1<<32 - 1

// node returns the list node of block bi of slot si. It combines both numbers.
func (k *Picker) node(si, bi int) uint32 { return uint32(si)<<k.nodeShift | uint32(bi) }

// blockOfNode returns the block of a list node, and its slot.
func (k *Picker) blockOfNode(node uint32) (*slot, *block) {
	s := &k.slots[node>>k.nodeShift]
	return s, &s.blocks[node&(1<<k.nodeShift-1)]
}

// link appends a requested block to the list for its number of requesters, or
// inserts it at the front. It skips blocks on parole, because only one peer gets
// them.
func (k *Picker) link(si, bi int, front bool) {
	s := &k.slots[si]
	if s.onParole {
		return
	}
	b, me := &s.blocks[bi], k.node(si, bi)
	l := &k.byRequesters[b.numRequesters-1]
	switch {
	case l.head == nilNode:
		b.prev, b.next = nilNode, nilNode
		l.head, l.tail = me, me
	case front:
		b.prev, b.next = nilNode, l.head
		_, other := k.blockOfNode(l.head)
		other.prev, l.head = me, me
	default:
		b.prev, b.next = l.tail, nilNode
		_, other := k.blockOfNode(l.tail)
		other.next, l.tail = me, me
	}
}

// unlink removes a requested block from the list for its number of requesters.
func (k *Picker) unlink(si, bi int) {
	s := &k.slots[si]
	if s.onParole {
		return
	}
	b := &s.blocks[bi]
	l := &k.byRequesters[b.numRequesters-1]
	if b.prev == nilNode {
		l.head = b.next
	} else {
		_, other := k.blockOfNode(b.prev)
		other.next = b.next
	}
	if b.next == nilNode {
		l.tail = b.prev
	} else {
		_, other := k.blockOfNode(b.next)
		other.prev = b.prev
	}
}

// setState changes the state of a block and updates all counts.
func (k *Picker) setState(si, bi int, to uint8) {
	s := &k.slots[si]
	b := &s.blocks[bi]
	from := b.state
	b.state = to
	s.count[from]--
	s.count[to]++
	switch {
	case from == to:
	case from == free:
		k.adjustFree(si, -1)
	case to == free:
		s.freeFrom = min(s.freeFrom, int32(bi))
		k.adjustFree(si, 1)
		k.generation++
	}
}

// adjustFree adds by to the number of unrequested blocks after slot si got or
// lost free blocks. It adds the slot to the pickable ones or removes it.
func (k *Picker) adjustFree(si, by int) {
	s := &k.slots[si]
	prio := k.prio[s.piece]
	if prio == 0 {
		return
	}
	k.unrequested += by
	if s.count[free] > 0 == (s.pickableIndex >= 0) {
		return
	}
	if s.pickableIndex < 0 {
		k.addPickable(si)
	} else {
		k.removePickable(si, prio)
	}
}

// addPickable appends slot si to the pickable slots.
func (k *Picker) addPickable(si int) {
	s := &k.slots[si]
	s.pickableIndex = int32(len(k.pickable))
	k.pickable = append(k.pickable, int32(si))
	k.pickableBy[k.prio[s.piece]]++
}

// removePickable removes slot si, whose piece has priority prio, from the
// pickable slots. The last slot takes its index.
func (k *Picker) removePickable(si int, prio uint8) {
	s := &k.slots[si]
	moved := k.pickable[len(k.pickable)-1]
	k.pickable[s.pickableIndex] = moved
	k.slots[moved].pickableIndex = s.pickableIndex
	k.pickable = k.pickable[:len(k.pickable)-1]
	k.pickableBy[prio]--
	s.pickableIndex = -1
}

// openPiece opens the free piece i, for owner or for all peers, and returns its
// slot. The caller has checked that fewer than MaxOpen pieces are open.
func (k *Picker) openPiece(i int, owner PeerID) int {
	k.dropFree(i)
	var si int
	if n := len(k.unusedSlots); n > 0 {
		si = int(k.unusedSlots[n-1])
		k.unusedSlots = k.unusedSlots[:n-1]
	} else {
		si = len(k.slots)
		k.slots = append(k.slots, slot{})
	}
	size := k.pieceSize(i)
	n := blocks(size)
	s := &k.slots[si]
	store := s.blocks
	if cap(store) < n {
		store = make([]block, n)
	}
	*s = slot{
		piece: int32(i), blocks: store[:n], count: [4]int{free: n},
		lastLength: int32(size - (n-1)*BlockSize), pickableIndex: -1, owner: owner,
		onParole: k.onParole(i),
	}
	clear(s.blocks)
	k.pos[i] = int32(posOpen - si)
	k.unrequested += n
	k.addPickable(si)
	return si
}

// closeSlot makes a slot unused and drops all requests and claims of its blocks.
// The piece is then neither open nor free.
func (k *Picker) closeSlot(si int) {
	s := &k.slots[si]
	for bi := range s.blocks {
		b := &s.blocks[bi]
		if b.state == requested {
			k.unlink(si, bi)
		}
		for _, q := range b.requesters[:b.numRequesters] {
			k.peers[q].pending--
		}
		if b.state >= copying {
			k.peers[b.sender].claimed--
		}
	}
	if prio := k.prio[s.piece]; prio > 0 {
		k.unrequested -= s.count[free]
		if s.pickableIndex >= 0 {
			k.removePickable(si, prio)
		}
	}
	k.pos[s.piece] = posNone
	s.piece = -1
	k.unusedSlots = append(k.unusedSlots, int32(si))
	k.generation++
}

// releaseSlot closes a slot and makes its piece free if it is wanted.
func (k *Picker) releaseSlot(si int) {
	i := int(k.slots[si].piece)
	k.closeSlot(si)
	if k.want.Get(i) {
		k.addFree(i)
	}
}

// dropOwner ends p's ownership of a slot. p keeps a piece on parole while some of
// its blocks are requested, so that no second peer gets blocks at the same time.
func (k *Picker) dropOwner(s *slot, p PeerID) {
	if s.owner == p && !(s.onParole && s.count[requested] > 0) {
		s.owner = none
	}
}

package picker

// The state of one block of an open piece.
const (
	free uint8 = iota
	requested
	copying
	arrived
)

// block is one block of an open piece. It may be requested of several peers, and
// still be so of others while one copies it.
type block struct {
	sender        PeerID // who copies or sent it
	requesters    [MaxRequesters]PeerID
	prev, next    uint32 // in the list of those that wait, while requested
	state         uint8
	numRequesters uint8 // requesters
}

// slot is one open piece, or room for one (piece -1).
type slot struct {
	piece         int32
	blocks        []block
	freeFrom      int32  // no block below is free
	count         [4]int // blocks by state
	lastLength    int32  // length of the last block
	pickableIndex int32  // index in Picker.active, -1 for none
	owner         PeerID // the peer that has it for itself, or none
	onParole      bool   // on parole: nobody but the owner is given blocks
	everClaimed   bool   // a block was claimed, so that the engine may have a buffer
}

// orphan tells that nobody is at work on the piece.
func (s *slot) idle() bool {
	return s.owner == none && s.count[requested] == 0 && s.count[copying] == 0
}

// list is a chain of blocks in the order of their requests.
type list struct{ head, tail uint32 }

const nilNode = 1<<32 - 1

// node is the block's name in the lists.
func (k *Picker) node(si, bi int) uint32 { return uint32(si)<<k.nodeShift | uint32(bi) }

func (k *Picker) blockAt(node uint32) (*slot, *block) {
	s := &k.slots[node>>k.nodeShift]
	return s, &s.blocks[node&(1<<k.nodeShift-1)]
}

// link appends a requested block to the list for its number of requesters, or
// puts it in front. Blocks on parole have no list: nobody else is given them.
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
		_, other := k.blockAt(l.head)
		other.prev, l.head = me, me
	default:
		b.prev, b.next = l.tail, nilNode
		_, other := k.blockAt(l.tail)
		other.next, l.tail = me, me
	}
}

// unlink takes a requested block from the list for its number of requesters.
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
		_, other := k.blockAt(b.prev)
		other.next = b.next
	}
	if b.next == nilNode {
		l.tail = b.prev
	} else {
		_, other := k.blockAt(b.next)
		other.prev = b.prev
	}
}

// move changes the state of a block and all counts that depend on it.
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

// wantedFree counts blocks of a slot that became free or ceased to be, and keeps
// the slot among the active ones while it has some.
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

func (k *Picker) addPickable(si int) {
	s := &k.slots[si]
	s.pickableIndex = int32(len(k.pickable))
	k.pickable = append(k.pickable, int32(si))
	k.pickableBy[k.prio[s.piece]]++
}

func (k *Picker) removePickable(si int, prio uint8) {
	s := &k.slots[si]
	moved := k.pickable[len(k.pickable)-1]
	k.pickable[s.pickableIndex] = moved
	k.slots[moved].pickableIndex = s.pickableIndex
	k.pickable = k.pickable[:len(k.pickable)-1]
	k.pickableBy[prio]--
	s.pickableIndex = -1
}

// open makes the free piece i an open one, for owner or for all, and returns its
// slot. There is room: the caller asked Full.
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
	}
	clear(s.blocks)
	if f := k.fails[int32(i)]; f > 0 && f < maxParole {
		s.onParole = true
	}
	k.pos[i] = int32(posOpen - si)
	k.unrequested += n
	k.addPickable(si)
	return si
}

// closeSlot forgets an open piece and everything about its blocks. The piece is then
// neither open nor free.
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

// giveBack closes a slot whose piece is still to be had.
func (k *Picker) releaseSlot(si int) {
	i := int(k.slots[si].piece)
	k.closeSlot(si)
	if k.want.Get(i) {
		k.addFree(i)
	}
}

// disown ends p's ownership of a slot; one on parole stays p's while something
// is outstanding, so that not two peers work on it at once.
func (k *Picker) dropOwner(s *slot, p PeerID) {
	if s.owner == p && !(s.onParole && s.count[requested] > 0) {
		s.owner = none
	}
}

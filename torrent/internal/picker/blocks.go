package picker

import "slices"

// ClaimResult is the answer of [Picker.Claim].
type ClaimResult uint8

// What is to be done with a block that arrives.
const (
	Fresh     ClaimResult = iota // copy it, then call Arrived (or Abandon when the copy failed)
	Duplicate                    // here already or being copied: drop it, count it as waste
	Unwanted                     // no such block, or its piece is not open: drop it
)

// find returns the place of b, if it is a block of an open piece.
func (k *Picker) findBlock(b Block) (si, bi int, ok bool) {
	if si = k.Slot(int(b.Piece)); si < 0 || b.Begin < 0 || b.Begin%BlockSize != 0 {
		return 0, 0, false
	}
	s := &k.slots[si]
	bi = int(b.Begin / BlockSize)
	switch last := len(s.blocks) - 1; {
	case bi < last:
		ok = b.Length == BlockSize
	case bi == last:
		ok = b.Length == s.lastLength
	}
	return si, bi, ok
}

// unask ends p's request of a block and tells whether there was one. The block
// stays in its state, and in no list.
func (k *Picker) dropRequest(si, bi int, p PeerID) bool {
	b := &k.slots[si].blocks[bi]
	at := slices.Index(b.requesters[:b.numRequesters], p)
	if b.state == requested && b.numRequesters > 0 {
		if at < 0 {
			return false
		}
		k.unlink(si, bi)
	}
	if at < 0 {
		return false
	}
	b.numRequesters--
	copy(b.requesters[at:], b.requesters[at+1:b.numRequesters+1])
	k.peers[p].pending--
	return true
}

// Claim is called when block b of p begins to arrive. Only one caller gets Fresh
// for a block until it is abandoned; that caller alone may write its bytes. p's
// own request ends in every case. A block that p was not asked for (or no longer
// is) can be Fresh too, if it is still needed: see [Picker.Requested].
func (k *Picker) Claim(b Block, p PeerID) ClaimResult {
	si, bi, ok := k.findBlock(b)
	if !ok || k.peer(p) == nil {
		return Unwanted
	}
	s := &k.slots[si]
	bl := &s.blocks[bi]
	asked := k.dropRequest(si, bi, p)
	switch {
	case bl.state >= copying:
		return Duplicate
	case s.onParole && s.owner != p && !asked:
		return Unwanted
	case bl.state == requested && !asked:
		k.unlink(si, bi)
	}
	k.setState(si, bi, copying)
	bl.sender = p
	k.peers[p].claimed++
	s.everClaimed = true
	return Fresh
}

// Arrived ends a Fresh claim: the bytes of b are in the buffer. complete tells
// that it was the piece's last block: hash it, then call Verified or Failed.
// others are the peers that were asked for b as well: their requests have
// ended, send them cancel. others is valid until the next call. Without a claim
// of p, Arrived does nothing.
func (k *Picker) Arrived(b Block, p PeerID) (complete bool, others []PeerID) {
	si, bi, ok := k.findBlock(b)
	if !ok {
		return false, nil
	}
	s := &k.slots[si]
	bl := &s.blocks[bi]
	if bl.state != copying || bl.sender != p {
		return false, nil
	}
	k.cancels = append(k.cancels[:0], bl.requesters[:bl.numRequesters]...)
	for _, q := range k.cancels {
		k.peers[q].pending--
	}
	bl.numRequesters = 0
	k.setState(si, bi, arrived)
	return s.count[arrived] == len(s.blocks), k.cancels
}

// Abandon says that p will not send b (reject, timeout), or that its Fresh claim
// came to nothing. It returns false if b was neither requested of p nor claimed
// by it. A piece that p had for itself may be shared from then on.
func (k *Picker) Abandon(b Block, p PeerID) bool {
	si, bi, ok := k.findBlock(b)
	if !ok {
		return false
	}
	s := &k.slots[si]
	bl := &s.blocks[bi]
	switch {
	case bl.state == copying && bl.sender == p:
		k.peers[p].claimed--
		k.requeue(si, bi)
	case k.dropRequest(si, bi, p):
		if bl.state == requested {
			k.requeue(si, bi)
		}
	default:
		return false
	}
	k.dropOwner(s, p)
	k.closeUnclaimed(si)
	return true
}

// retract makes a block that lost its copy or a requester what it is now:
// requested of those that are left, in front because it has waited, or free.
func (k *Picker) requeue(si, bi int) {
	b := &k.slots[si].blocks[bi]
	if b.numRequesters > 0 {
		k.setState(si, bi, requested)
		k.link(si, bi, true)
	} else {
		k.setState(si, bi, free)
	}
}

// closeUntouched gives a piece back that lost all its requests before a block
// came.
func (k *Picker) closeUnclaimed(si int) {
	if s := &k.slots[si]; !s.everClaimed && s.count[free] == len(s.blocks) {
		k.releaseSlot(si)
	}
}

// AbandonAll abandons all requests of p (choke) and returns their number. Claims
// stay: who copies ends them.
func (k *Picker) AbandonAll(p PeerID) int {
	if int(p) >= len(k.peers) {
		return 0
	}
	pe := &k.peers[p]
	total := int(pe.pending)
	for si := range k.slots {
		s := &k.slots[si]
		if s.piece < 0 || s.owner != p && pe.pending == 0 {
			continue
		}
		for bi := 0; bi < len(s.blocks) && pe.pending > 0; bi++ {
			if b := &s.blocks[bi]; b.numRequesters > 0 && k.dropRequest(si, bi, p) && b.state == requested {
				k.requeue(si, bi)
			}
		}
		k.dropOwner(s, p)
		k.closeUnclaimed(si)
	}
	return total
}

// BlockFailed says that the arrived block b of an open piece is bad by itself
// (BEP 52 leaf hash): it is wanted again. It returns who sent it.
func (k *Picker) BlockFailed(b Block) (PeerID, bool) {
	si, bi, ok := k.findBlock(b)
	if !ok {
		return 0, false
	}
	s := &k.slots[si]
	bl := &s.blocks[bi]
	if bl.state != arrived {
		return 0, false
	}
	k.peers[bl.sender].claimed--
	k.setState(si, bi, free)
	k.dropOwner(s, bl.sender)
	return bl.sender, true
}

// Contributor returns who sent block b of an open piece.
func (k *Picker) Contributor(b Block) (PeerID, bool) {
	si, bi, ok := k.findBlock(b)
	if !ok || k.slots[si].blocks[bi].state != arrived {
		return 0, false
	}
	return k.slots[si].blocks[bi].sender, true
}

// Requested tells whether b is requested of p and outstanding.
func (k *Picker) Requested(b Block, p PeerID) bool {
	si, bi, ok := k.findBlock(b)
	if !ok {
		return false
	}
	bl := &k.slots[si].blocks[bi]
	return slices.Contains(bl.requesters[:bl.numRequesters], p)
}

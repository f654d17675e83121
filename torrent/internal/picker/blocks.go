package picker

import "slices"

// ClaimResult is the result of [Picker.Claim]. It tells the caller what to do with a block.
type ClaimResult uint8

// Results of Claim.
const (
	Fresh     ClaimResult = iota // copy the block, then call Arrived, or Abandon if the copy fails
	Duplicate                    // drop the block, because it has arrived or is being copied; it is waste
	Unwanted                     // drop the block, because it is invalid or its piece is not open
)

// findBlock returns the slot and the index of b. ok is false if b is not a block
// of an open piece.
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

// dropRequest removes p from the requesters of a block and reports whether p was one
// of them. It removes a requested block from its list. The caller sets the state of
// the block.
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

// Claim records that block b begins to arrive from p, and ends the request of p.
// After it has returned Fresh, it returns Fresh for the block again only after the block
// was abandoned, so that no two callers write the bytes of the block. The result can be
// Fresh even if b is not requested from p; [Picker.Requested] reports that.
func (k *Picker) Claim(b Block, p PeerID) ClaimResult {
	si, bi, ok := k.findBlock(b)
	if !ok || k.peer(p) == nil {
		return Unwanted
	}
	s := &k.slots[si]
	bl := &s.blocks[bi]
	wasRequested := k.dropRequest(si, bi, p)
	switch {
	case bl.state >= copying:
		return Duplicate
	case s.onParole && s.owner != p && !wasRequested:
		return Unwanted
	case bl.state == requested && !wasRequested:
		k.unlink(si, bi)
	}
	k.setState(si, bi, copying)
	bl.sender = p
	k.peers[p].claimed++
	s.everClaimed = true
	return Fresh
}

// Arrived records that the bytes of b, for which p got Fresh, are in the buffer.
// If complete is true, all blocks of the piece have arrived, and the caller hashes
// it and calls Verified or Failed. others are the other peers that b is requested
// from: Arrived ends their requests, and the caller sends them a cancel message.
// others is valid until the next call of Arrived. Arrived does nothing if p has
// not claimed b.
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

// Abandon records that p will not send b, because it rejected the request or the
// request timed out, or that the copy of b failed. It returns false if b was
// neither requested from p nor being copied from it. p loses the ownership of the
// piece.
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

// requeue sets the state of a block that lost a requester or its copy. If other
// requesters remain, the block is requested and goes to the front of its list,
// because it has waited longest. Otherwise it is free.
func (k *Picker) requeue(si, bi int) {
	b := &k.slots[si].blocks[bi]
	if b.numRequesters > 0 {
		k.setState(si, bi, requested)
		k.link(si, bi, true)
	} else {
		k.setState(si, bi, free)
	}
}

// closeUnclaimed closes a slot whose requests were all abandoned before a block
// was claimed.
func (k *Picker) closeUnclaimed(si int) {
	if s := &k.slots[si]; !s.everClaimed && s.count[free] == len(s.blocks) {
		k.releaseSlot(si)
	}
}

// AbandonAll abandons all requests of p, for example when p chokes us, and returns
// their number. Blocks that are being copied from p are not abandoned, because the
// caller that copies them calls Arrived or Abandon.
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

// BlockFailed records that the arrived block b does not match its own hash (BEP
// 52), and makes the block free again. It returns the peer that sent the block.
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

// Contributor returns the peer that sent the arrived block b of an open piece.
func (k *Picker) Contributor(b Block) (PeerID, bool) {
	si, bi, ok := k.findBlock(b)
	if !ok || k.slots[si].blocks[bi].state != arrived {
		return 0, false
	}
	return k.slots[si].blocks[bi].sender, true
}

// Requested reports whether b is requested from p.
func (k *Picker) Requested(b Block, p PeerID) bool {
	si, bi, ok := k.findBlock(b)
	if !ok {
		return false
	}
	bl := &k.slots[si].blocks[bi]
	return slices.Contains(bl.requesters[:bl.numRequesters], p)
}

package picker

import (
	"fmt"
	"slices"

	"spate/bitfield"
)

// SetHave marks every piece that is set in have as verified and the others as
// missing, as resume data or a check of the files says. The bits are copied.
// Pieces that are open are forgotten.
func (k *Picker) SetHave(have bitfield.Bitfield) {
	if have.Len() != k.numPieces {
		panic(fmt.Sprintf("picker: bitfield of %d pieces for a torrent of %d", have.Len(), k.numPieces))
	}
	copy(k.have.Bytes(), have.Bytes())
	k.recount()
}

// HaveAll is SetHave with everything.
func (k *Picker) HaveAll() {
	k.have.SetAll()
	k.recount()
}

// recount builds all that follows from what we have and the priorities.
func (k *Picker) recount() {
	for si := range k.slots {
		if k.slots[si].piece >= 0 {
			k.closeSlot(si)
		}
	}
	k.markStale()
	for i := range k.levels {
		l := &k.levels[i]
		l.set.ClearAll()
		l.count, l.scanFrom = 0, 0
	}
	k.haveCount, k.wanted, k.unrequested = 0, 0, 0
	k.want.ClearAll()
	for i := range k.numPieces {
		k.pos[i] = posNone
		switch {
		case k.have.Get(i):
			k.haveCount++
			k.dropUrgent(i)
		case k.prio[i] > 0:
			k.want.Set(i)
			k.wanted++
			k.addFree(i)
		}
	}
	k.wantEpoch++
	k.generation++
}

// Priority is the priority of piece i.
func (k *Picker) Priority(i int) int { return int(k.prio[i]) }

// SetPriority sets the priority of the pieces from <= i < to, 0 (not wanted) to
// MaxPriority. An open piece that is no longer wanted is not picked any more;
// blocks of it that are outstanding are still taken.
func (k *Picker) SetPriority(from, to, prio int) {
	if from < 0 || to > k.numPieces || prio < 0 || prio > MaxPriority {
		panic(fmt.Sprintf("picker: priority %d for pieces %d to %d of %d", prio, from, to, k.numPieces))
	}
	if to-from > fewPieces {
		k.markStale()
	}
	changed := false
	for i := from; i < to; i++ {
		was := k.prio[i]
		if was == uint8(prio) {
			continue
		}
		if k.have.Get(i) {
			k.prio[i] = uint8(prio)
			continue
		}
		k.removeWanted(i)
		k.prio[i] = uint8(prio)
		k.addWanted(i)
		if was > 0 != (prio > 0) {
			changed = true
		}
	}
	if changed {
		k.wantEpoch++
	}
	k.generation++
}

// leave and enter take a missing piece out of and into all that depends on its
// priority.
func (k *Picker) removeWanted(i int) {
	if k.prio[i] == 0 {
		return
	}
	k.want.Clear(i)
	k.wanted--
	if k.pos[i] >= 0 {
		k.dropFree(i)
	} else if si := k.Slot(i); si >= 0 {
		k.unrequested -= k.slots[si].count[free]
		if k.slots[si].pickableIndex >= 0 {
			k.removePickable(si, k.prio[i])
		}
	}
}

func (k *Picker) addWanted(i int) {
	if k.prio[i] == 0 {
		return
	}
	k.want.Set(i)
	k.wanted++
	if si := k.Slot(i); si < 0 {
		k.addFree(i)
	} else if n := k.slots[si].count[free]; n > 0 {
		k.unrequested += n
		k.addPickable(si)
	}
}

// SetUrgent replaces the set of urgent pieces, most urgent first, at most
// MaxUrgent of them (what is beyond is dropped); for a reader that waits
// (streaming). Urgent pieces are picked before all others, shared by all peers,
// and leave the set when they are verified. Pieces that we have or do not want
// are passed over.
func (k *Picker) SetUrgent(pieces []int) {
	for _, i := range k.urgent {
		k.urgentSet.Clear(int(i))
	}
	k.urgent = k.urgent[:0]
	k.generation++
	if len(pieces) == 0 {
		return
	}
	if k.urgentSet.Len() == 0 {
		k.urgentSet = bitfield.New(k.numPieces)
	}
	for _, i := range pieces {
		if k.want.Get(i) && !k.urgentSet.Get(i) && len(k.urgent) < MaxUrgent {
			k.urgent = append(k.urgent, int32(i))
			k.urgentSet.Set(i)
		}
	}
}

// Verified says that piece i is good: open and hashed, or found so on disk.
// [Picker.Interest] of the peers that have it falls.
func (k *Picker) Verified(i int) {
	if k.have.Get(i) {
		return
	}
	if si := k.Slot(i); si >= 0 {
		k.closeSlot(si)
	} else if k.pos[i] >= 0 {
		k.dropFree(i)
	}
	k.have.Set(i)
	k.haveCount++
	delete(k.fails, int32(i))
	k.dropUrgent(i)
	if k.want.Get(i) {
		k.want.Clear(i)
		k.wanted--
		k.addInterest(i, -1)
	}
}

func (k *Picker) dropUrgent(i int) {
	if k.urgentSet.Get(i) {
		k.urgentSet.Clear(i)
		at := slices.Index(k.urgent, int32(i))
		k.urgent = slices.Delete(k.urgent, at, at+1)
	}
}

// interested counts a piece that began or ceased to be wanted for the peers that
// have it.
func (k *Picker) addInterest(i int, by int32) {
	for _, p := range k.leechers {
		if pe := &k.peers[p]; pe.have.Get(i) {
			pe.interest += by
		}
	}
}

// Failed says that the open piece i does not match its hash. It is wanted again,
// and its slot is free. Appended to dst: the peers that sent blocks of it, each
// once. With more than one of them the piece is on parole: the next time it is
// given to one peer alone where that can be, so that either the liar stands
// alone or the comparison of blocks finds it.
func (k *Picker) Failed(dst []PeerID, i int) []PeerID {
	si := k.Slot(i)
	if si < 0 {
		return dst
	}
	s := &k.slots[si]
	before, last := len(dst), none
	for bi := range s.blocks {
		b := &s.blocks[bi]
		if b.state == arrived && b.sender != last && !slices.Contains(dst[before:], b.sender) {
			dst = append(dst, b.sender)
		}
		if b.state == arrived {
			last = b.sender
		}
	}
	if len(dst)-before > 1 {
		k.fails[int32(i)] = min(k.fails[int32(i)]+1, maxParole)
	} else {
		delete(k.fails, int32(i))
	}
	k.releaseSlot(si)
	return dst
}

// Parole tells whether piece i failed and will be fetched, or is being fetched,
// from one peer alone.
func (k *Picker) Parole(i int) bool {
	f := k.fails[int32(i)]
	return f > 0 && f < maxParole
}

// Lost says that piece i, verified before, is not on disk any more.
func (k *Picker) Lost(i int) {
	if !k.have.Get(i) {
		return
	}
	k.have.Clear(i)
	k.haveCount--
	if k.addWanted(i); k.prio[i] > 0 {
		k.addInterest(i, 1)
	}
}

// Evict closes an open piece that has nothing outstanding and that p does not
// have, so that p can be given another one. It takes one that is not wanted any
// more, else one that no peer can complete, else the one with the fewest
// blocks. Those blocks are forgotten; the engine drops its buffer. Use it when
// Pick gave nothing and the picker is Full.
func (k *Picker) Evict(p PeerID) (piece int, ok bool) {
	best, least := -1, 0
	for si := range k.slots {
		s := &k.slots[si]
		if s.piece < 0 || s.count[requested]+s.count[copying] > 0 || s.count[free] == 0 {
			continue
		}
		i := int(s.piece)
		score := s.count[arrived]
		switch {
		case k.prio[i] == 0:
			score -= 2 << 20
		case k.PeerHas(p, i):
			continue
		case k.Availability(i) == 0:
			score -= 1 << 20
		}
		if best < 0 || score < least {
			best, least = si, score
		}
	}
	if best < 0 {
		return -1, false
	}
	piece = int(k.slots[best].piece)
	k.releaseSlot(best)
	return piece, true
}

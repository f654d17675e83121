package picker

import (
	"fmt"
	"slices"

	"spate/bitfield"
	"spate/internal/units"
)

// SetHave makes the pieces that are set in have verified and the others missing,
// after the engine has loaded resume data or checked the files. It copies the
// bits and closes all open pieces. It panics if have has another length than
// NumPieces.
func (k *Picker) SetHave(have bitfield.Bitfield) {
	if have.Len() != k.numPieces {
		panic(fmt.Sprintf("picker: bitfield of %s for a torrent of %d", units.Plural(have.Len(), "piece"), k.numPieces))
	}
	copy(k.have.Bytes(), have.Bytes())
	k.recount()
}

// HaveAll does the same as SetHave with a bitfield in which all pieces are set.
func (k *Picker) HaveAll() {
	k.have.SetAll()
	k.recount()
}

// recount closes all open pieces and rebuilds the counts, levels and sets from
// the verified pieces and the priorities.
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

// Priority returns the priority of piece i.
func (k *Picker) Priority(i int) int { return int(k.prio[i]) }

// SetPriority sets the priority of all pieces i with from <= i < to. Priorities
// are 0 (not wanted) to MaxPriority; SetPriority panics on other values. Pick
// returns no more blocks of an open piece that is no longer wanted, but Claim
// accepts the blocks that are already requested.
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

// removeWanted removes a missing piece from the wanted pieces, and from its level
// or the pickable slots. It must be called before the priority changes.
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

// addWanted adds a missing piece with a priority above 0 to the wanted pieces, and
// to its level or the pickable slots.
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

// SetUrgent replaces the list of urgent pieces; the most urgent is first. It
// serves streaming, where a reader waits for these pieces. Pick returns their
// blocks before all others and to every peer. A piece leaves the list when it is
// verified. SetUrgent skips pieces that are not wanted, and keeps the first
// MaxUrgent of the others.
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

// Verified records that the hash of piece i matches, and closes the piece if it is
// open. [Picker.Interest] decreases by 1 for all peers that have the piece, if it
// was wanted.
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

// dropUrgent removes piece i from the urgent pieces.
func (k *Picker) dropUrgent(i int) {
	if k.urgentSet.Get(i) {
		k.urgentSet.Clear(i)
		at := slices.Index(k.urgent, int32(i))
		k.urgent = slices.Delete(k.urgent, at, at+1)
	}
}

// addInterest adds by to the interest in each leecher that has piece i.
func (k *Picker) addInterest(i int, by int32) {
	for _, p := range k.leechers {
		if pe := &k.peers[p]; pe.have.Get(i) {
			pe.interest += by
		}
	}
}

// Failed records that the open piece i does not match its hash, and closes the
// piece, which is then free again. It appends to dst the peers that sent blocks of
// the piece, each once, and returns dst. If there are several, the piece is on
// parole until it has failed maxParole times: Pick returns its blocks to one peer
// at a time. If that peer sends all of the piece and it fails again, the peer has
// sent bad data; if it matches, the engine finds the bad blocks of the previous
// peers by comparison.
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

// onParole reports whether piece i is on parole, so that only one peer at a time gets its
// blocks.
func (k *Picker) onParole(i int) bool {
	f := k.fails[int32(i)]
	return f > 0 && f < maxParole
}

// Lost records that the data of the verified piece i is no longer on disk.
func (k *Picker) Lost(i int) {
	if !k.have.Get(i) {
		return
	}
	k.have.Clear(i)
	k.haveCount--
	k.addWanted(i)
	if k.prio[i] > 0 {
		k.addInterest(i, 1)
	}
}

// Evict closes an open piece so that p can open another one. The engine calls it
// when Pick returns no block and the Picker is Full. Evict chooses among the
// incomplete pieces without requested or arriving blocks: first a piece that is
// not wanted, then a piece that no peer has, then the piece with the fewest
// arrived blocks. It spares wanted pieces that p has. The engine drops the buffer
// of the piece, and the arrived blocks are free again.
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

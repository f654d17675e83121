package picker

import (
	"fmt"
	"slices"
)

// checkInvariants counts all counters, orders and lists of k again from the
// pieces, blocks and peers, and returns an error if one differs.
func (k *Picker) checkInvariants() error {
	for _, f := range []func() error{k.checkPieces, k.checkLevels, k.checkSlots, k.checkLists, k.checkPeers} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// checkPieces checks the wanted, free and urgent pieces and their counts.
func (k *Picker) checkPieces() error {
	have, wanted, left := 0, 0, 0
	for i := range k.numPieces {
		want := !k.have.Get(i) && k.prio[i] > 0
		if k.have.Get(i) {
			have++
		}
		if want {
			wanted++
		}
		if want != k.want.Get(i) {
			return fmt.Errorf("piece %d: want is %v, should be %v", i, !want, want)
		}
		si := k.Slot(i)
		if isFree := want && si < 0; isFree != (k.pos[i] >= 0) || isFree && !k.levels[k.prio[i]].set.Get(i) {
			return fmt.Errorf("piece %d: pos is %d, but the piece is free: %v", i, k.pos[i], isFree)
		} else if isFree {
			left += k.BlocksOf(i)
		}
		if si >= 0 {
			if int(k.slots[si].piece) != i {
				return fmt.Errorf("piece %d: slot %d holds piece %d", i, si, k.slots[si].piece)
			}
			if want {
				left += k.slots[si].count[free]
			}
		}
		if k.urgentSet.Get(i) != slices.Contains(k.urgent, int32(i)) || k.urgentSet.Get(i) && k.have.Get(i) {
			return fmt.Errorf("piece %d: urgent and urgentSet differ, or the piece is verified", i)
		}
	}
	if have != k.haveCount || wanted != k.wanted || left != k.unrequested {
		return fmt.Errorf("have %d, wanted %d, unrequested %d; counted %d, %d, %d", k.haveCount, k.wanted, k.unrequested, have, wanted, left)
	}
	return nil
}

// checkLevels checks the sets and the orders of the free pieces.
func (k *Picker) checkLevels() error {
	for lv := range k.levels {
		l := &k.levels[lv]
		if l.count != l.set.Count() {
			return fmt.Errorf("level %d: count is %d, the set has %d", lv, l.count, l.set.Count())
		}
		if f := l.set.NextSet(0); f >= 0 && f < l.scanFrom {
			return fmt.Errorf("level %d: scanFrom is %d, but piece %d is free", lv, l.scanFrom, f)
		}
		if l.stale || l.count == 0 && len(l.bucketEnd) == 0 {
			continue
		}
		if len(l.order) != l.count || int(l.bucketEnd[len(l.bucketEnd)-1]) != l.count {
			return fmt.Errorf("level %d: order has %d pieces, bucketEnd is %v, count %d", lv, len(l.order), l.bucketEnd, l.count)
		}
		at := int32(0)
		for a, end := range l.bucketEnd {
			for ; at < end; at++ {
				i := l.order[at]
				if k.avail[i] != int32(a) || k.pos[i] != at || !l.set.Get(int(i)) {
					return fmt.Errorf("level %d: piece %d at index %d in bucket %d: pos %d, avail %d", lv, i, at, a, k.pos[i], k.avail[i])
				}
			}
		}
	}
	return nil
}

// checkSlots checks the open pieces, their counts of blocks and the pickable
// slots.
func (k *Picker) checkSlots() error {
	var by [MaxPriority + 1]int
	open := 0
	for si := range k.slots {
		s := &k.slots[si]
		if s.piece < 0 {
			if !slices.Contains(k.unusedSlots, int32(si)) {
				return fmt.Errorf("slot %d has no piece and is not in unusedSlots", si)
			}
			continue
		}
		open++
		var n [4]int
		for bi, b := range s.blocks {
			n[b.state]++
			if b.state == free && bi < int(s.freeFrom) || b.state == requested && b.numRequesters == 0 || (b.state == free || b.state == arrived) && b.numRequesters > 0 {
				return fmt.Errorf("slot %d: block %d: state %d, %d requesters, freeFrom %d", si, bi, b.state, b.numRequesters, s.freeFrom)
			}
		}
		if n != s.count || len(s.blocks) != k.BlocksOf(int(s.piece)) {
			return fmt.Errorf("slot %d: counts %v, counted %v", si, s.count, n)
		}
		pickable := s.count[free] > 0 && k.prio[s.piece] > 0
		if pickable != (s.pickableIndex >= 0) || pickable && k.pickable[s.pickableIndex] != int32(si) {
			return fmt.Errorf("slot %d: pickableIndex %d with %d free blocks", si, s.pickableIndex, s.count[free])
		}
		if pickable {
			by[k.prio[s.piece]]++
		}
		if !s.everClaimed && s.count[free] == len(s.blocks) {
			return fmt.Errorf("slot %d: open without requests or claimed blocks", si)
		}
	}
	if open != k.Open() || open > k.maxOpen || by != k.pickableBy {
		return fmt.Errorf("Open is %d, counted %d; pickableBy is %v, counted %v", k.Open(), open, k.pickableBy, by)
	}
	return nil
}

// checkLists checks that the lists hold all requested blocks that are not on
// parole.
func (k *Picker) checkLists() error {
	var n [MaxRequesters + 1]int
	for i, l := range k.byRequesters {
		last := uint32(nilNode)
		for node := l.head; node != nilNode; {
			s, b := k.blockOfNode(node)
			if s.piece < 0 || b.state != requested || int(b.numRequesters) != i+1 || b.prev != last || s.onParole {
				return fmt.Errorf("list %d: node %#x after %#x: state %d, %d requesters, prev %#x", i, node, last, b.state, b.numRequesters, b.prev)
			}
			n[b.numRequesters]++
			last, node = node, b.next
		}
		if l.tail != last {
			return fmt.Errorf("list %d: tail is %#x, the last node is %#x", i, l.tail, last)
		}
	}
	for si := range k.slots {
		if s := &k.slots[si]; s.piece >= 0 && !s.onParole {
			for _, b := range s.blocks {
				if b.state == requested {
					n[b.numRequesters]--
				}
			}
		}
	}
	if n != [MaxRequesters + 1]int{} {
		return fmt.Errorf("lists and requested blocks differ, by number of requesters: %v", n)
	}
	return nil
}

// checkPeers checks the requests, claims and pieces of the peers, the availability
// and the interest.
func (k *Picker) checkPeers() error {
	pending, claimed := make([]int32, len(k.peers)), make([]int32, len(k.peers))
	for si := range k.slots {
		if s := &k.slots[si]; s.piece >= 0 {
			for _, b := range s.blocks {
				for _, q := range b.requesters[:b.numRequesters] {
					pending[q]++
				}
				if b.state >= copying {
					claimed[b.sender]++
				}
			}
		}
	}
	seeds, leechers := 0, 0
	avail := make([]int32, k.numPieces)
	for p := range k.peers {
		pe := &k.peers[p]
		if pe.pending != pending[p] || pe.claimed != claimed[p] {
			return fmt.Errorf("peer %d: pending %d, claimed %d; counted %d, %d", p, pe.pending, pe.claimed, pending[p], claimed[p])
		}
		switch {
		case !pe.joined:
		case pe.seed:
			seeds++
		default:
			leechers++
			if k.leechers[pe.index] != PeerID(p) || int(pe.count) != pe.have.Count() || pe.have.All() {
				return fmt.Errorf("peer %d: wrong index %d or count %d, or it has all pieces", p, pe.index, pe.count)
			}
			interest := 0
			for i := range pe.have.Ones() {
				avail[i]++
				if k.want.Get(i) {
					interest++
				}
			}
			if pe.interestEpoch == k.wantEpoch && int(pe.interest) != interest {
				return fmt.Errorf("peer %d: interest %d, counted %d", p, pe.interest, interest)
			}
		}
	}
	if seeds != k.seeds || leechers != len(k.leechers) || !slices.Equal(avail, k.avail) {
		return fmt.Errorf("%d seeds, %d leechers, avail %v; counted %d, %d, %v", k.seeds, len(k.leechers), k.avail, seeds, leechers, avail)
	}
	return nil
}

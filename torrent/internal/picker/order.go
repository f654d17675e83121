package picker

import (
	"encoding/binary"
	"iter"
	"math/bits"

	"spate/bitfield"
)

// level holds the free pieces of one priority.
type level struct {
	count    int               // the number of free pieces
	set      bitfield.Bitfield // the free pieces; of length 0 until the level has had one
	scanFrom int               // no free piece has a lower index

	// order holds the same pieces, sorted by the number of leechers that have
	// them: a bucket for each number. Bucket a is
	// order[bucketEnd[a-1]:bucketEnd[a]]. If stale is set, both slices are out of
	// date and sortLevel must rebuild them.
	order     []int32
	bucketEnd []int32
	stale     bool
}

// addFree adds piece i to the level of its priority.
func (k *Picker) addFree(i int) {
	l := &k.levels[k.prio[i]]
	if l.set.Len() == 0 {
		l.set = bitfield.New(k.numPieces)
	}
	l.set.Set(i)
	l.count++
	l.scanFrom = min(l.scanFrom, i)
	k.unrequested += k.BlocksOf(i)
	k.freeGen++
	k.generation++
	k.pos[i] = 0
	if l.stale {
		return
	}
	a := int(k.avail[i])
	l.growBuckets(a)
	l.order = append(l.order, 0)
	hole := int32(len(l.order) - 1)
	for b := len(l.bucketEnd) - 1; b > a; b-- { // in each higher bucket the first piece moves to the end
		l.bucketEnd[b]++
		if begin := l.bucketEnd[b-1]; begin != hole {
			k.put(l, hole, l.order[begin])
			hole = begin
		}
	}
	l.bucketEnd[a]++
	k.put(l, hole, int32(i))
}

// dropFree removes the free piece i from its level.
func (k *Picker) dropFree(i int) {
	l := &k.levels[k.prio[i]]
	l.set.Clear(i)
	l.count--
	k.unrequested -= k.BlocksOf(i)
	hole := k.pos[i]
	k.pos[i] = posNone
	if l.stale {
		return
	}
	for b := int(k.avail[i]); b < len(l.bucketEnd); b++ {
		l.bucketEnd[b]--
		last := l.bucketEnd[b]
		if last != hole {
			k.put(l, hole, l.order[last])
			hole = last
		}
	}
	l.order = l.order[:len(l.order)-1]
}

// put stores a piece at index at of the order of l.
func (k *Picker) put(l *level, at, piece int32) {
	l.order[at] = piece
	k.pos[piece] = at
}

// growBuckets appends empty buckets until bucket a exists.
func (l *level) growBuckets(a int) {
	for len(l.bucketEnd) <= a {
		l.bucketEnd = append(l.bucketEnd, int32(len(l.order)))
	}
}

// moreAvail counts one more leecher that has piece i, and moves a free piece to
// the next bucket. It costs O(1).
func (k *Picker) moreAvail(i int) {
	a := int(k.avail[i])
	k.avail[i]++
	l := &k.levels[k.prio[i]]
	if k.pos[i] < 0 || l.stale {
		return
	}
	l.growBuckets(a + 1)
	l.bucketEnd[a]--
	k.swap(l, k.pos[i], l.bucketEnd[a])
}

// lessAvail counts one leecher less that has piece i, and moves a free piece to
// the previous bucket. It costs O(1).
func (k *Picker) lessAvail(i int) {
	k.avail[i]--
	l := &k.levels[k.prio[i]]
	if k.pos[i] < 0 || l.stale {
		return
	}
	a := k.avail[i]
	k.swap(l, k.pos[i], l.bucketEnd[a])
	l.bucketEnd[a]++
}

// swap exchanges the pieces at indexes x and y of the order of l.
func (k *Picker) swap(l *level, x, y int32) {
	px, py := l.order[x], l.order[y]
	k.put(l, x, py)
	k.put(l, y, px)
}

// markStale makes sortLevel rebuild each order before its next use. A change of
// many pieces at once calls it, because one rebuild is cheaper than many moves.
func (k *Picker) markStale() {
	for i := range k.levels {
		k.levels[i].stale = true
	}
}

// sortLevel rebuilds the order of l by a counting sort if it is stale.
func (k *Picker) sortLevel(l *level) {
	if !l.stale {
		return
	}
	l.stale = false
	clear(l.bucketEnd)
	if cap(l.order) < l.count {
		l.order = make([]int32, l.count)
	}
	l.order = l.order[:l.count]
	for i := range setBits(l.set.Bytes()) {
		a := int(k.avail[i])
		for len(l.bucketEnd) <= a {
			l.bucketEnd = append(l.bucketEnd, 0)
		}
		l.bucketEnd[a]++
	}
	sum := int32(0)
	for a, m := range l.bucketEnd {
		l.bucketEnd[a] = sum
		sum += m
	}
	for i := range setBits(l.set.Bytes()) {
		a := k.avail[i]
		k.put(l, l.bucketEnd[a], int32(i))
		l.bucketEnd[a]++
	}
}

// chooseNew returns the free piece of level lv that the peer opens next, or -1.
func (k *Picker) chooseNew(pe *peer, lv int, opt *PickOptions) int {
	l := &k.levels[lv]
	if l.count == 0 || k.knownEmpty(pe, lv) {
		return -1
	}
	fits := func(i int) bool {
		return l.set.Get(i) && pe.has(i) && !(opt.NoUrgent && k.urgentSet.Get(i))
	}
	for _, i := range opt.Suggested {
		if fits(int(i)) {
			return int(i)
		}
	}
	if opt.Adjacent && pe.lastOpened >= 0 && fits(int(pe.lastOpened)+1) {
		return int(pe.lastOpened) + 1
	}
	i, searchedAll := -1, true
	if opt.Sequential {
		i = k.lowestIndex(l, pe, opt)
	} else {
		i, searchedAll = k.rarestByOrder(l, pe, opt)
		if !searchedAll {
			i = k.rarestByBitfield(l, pe, opt)
		}
	}
	if i < 0 && !opt.NoUrgent {
		pe.emptyLevels |= 1 << lv
	}
	return i
}

// knownEmpty reports whether an earlier search of level lv found no piece for the
// peer, and since then no piece became free and the peer announced none.
func (k *Picker) knownEmpty(pe *peer, lv int) bool {
	if pe.emptyGen != k.freeGen {
		pe.emptyGen, pe.emptyLevels = k.freeGen, 0
	}
	return pe.emptyLevels>>lv&1 != 0
}

// rarestByOrder returns the rarest free piece that the peer has, or -1. It
// searches the buckets in turn, each from a random index on. It stops after
// orderLimit pieces; searchedAll is then false.
func (k *Picker) rarestByOrder(l *level, pe *peer, opt *PickOptions) (piece int, searchedAll bool) {
	k.sortLevel(l)
	if k.haveCount < randomFirst {
		for range randomTries {
			i := int(l.order[k.rand(l.count)])
			if pe.has(i) && !(opt.NoUrgent && k.urgentSet.Get(i)) {
				return i, true
			}
		}
	}
	limit := k.orderLimit
	begin := int32(0)
	if !pe.seed {
		begin = l.bucketEnd[0] // no leecher has a piece of bucket 0
	}
	for _, end := range l.bucketEnd {
		if begin >= end {
			continue
		}
		bucket := l.order[begin:end]
		at := k.rand(len(bucket))
		for range bucket {
			i := int(bucket[at])
			if pe.has(i) && !(opt.NoUrgent && k.urgentSet.Get(i)) {
				return i, true
			}
			limit--
			if limit == 0 {
				return -1, false
			}
			at++
			if at == len(bucket) {
				at = 0
			}
		}
		begin = end
	}
	return -1, true
}

// rarestByBitfield returns the rarest free piece that the peer has, or -1. It
// compares 64 pieces at a time, which is faster than rarestByOrder if the peer has
// few of the free pieces.
func (k *Picker) rarestByBitfield(l *level, pe *peer, opt *PickOptions) int {
	best, least, ties := -1, int32(0), 0
	k.eachFree(l, pe, opt, func(i int) bool {
		switch a := k.avail[i]; {
		case best < 0 || a < least:
			best, least, ties = i, a, 1
		case a == least:
			ties++
			if k.rand(ties) == 0 {
				best = i
			}
		}
		return true
	})
	return best
}

// lowestIndex returns the free piece with the lowest index that the peer has, or
// -1.
func (k *Picker) lowestIndex(l *level, pe *peer, opt *PickOptions) int {
	l.scanFrom = l.set.NextSet(l.scanFrom)
	found := -1
	k.eachFree(l, pe, opt, func(i int) bool {
		found = i
		return false
	})
	return found
}

// eachFree calls yield with each free piece of l that the peer has, in ascending
// order, until yield returns false. It skips urgent pieces with opt.NoUrgent.
func (k *Picker) eachFree(l *level, pe *peer, opt *PickOptions, yield func(int) bool) {
	free, has, skip := l.set.Bytes(), pe.have.Bytes(), k.urgentSet.Bytes()
	for at := l.scanFrom >> 6 << 3; at < len(free); at += 8 {
		w := word(free, at)
		if !pe.seed {
			w &= word(has, at)
		}
		if opt.NoUrgent && len(skip) > 0 {
			w &^= word(skip, at)
		}
		for w != 0 {
			z := bits.LeadingZeros64(w)
			w &^= 1 << 63 >> z
			if !yield(at<<3 + z) {
				return
			}
		}
	}
}

// setBits yields the indexes of the set bits of b in ascending order.
func setBits(b []byte) iter.Seq[int] {
	return func(yield func(int) bool) {
		for at := 0; at < len(b); at += 8 {
			for w := word(b, at); w != 0; {
				z := bits.LeadingZeros64(w)
				w &^= 1 << 63 >> z
				if !yield(at<<3 + z) {
					return
				}
			}
		}
	}
}

// word returns 64 bits of b, beginning at byte at. Bits after the end of b are 0.
func word(b []byte, at int) uint64 {
	if at+8 <= len(b) {
		return binary.BigEndian.Uint64(b[at:])
	}
	var w uint64
	for i, v := range b[at:] {
		w |= uint64(v) << (56 - 8*i)
	}
	return w
}

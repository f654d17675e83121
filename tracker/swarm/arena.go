package swarm

import "encoding/binary"

// arena keeps the blocks of a shard. A block is a header and room for the
// entries of one list, or of one bucket of a large one. Blocks are allocated one
// after the other in segments; a freed one leaves a gap; when the gaps are more
// than an eighth of all, the emptiest segment is emptied into the open one. So
// no gap is for ever, and nothing takes longer than moving a segment.
type arena struct {
	pool *pool
	segs []segment // segs[0] is not used, so that no block has reference 0 or 1
	free []uint32  // slots of segs without memory
	open uint32    // where blocks are allocated; 0: nowhere yet
	used int       // segments with memory
	live int       // bytes in live blocks
}

type segment struct {
	mem  []byte
	end  uint16 // where the next block begins
	live uint16 // bytes in live blocks
}

const (
	segShift = 13 // a reference is segment<<segShift | offset
	segMask  = segSize - 1

	blockOwner  = 0 // uint32
	blockCap    = 4 // uint8: entries that there is room for
	blockN      = 5 // uint8: entries
	blockHeader = 6

	// maxBlock is the most entries of a block: its counters are bytes.
	maxBlock = 255

	// Owners: record<<2|list, or ownerDir | directory<<2|list.
	ownerDir  = 1 << 31
	ownerDead = 1<<32 - 4 // | list, which tells the size
)

func blockSize(list, capacity int) int { return blockHeader + capacity*entrySize(list) }

// header returns the block at ref with what follows it in its segment.
func (a *arena) header(ref uint32) []byte { return a.segs[ref>>segShift].mem[ref&segMask:] }

// bump allocates in the open segment; 0 where there is no room.
func (a *arena) bump(owner uint32, list, capacity int) uint32 {
	seg := &a.segs[a.open]
	size := blockSize(list, capacity)
	if a.open == 0 || int(seg.end)+size > segSize {
		return refNone
	}
	ref := a.open<<segShift | uint32(seg.end)
	b := seg.mem[seg.end:]
	binary.LittleEndian.PutUint32(b[blockOwner:], owner)
	b[blockCap], b[blockN] = byte(capacity), 0
	seg.end += uint16(size)
	seg.live += uint16(size)
	a.live += size
	return ref
}

func (a *arena) setOwner(ref, owner uint32) {
	binary.LittleEndian.PutUint32(a.header(ref)[blockOwner:], owner)
}

// release frees the block at ref.
func (a *arena) release(ref uint32, list int) {
	b := a.header(ref)
	size := blockSize(list, int(b[blockCap]))
	a.setOwner(ref, ownerDead|uint32(list))
	no := ref >> segShift
	seg := &a.segs[no]
	seg.live -= uint16(size)
	a.live -= size
	if seg.live > 0 {
		return
	}
	if no == a.open {
		seg.end = 0
	} else {
		a.drop(no)
	}
}

// openNew makes a new segment the open one.
func (a *arena) openNew() {
	if old := a.open; old != 0 && a.segs[old].live == 0 {
		a.drop(old)
	}
	if n := len(a.free); n > 0 {
		a.open = a.free[n-1]
		a.free = a.free[:n-1]
	} else {
		if len(a.segs) == 0 {
			a.segs = make([]segment, 1, 4)
		}
		a.open = uint32(len(a.segs))
		a.segs = append(a.segs, segment{})
	}
	a.segs[a.open] = segment{mem: a.pool.get()}
	a.used++
}

// drop gives a segment back.
func (a *arena) drop(no uint32) {
	a.pool.put(a.segs[no].mem)
	a.segs[no] = segment{}
	a.free = append(a.free, no)
	a.used--
}

// victim returns the segment that is best emptied; 0 where there is no need.
func (a *arena) victim() uint32 {
	if a.open == 0 {
		return 0
	}
	closed := a.used - 1
	gaps := closed*segSize - (a.live - int(a.segs[a.open].live))
	if gaps < closed*segSize/8+segSize {
		return 0
	}
	best, least := uint32(0), uint16(segSize-1)
	for no := 1; no < len(a.segs); no++ {
		if seg := &a.segs[no]; uint32(no) != a.open && seg.mem != nil && seg.live < least {
			best, least = uint32(no), seg.live
		}
	}
	return best
}

// alloc returns a new, empty block. It may move others: every block and its
// reference that the caller holds is stale afterwards.
func (s *shard) alloc(owner uint32, list, capacity int) uint32 {
	a := &s.arena
	if a.open == 0 {
		a.openNew()
	}
	ref := a.bump(owner, list, capacity)
	if ref == refNone {
		if no := a.victim(); no != 0 {
			s.empty(no)
			ref = a.bump(owner, list, capacity)
		}
	}
	if ref == refNone {
		a.openNew()
		ref = a.bump(owner, list, capacity)
	}
	return ref
}

// tidy empties a segment where there is need, and reports whether there was.
func (s *shard) tidy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	no := s.arena.victim()
	if no != 0 {
		s.empty(no)
	}
	return no != 0
}

// empty moves the live blocks of a segment to the open one, with less slack, and
// gives the segment back.
func (s *shard) empty(no uint32) {
	a := &s.arena
	for off := uint32(0); off < uint32(a.segs[no].end); {
		old := no<<segShift | off
		b := a.header(old)
		owner := binary.LittleEndian.Uint32(b[blockOwner:])
		list := int(owner & 3)
		capacity, n := int(b[blockCap]), int(b[blockN])
		off += uint32(blockSize(list, capacity))
		if owner >= ownerDead {
			continue
		}
		fit := min(capacity, roomFor(n))
		ref := a.bump(owner, list, fit)
		if ref == refNone {
			a.openNew()
			ref = a.bump(owner, list, fit)
		}
		to := s.arenaBlock(ref, list)
		from := s.arenaBlock(old, list)
		to.copyFrom(0, &from, 0, n)
		a.header(ref)[blockN] = byte(n)
		s.moved(owner, &to, ref)
	}
	seg := &a.segs[no]
	a.live -= int(seg.live)
	a.drop(no)
}

// moved tells the owner of a block its new place.
func (s *shard) moved(owner uint32, b *block, ref uint32) {
	list := int(owner & 3)
	if owner&ownerDir == 0 {
		s.record(owner>>2).setRef(list, ref)
		return
	}
	d := &s.dirs[owner&^ownerDir>>2]
	d.refs[d.bucket(s.t.keys.hashAddr(b.addr(0)))] = ref
}

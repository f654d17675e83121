package swarm

import "encoding/binary"

// arena stores the blocks of a shard. A block consists of a header and space for the
// entries of one list, or of one bucket of a large list. Blocks are allocated one after
// another in segments, and freeing a block leaves a gap. If gaps are more than 1/8 of
// the arena, the blocks of the segment with the fewest live bytes are moved to the open
// segment. So an allocation never takes longer than moving the blocks of one segment.
type arena struct {
	pool *pool
	segs []segment // segs[0] is not used, so that no block has reference 0 or 1
	free []uint32  // indexes of segs without memory
	open uint32    // segment in which blocks are allocated; 0 if there is none yet
	used int       // number of segments with memory
	live int       // number of bytes in live blocks
}

type segment struct {
	mem  []byte
	end  uint16 // offset of the next block
	live uint16 // number of bytes in live blocks
}

const (
	segShift = 13 // a reference is segment<<segShift | offset
	segMask  = segSize - 1

	blockOwner  = 0 // uint32
	blockCap    = 4 // uint8: capacity in entries
	blockN      = 5 // uint8: number of entries
	blockHeader = 6

	// maxBlock is the maximum number of entries of a block, because its counters are
	// bytes.
	maxBlock = 255

	// An owner is record<<2|list, or ownerDir | directory<<2|list.
	ownerDir  = 1 << 31
	ownerDead = 1<<32 - 4 // owner of a free block; the list in its low bits gives the size of the entries
)

func blockSize(list, capacity int) int { return blockHeader + capacity*entrySize(list) }

// header returns the memory of a segment from the block at ref on.
func (a *arena) header(ref uint32) []byte { return a.segs[ref>>segShift].mem[ref&segMask:] }

// bump allocates a block in the open segment. It returns refNone if the segment has no
// space.
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

// openNew replaces the open segment by a new one.
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

// drop frees the memory of a segment.
func (a *arena) drop(no uint32) {
	a.pool.put(a.segs[no].mem)
	a.segs[no] = segment{}
	a.free = append(a.free, no)
	a.used--
}

// victim returns the segment whose blocks should be moved, or 0 if there are few gaps.
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

// alloc returns a new, empty block. It may move other blocks, so that all blocks and
// references that the caller holds become invalid.
func (s *shard) alloc(owner uint32, list, capacity int) uint32 {
	a := &s.arena
	if a.open == 0 {
		a.openNew()
	}
	ref := a.bump(owner, list, capacity)
	if ref == refNone {
		if no := a.victim(); no != 0 {
			s.evacuate(no)
			ref = a.bump(owner, list, capacity)
		}
	}
	if ref == refNone {
		a.openNew()
		ref = a.bump(owner, list, capacity)
	}
	return ref
}

// compact moves the blocks of one segment if there are many gaps, and reports whether
// it did.
func (s *shard) compact() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	no := s.arena.victim()
	if no != 0 {
		s.evacuate(no)
	}
	return no != 0
}

// evacuate moves the live blocks of a segment to the open segment, with less spare
// capacity, and frees the segment.
func (s *shard) evacuate(no uint32) {
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
		fit := min(capacity, blockCapacity(n))
		ref := a.bump(owner, list, fit)
		if ref == refNone {
			a.openNew()
			ref = a.bump(owner, list, fit)
		}
		to := s.arenaBlock(ref, list)
		from := s.arenaBlock(old, list)
		to.copyFrom(0, &from, 0, n)
		a.header(ref)[blockN] = byte(n)
		s.setBlockRef(owner, &to, ref)
	}
	seg := &a.segs[no]
	a.live -= int(seg.live)
	a.drop(no)
}

// setBlockRef updates the reference of a block that was moved.
func (s *shard) setBlockRef(owner uint32, b *block, ref uint32) {
	list := int(owner & 3)
	if owner&ownerDir == 0 {
		s.record(owner>>2).setRef(list, ref)
		return
	}
	d := &s.dirs[owner&^ownerDir>>2]
	d.refs[d.bucket(s.t.keys.hashAddr(b.addr(0)))] = ref
}

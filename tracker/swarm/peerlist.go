package swarm

import "math/bits"

// A list of up to singleMax entries is one block, which is searched linearly. A larger
// list is a directory of buckets by the hash of the host, with about bucketMean entries
// each. It grows and shrinks by one bucket at a time (linear hashing, Litwin 1980), so
// that no announce is slow.
const (
	singleMax  = 128
	bucketMean = 64
)

// dir is the directory of a large list.
type dir struct {
	refs []uint32 // blocks; refNone for an empty bucket
	ns   []uint8  // number of entries in each block, for faster sampling
	rec  uint32
	list uint8
}

// bucket returns the number of the bucket for a hash.
func (d *dir) bucket(h uint64) int {
	n := len(d.refs)
	top := bits.Len(uint(n)) // 1<<top > n >= 1<<(top-1)
	b := int(h & (1<<top - 1))
	if b >= n {
		b &= 1<<(top-1) - 1
	}
	return b
}

// partner returns the bucket from which bucket n, the last one, was split off.
func partner(n int) int { return n - 1<<(bits.Len(uint(n))-1) }

// arenaBlock returns the view of the block at ref.
func (s *shard) arenaBlock(ref uint32, list int) block {
	h := s.arena.header(ref)
	c := int(h[blockCap])
	return block{mem: h[blockHeader : blockHeader+c*entrySize(list)], n: int(h[blockN]), cap: c, stride: strideOf(list)}
}

// block returns the view of a bucket of a list, or of the whole list if it has no
// directory.
func (s *shard) block(rec record, list, bucket int) block {
	ref := rec.ref(list)
	if ref&refDir != 0 {
		ref = s.dirs[ref&^refDir].refs[bucket]
	}
	switch ref {
	case refNone:
		return block{stride: strideOf(list)}
	case refInline:
		return block{mem: rec.inlineEntries(), n: rec.n(list), cap: rec.inlineCap(list), stride: strideOf(list)}
	}
	return s.arenaBlock(ref, list)
}

// buckets returns the number of buckets of a list, which is 1 for a small list.
func (s *shard) buckets(rec record, list int) int {
	if rec.isDir(list) {
		return len(s.dirs[rec.dirNo(list)].refs)
	}
	return 1
}

// bucketOf returns the bucket of address a.
func (s *shard) bucketOf(rec record, list int, a []byte) int {
	if rec.isDir(list) {
		return s.dirs[rec.dirNo(list)].bucket(s.t.keys.hashAddr(a))
	}
	return 0
}

// setRef sets the reference of a bucket.
func (s *shard) setRef(rec record, list, bucket int, ref uint32) {
	if rec.isDir(list) {
		s.dirs[rec.dirNo(list)].refs[bucket] = ref
	} else {
		rec.setRef(list, ref)
	}
}

// setBlockN sets the number of entries of a bucket wherever it is stored, but not the
// count of the record.
func (s *shard) setBlockN(rec record, list, bucket, n int) {
	ref := rec.ref(list)
	if ref&refDir != 0 {
		d := &s.dirs[ref&^refDir]
		d.ns[bucket] = uint8(n)
		ref = d.refs[bucket]
	}
	if ref > refInline {
		s.arena.header(ref)[blockN] = byte(n)
	}
}

// freeBlock frees the block of a bucket.
func (s *shard) freeBlock(rec record, list, bucket int) {
	ref := rec.ref(list)
	if ref&refDir != 0 {
		d := &s.dirs[ref&^refDir]
		ref, d.refs[bucket], d.ns[bucket] = d.refs[bucket], refNone, 0
	} else {
		rec.setRef(list, refNone)
	}
	switch ref {
	case refNone:
	case refInline:
		rec.unset(flagInline)
	default:
		s.arena.release(ref, list)
	}
}

// owner returns the owner of the blocks of a list.
func (s *shard) owner(ri uint32, rec record, list int) uint32 {
	if rec.isDir(list) {
		return ownerDir | uint32(rec.dirNo(list))<<2 | uint32(list)
	}
	return ri<<2 | uint32(list)
}

// resize replaces the block of a bucket by one with the given capacity and the same
// entries.
func (s *shard) resize(ri uint32, list, bucket, capacity int) {
	rec := s.record(ri)
	ref := s.alloc(s.owner(ri, rec, list), list, capacity)
	to, from := s.arenaBlock(ref, list), s.block(rec, list, bucket)
	to.copyFrom(0, &from, 0, from.n)
	s.freeBlock(rec, list, bucket)
	s.setRef(rec, list, bucket, ref)
	s.setBlockN(rec, list, bucket, from.n)
}

// insert adds an entry at a random position of its bucket and returns the position. The
// address must not be in the list.
func (s *shard) insert(ri uint32, list int, a []byte, now, stamp, meta uint16) (bucket, at int) {
	rec := s.record(ri)
	switch n := rec.n(list); {
	case rec.isDir(list):
		if nb := s.buckets(rec, list); n >= nb*bucketMean {
			s.split(ri, list)
		}
	case n >= singleMax:
		s.toDir(ri, list)
	}
	bucket = s.bucketOf(rec, list, a)
	b := s.block(rec, list, bucket)
	if b.n == maxBlock { // very unlikely, unless a host has very many ports
		s.removeAt(ri, list, bucket, b.oldest(now))
		s.evictedPeers++
		bucket = s.bucketOf(rec, list, a)
		b = s.block(rec, list, bucket)
	}
	if b.n == b.cap {
		b = s.enlarge(ri, list, bucket, b.n+1)
	}
	at = s.rng.below(b.n + 1)
	b.move(b.n, at)
	b.set(at, a, stamp, meta)
	s.countSecond(rec, list, meta, +1)
	s.setBlockN(rec, list, bucket, b.n+1)
	s.count(rec, list, +1)
	return bucket, at
}

// enlarge increases the capacity of a bucket to at least n entries.
func (s *shard) enlarge(ri uint32, list, bucket, n int) block {
	rec := s.record(ri)
	if rec.ref(list) == refNone && !rec.has(flagInline) && n <= rec.inlineCap(list) {
		rec.set(flagInline)
		rec.setRef(list, refInline)
	} else {
		s.resize(ri, list, bucket, blockCapacity(n))
	}
	return s.block(rec, list, bucket)
}

// removeAt removes one entry.
func (s *shard) removeAt(ri uint32, list, bucket, at int) {
	rec := s.record(ri)
	b := s.block(rec, list, bucket)
	s.countSecond(rec, list, b.meta(at), -1)
	b.move(at, b.n-1)
	s.setBlockN(rec, list, bucket, b.n-1)
	s.count(rec, list, -1)
	s.shrink(ri, list, bucket)
}

// shrink frees memory that a bucket and its list no longer need after entries were
// removed.
func (s *shard) shrink(ri uint32, list, bucket int) {
	rec := s.record(ri)
	b := s.block(rec, list, bucket)
	if b.n == 0 {
		s.freeBlock(rec, list, bucket)
	} else if rec.ref(list) != refInline && b.cap-b.n > b.n/4+2 {
		s.resize(ri, list, bucket, blockCapacity(b.n))
	}
	if !rec.isDir(list) {
		return
	}
	switch n, nb := rec.n(list), s.buckets(rec, list); {
	case n <= bucketMean:
		s.toSingle(ri, list)
	case n < nb*bucketMean/2:
		s.merge(ri, list)
	}
}

// put adds the entries from to to-1 of sp to a bucket, which must be empty.
func (s *shard) put(ri uint32, list, bucket int, sp *spill, from, to int) {
	if from == to {
		return
	}
	b, v := s.enlarge(ri, list, bucket, to-from), sp.view(list)
	b.copyFrom(0, &v, from, to-from)
	s.setBlockN(s.record(ri), list, bucket, to-from)
}

// toDir converts a list of one block to a directory of two buckets.
func (s *shard) toDir(ri uint32, list int) {
	rec := s.record(ri)
	var sp spill
	b := s.block(rec, list, 0)
	sp.add(&b, list)
	s.freeBlock(rec, list, 0)
	no := uint32(len(s.dirs))
	if n := len(s.freeDirs); n > 0 {
		no, s.freeDirs = s.freeDirs[n-1], s.freeDirs[:n-1]
	} else {
		s.dirs = append(s.dirs, dir{})
	}
	s.dirs[no] = dir{refs: make([]uint32, 2, 4), ns: make([]uint8, 2, 4), rec: ri, list: uint8(list)}
	rec.setRef(list, refDir|no)
	s.distribute(ri, list, 0, 1, &sp)
}

// distribute puts the entries of sp into the buckets one and two, according to their
// hashes.
func (s *shard) distribute(ri uint32, list, one, two int, sp *spill) {
	d := &s.dirs[s.record(ri).dirNo(list)]
	v, mid := sp.view(list), sp.n
	var tmp [18]byte
	for i := 0; i < mid; {
		if d.bucket(s.t.keys.hashAddr(v.addr(i))) == one {
			i++
			continue
		}
		mid--
		n := copy(tmp[:], v.addr(i))
		stamp, meta := v.stamp(i), v.meta(i)
		v.move(i, mid)
		v.set(mid, tmp[:n], stamp, meta)
	}
	s.put(ri, list, one, sp, 0, mid)
	s.put(ri, list, two, sp, mid, sp.n)
}

// split adds a bucket.
func (s *shard) split(ri uint32, list int) {
	rec := s.record(ri)
	d := &s.dirs[rec.dirNo(list)]
	last := len(d.refs)
	from := partner(last)
	var sp spill
	if b := s.block(rec, list, from); b.n > 0 {
		sp.add(&b, list)
	}
	s.freeBlock(rec, list, from)
	d.refs, d.ns = append(d.refs, refNone), append(d.ns, 0)
	s.distribute(ri, list, from, last, &sp)
}

// merge removes the last bucket, unless its entries do not fit into its partner.
func (s *shard) merge(ri uint32, list int) {
	rec := s.record(ri)
	d := &s.dirs[rec.dirNo(list)]
	last := len(d.refs) - 1
	if last == 0 {
		return
	}
	to := partner(last)
	if int(d.ns[last])+int(d.ns[to]) > maxBlock {
		return
	}
	var sp spill
	for _, i := range [2]int{to, last} {
		if b := s.block(rec, list, i); b.n > 0 {
			sp.add(&b, list)
		}
		s.freeBlock(rec, list, i)
	}
	d.refs, d.ns = d.refs[:last], d.ns[:last]
	if cap(d.refs) > 4*last && last >= 4 {
		d.refs, d.ns = append([]uint32(nil), d.refs...), append([]uint8(nil), d.ns...)
	}
	s.put(ri, list, to, &sp, 0, sp.n)
}

// toSingle converts a directory with few entries to a list of one block.
func (s *shard) toSingle(ri uint32, list int) {
	rec := s.record(ri)
	no := rec.dirNo(list)
	var sp spill
	for i := range s.dirs[no].refs {
		if b := s.block(rec, list, i); b.n > 0 {
			sp.add(&b, list)
		}
		s.freeBlock(rec, list, i)
	}
	s.dirs[no] = dir{}
	s.freeDirs = append(s.freeDirs, uint32(no))
	rec.setRef(list, refNone)
	s.put(ri, list, 0, &sp, 0, sp.n)
}

// count adds d to the number of entries of a list, and to the totals.
func (s *shard) count(rec record, list, d int) {
	was := rec.idle()
	rec.setN(list, rec.n(list)+d)
	if is := rec.idle(); was != is {
		if is {
			s.active--
		} else {
			s.active++
		}
	}
	s.n[list] += d
	s.t.peers.Add(int64(d))
}

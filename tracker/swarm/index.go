package swarm

import "spate"

// The index of a shard finds records by info-hash: open addressing with linear
// probing. A slot is 0, or eight bits of the hash above the number of a record
// plus 1. Records are dense: the last one moves into a gap.
const (
	slotShift = 24
	slotMask  = 1<<slotShift - 1
	maxRecs   = slotMask - 1
	minIndex  = 8
	// indexBytes is what the index takes for a record, at most.
	indexBytes = 11
)

func slotOf(h uint64, ri uint32) uint32 { return uint32(h>>24)&0xff<<slotShift | (ri + 1) }

// record is the view of record ri; valid until a record is forgotten.
func (s *shard) record(ri uint32) record {
	at := ri % recsPerSeg * recSize
	return record(s.recs[ri/recsPerSeg][at : at+recSize : at+recSize])
}

// lookup returns the record of the swarm with hash h.
func (s *shard) lookup(ih *spate.InfoHash, h uint64) (ri uint32, ok bool) {
	if len(s.index) == 0 {
		return 0, false
	}
	mask := uint64(len(s.index) - 1)
	mark := slotOf(h, 0) &^ slotMask
	for i := h & mask; ; i = (i + 1) & mask {
		v := s.index[i]
		if v == 0 {
			return 0, false
		}
		if v&^slotMask == mark {
			ri = v&slotMask - 1
			if *s.record(ri).hash() == *ih {
				return ri, true
			}
		}
	}
}

// slot returns the place of record ri, whose hash is h, in the index.
func (s *shard) slot(ri uint32, h uint64) uint64 {
	mask := uint64(len(s.index) - 1)
	want := slotOf(h, ri)
	i := h & mask
	for s.index[i] != want {
		i = (i + 1) & mask
	}
	return i
}

// create adds a record for a swarm that has none. There must be room: see
// roomForSwarm.
func (s *shard) create(ih *spate.InfoHash, h uint64) uint32 {
	if 4*(int(s.nrec)+1) > 3*len(s.index) {
		s.reindex(max(2*len(s.index), minIndex))
	}
	ri := s.nrec
	if int(ri/recsPerSeg) == len(s.recs) {
		s.recs = append(s.recs, s.arena.pool.get())
	}
	s.nrec++
	s.t.swarms.Add(1)
	rec := s.record(ri)
	clear(rec)
	copy(rec[recHash:], ih[:])
	s.enter(h, ri)
	return ri
}

// enter writes record ri to the first free slot for hash h.
func (s *shard) enter(h uint64, ri uint32) {
	mask := uint64(len(s.index) - 1)
	i := h & mask
	for s.index[i] != 0 {
		i = (i + 1) & mask
	}
	s.index[i] = slotOf(h, ri)
}

func (s *shard) reindex(n int) {
	s.index = make([]uint32, n)
	for ri := uint32(0); ri < s.nrec; ri++ {
		s.enter(s.hashOf(ri), ri)
	}
}

func (s *shard) hashOf(ri uint32) uint64 {
	return s.t.keys.hash20((*[20]byte)(s.record(ri)[recHash:]))
}

// forget takes out record ri with all its entries. The last record gets its
// number.
func (s *shard) forget(ri uint32) {
	rec := s.record(ri)
	for list := range numLists {
		s.freeList(rec, list)
	}
	s.setPin(rec, 0)
	s.completed -= uint64(rec.completed())
	if rec.has(flagProtected) {
		s.protected--
	}
	s.unslot(s.slot(ri, s.hashOf(ri)))
	s.nrec--
	s.t.swarms.Add(-1)
	if last := s.nrec; ri != last {
		i := s.slot(last, s.hashOf(last))
		s.index[i] = s.index[i]&^slotMask | (ri + 1)
		copy(rec, s.record(last))
		s.reown(ri, rec)
	}
	if need := (int(s.nrec) + recsPerSeg - 1) / recsPerSeg; need+1 < len(s.recs) {
		last := len(s.recs) - 1
		s.arena.pool.put(s.recs[last])
		s.recs[last] = nil
		s.recs = s.recs[:last]
	}
	if n := len(s.index); n > 8*minIndex && 8*int(s.nrec) < n {
		s.reindex(n / 4)
	}
}

// unslot empties slot i and moves up those that were pushed past it.
func (s *shard) unslot(i uint64) {
	mask := uint64(len(s.index) - 1)
	for j := (i + 1) & mask; s.index[j] != 0; j = (j + 1) & mask {
		home := s.hashOf(s.index[j]&slotMask-1) & mask
		if (j-home)&mask >= (j-i)&mask { // its home is not after i
			s.index[i] = s.index[j]
			i = j
		}
	}
	s.index[i] = 0
}

// freeList frees all entries of a list.
func (s *shard) freeList(rec record, list int) {
	for i := range s.buckets(rec, list) {
		s.freeBlock(rec, list, i)
	}
	if rec.isDir(list) {
		no := rec.dirNo(list)
		s.dirs[no] = dir{}
		s.freeDirs = append(s.freeDirs, uint32(no))
		rec.setRef(list, refNone)
	}
	if n := rec.n(list); n > 0 {
		s.count(rec, list, -n)
	}
}

// reown tells the lists of a record its new number.
func (s *shard) reown(ri uint32, rec record) {
	for list := range numLists {
		switch ref := rec.ref(list); {
		case ref&refDir != 0:
			s.dirs[ref&^refDir].rec = ri
		case ref > refInline:
			s.arena.setOwner(ref, ri<<2|uint32(list))
		}
	}
}

package swarm

import "spate"

// The index of a shard finds records by info-hash. It is a hash table with open
// addressing and linear probing. A slot is 0 if it is free; otherwise it has eight bits
// of the hash above the record number plus 1. Records are numbered without gaps: the
// last record moves to the number of a forgotten one.
const (
	slotShift = 24
	slotMask  = 1<<slotShift - 1
	maxRecs   = slotMask - 1
	minIndex  = 8
	// indexBytes is the largest number of bytes that the index needs for a record.
	indexBytes = 11
)

func slotOf(h uint64, ri uint32) uint32 { return uint32(h>>24)&0xff<<slotShift | (ri + 1) }

// record returns the view of record ri. It is valid until a record is forgotten.
func (s *shard) record(ri uint32) record {
	at := ri % recsPerSeg * recSize
	return record(s.recs[ri/recsPerSeg][at : at+recSize : at+recSize])
}

// lookup returns the number of the record of a swarm. h is the hash of the info-hash.
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

// slot returns the index of the slot of record ri, whose info-hash has the hash h.
func (s *shard) slot(ri uint32, h uint64) uint64 {
	mask := uint64(len(s.index) - 1)
	want := slotOf(h, ri)
	i := h & mask
	for s.index[i] != want {
		i = (i + 1) & mask
	}
	return i
}

// create adds a record for a swarm that has none. The caller must have called
// reserveSwarm.
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

// enter stores record ri in the first free slot for hash h.
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

// forget removes record ri with all its entries. The last record gets the number ri.
func (s *shard) forget(ri uint32) {
	rec := s.record(ri)
	for list := range numLists {
		s.freeList(rec, list)
	}
	for role := range s.marked {
		s.marked[role] -= rec.second(role)
		rec.setSecond(role, 0)
	}
	s.setPin(rec, 0)
	s.setSockets(rec, 0, 0)
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

// unslot frees slot i and moves the following slots of the same probe sequences up.
func (s *shard) unslot(i uint64) {
	mask := uint64(len(s.index) - 1)
	for j := (i + 1) & mask; s.index[j] != 0; j = (j + 1) & mask {
		ideal := s.hashOf(s.index[j]&slotMask-1) & mask
		if (j-ideal)&mask >= (j-i)&mask { // slot j may move to i
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

// reown updates the lists of a record after its number has changed.
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

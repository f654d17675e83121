package swarm

// victimTries is the number of records from which the record to evict is chosen. It is
// large enough that a flood of swarms of one kind evicts its own kind, and small enough
// to be examined in an announce.
const victimTries = 8

// smallSwarm is the number of peers up to which a swarm can be evicted for a new
// unprotected swarm.
const smallSwarm = 2

// reserveSwarm makes space for one more record and reports whether it succeeded. Record
// numbers become invalid.
func (s *shard) reserveSwarm(sec uint32, protected bool) bool {
	if s.nrec < maxRecs && s.t.swarms.Load() < int64(s.t.opt.MaxSwarms) && !s.t.overMemory() {
		return true
	}
	if s.evictSwarm(sec, protected) {
		return true
	}
	return protected && s.otherShards(func(o *shard) bool { return o.evictSwarm(sec, true) })
}

// evictSwarm evicts an unprotected swarm. Unless any is set it must be small.
func (s *shard) evictSwarm(sec uint32, any bool) bool {
	ri, ok := s.victim(sec, s.nrec, 0, any)
	if !ok || !any && s.record(ri).peers() > smallSwarm {
		return false
	}
	s.forget(ri)
	s.evictedSwarms++
	return true
}

// otherShards calls f for other shards until f returns true. It skips shards that are
// locked, because it must not wait for a lock while it holds the lock of this shard.
func (s *shard) otherShards(f func(*shard) bool) bool {
	at := s.rng.below(len(s.t.shards))
	for i := range s.t.shards {
		o := &s.t.shards[(at+i)%len(s.t.shards)]
		if o == s || !o.mu.TryLock() {
			continue
		}
		ok := f(o)
		o.mu.Unlock()
		if ok {
			return true
		}
	}
	return false
}

// overMemory reports whether the table uses as much memory as it may. A new entry then
// replaces an old one.
func (t *Table) overMemory() bool {
	return t.opt.MaxMemory > 0 && t.pool.out.Load()*segSize+t.swarms.Load()*indexBytes >= t.opt.MaxMemory
}

// victim chooses the record to evict from a few random ones: an unprotected record with
// at least least peers, but as few as possible. Among equals it chooses the record without
// announces for the longest time. If all is set, it continues until it finds a record. It
// never chooses the record with the number not.
func (s *shard) victim(sec, not uint32, least int, all bool) (best uint32, ok bool) {
	if s.nrec == 0 {
		return 0, false
	}
	fewest, longest := 0, 0
	ri := uint32(s.rng.below(int(s.nrec)))
	for i := uint32(0); i < s.nrec; i++ {
		if i >= victimTries && (ok || !all) {
			break
		}
		if i < victimTries {
			ri = uint32(s.rng.below(int(s.nrec)))
		} else {
			ri++
			if ri == s.nrec {
				ri = 0
			}
		}
		rec := s.record(ri)
		n, idle := rec.peers(), rec.untouched(sec)
		if ri == not || rec.entries() < least || rec.has(flagProtected) {
			continue
		}
		if !ok || n < fewest || n == fewest && idle > longest {
			best, fewest, longest, ok = ri, n, idle, true
		}
	}
	return best, ok
}

// reservePeer makes space for one more entry in the swarm of record ri, and returns the
// new number of the record. If the swarm has its maximum size, or nothing else can be
// evicted, it evicts the oldest entry of the bucket in which the new entry belongs.
func (s *shard) reservePeer(ri uint32, a *announce) (uint32, bool) {
	rec := s.record(ri)
	if rec.entries() >= s.t.opt.MaxPerSwarm {
		return ri, s.replaceOldest(ri, a)
	}
	if s.t.peers.Load() < int64(s.t.opt.MaxPeers) && !s.t.overMemory() {
		return ri, true
	}
	protected := rec.has(flagProtected)
	if s.evictPeer(a.sec, ri, protected) {
		ri, _ = s.lookup(&a.req.InfoHash, a.hash)
		return ri, true
	}
	if protected && s.otherShards(func(o *shard) bool { return o.evictPeer(a.sec, o.nrec, true) }) {
		return ri, true
	}
	return ri, s.replaceOldest(ri, a)
}

// replaceOldest evicts the oldest entry from the bucket in which the announcing peer
// belongs, or from the other list of its address family.
func (s *shard) replaceOldest(ri uint32, a *announce) bool {
	rec := s.record(ri)
	for _, list := range [2]int{a.role(), a.role() ^ listSeed} {
		bucket := s.bucketOf(rec, list, a.addr())
		b := s.block(rec, list, bucket)
		if at := b.oldest(a.now); at >= 0 {
			s.removeAt(ri, list, bucket, at)
			s.evictedPeers++
			return true
		}
	}
	return false
}

// evictPeer evicts one entry from an unprotected swarm that is not the swarm of record not.
// Unless any is set, the swarm must be small. If the entry was its last one, the swarm is
// evicted too. Record numbers become invalid.
func (s *shard) evictPeer(sec, not uint32, any bool) bool {
	ri, ok := s.victim(sec, not, 1, any)
	if !ok || !any && s.record(ri).entries() > smallSwarm {
		return false
	}
	rec := s.record(ri)
	list := 0
	for rec.n(list) == 0 {
		list++
	}
	nb := s.buckets(rec, list)
	bucket := s.rng.below(nb)
	b := s.block(rec, list, bucket)
	for b.n == 0 {
		bucket = (bucket + 1) % nb
		b = s.block(rec, list, bucket)
	}
	s.removeAt(ri, list, bucket, b.oldest(stampOf(sec)))
	s.evictedPeers++
	if rec.forgettable() {
		s.forget(ri)
		s.evictedSwarms++
	}
	return true
}

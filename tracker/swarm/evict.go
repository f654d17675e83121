package swarm

// tries is how many records are looked at for the best to evict: enough that a
// flood of one kind evicts its own, few enough for the path of an announce.
const tries = 8

// small is the number of peers up to which a whole swarm makes room for a new
// one that was not published.
const small = 2

// roomForSwarm makes room for one more record, and reports whether there is any.
// Numbers of records are stale afterwards.
func (s *shard) roomForSwarm(sec uint32, protected bool) bool {
	if s.nrec < maxRecs && s.t.swarms.Load() < int64(s.t.opt.MaxSwarms) && !s.t.overMemory() {
		return true
	}
	if s.evictSwarm(sec, protected) {
		return true
	}
	return protected && s.elsewhere(func(o *shard) bool { return o.evictSwarm(sec, true) })
}

// evictSwarm forgets a swarm that is not protected: with any number of peers, or
// a small one.
func (s *shard) evictSwarm(sec uint32, any bool) bool {
	ri, ok := s.victim(sec, s.nrec, 0, any)
	if !ok || !any && s.record(ri).peers() > small {
		return false
	}
	s.forget(ri)
	s.evictedSwarms++
	return true
}

// elsewhere calls f for other shards until one reports success. It passes over
// those that are busy: holding this shard's lock, it must not wait for another.
func (s *shard) elsewhere(f func(*shard) bool) bool {
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

// overMemory reports whether the table holds as much memory as it may. Then each
// new entry takes the place of another.
func (t *Table) overMemory() bool {
	return t.opt.MaxMemory > 0 && t.pool.out.Load()*segSize+t.swarms.Load()*indexBytes >= t.opt.MaxMemory
}

// victim chooses a record to evict: one that is not protected, with the fewest
// peers, but at least least, of those looked at, and the longest untouched of
// equals. With all set it looks on until it finds one. Record not is spared.
func (s *shard) victim(sec, not uint32, least int, all bool) (best uint32, ok bool) {
	if s.nrec == 0 {
		return 0, false
	}
	fewest, longest := 0, 0
	ri := uint32(s.rng.below(int(s.nrec)))
	for i := uint32(0); i < s.nrec; i++ {
		if i >= tries && (ok || !all) {
			break
		}
		if i < tries {
			ri = uint32(s.rng.below(int(s.nrec)))
		} else {
			ri++
			if ri == s.nrec {
				ri = 0
			}
		}
		rec := s.record(ri)
		n, idle := rec.peers(), rec.untouched(sec)
		if ri == not || n < least || rec.has(flagProtected) {
			continue
		}
		if !ok || n < fewest || n == fewest && idle > longest {
			best, fewest, longest, ok = ri, n, idle, true
		}
	}
	return best, ok
}

// roomForPeer makes room for one more entry in the swarm of record ri, whose new
// number it returns. At the cap of the swarm, or where nothing else can be
// evicted, that is the oldest entry of the bucket where the new one belongs.
func (s *shard) roomForPeer(ri uint32, a *announce) (uint32, bool) {
	rec := s.record(ri)
	if rec.peers() >= s.t.opt.MaxPerSwarm {
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
	if protected && s.elsewhere(func(o *shard) bool { return o.evictPeer(a.sec, o.nrec, true) }) {
		return ri, true
	}
	return ri, s.replaceOldest(ri, a)
}

// replaceOldest evicts the oldest entry from where the announcer belongs, or
// from the other list of its family.
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

// evictPeer evicts one entry from a swarm that is not protected, of any size or
// a small one, but not from that of record not; the swarm too if that was all it
// had. Numbers of records are stale afterwards.
func (s *shard) evictPeer(sec, not uint32, any bool) bool {
	ri, ok := s.victim(sec, not, 1, any)
	if !ok || !any && s.record(ri).peers() > small {
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

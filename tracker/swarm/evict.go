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
	if s.nrec < maxRecs && s.t.swarms.Load() < int64(s.t.opt.MaxSwarms) {
		return true
	}
	ri, ok := s.victim(sec, s.nrec, 0, protected)
	if !ok || !protected && s.record(ri).peers() > small {
		return false
	}
	s.forget(ri)
	s.evictedSwarms++
	return true
}

// victim chooses a record to evict: one that is not protected, with the fewest
// peers, but at least least, of those looked at, the longest untouched of equals. With all set it
// looks on until it finds one. Record not is spared.
func (s *shard) victim(sec, not uint32, least int, all bool) (best uint32, ok bool) {
	if s.nrec == 0 {
		return 0, false
	}
	fewest, longest := 0, uint32(0)
	ri := uint32(s.rng.below(int(s.nrec)))
	for i := uint32(0); i < s.nrec; i++ {
		if i >= tries && (ok || !all) {
			break
		}
		if i < tries {
			ri = uint32(s.rng.below(int(s.nrec)))
		} else if ri++; ri == s.nrec {
			ri = 0
		}
		rec := s.record(ri)
		n, idle := rec.peers(), sec-rec.touched()
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
	if s.t.peers.Load() < int64(s.t.opt.MaxPeers) {
		return ri, true
	}
	protected := rec.has(flagProtected)
	v, ok := s.victim(a.sec, ri, 1, protected)
	if ok && (protected || s.record(v).peers() <= small) {
		s.evictPeer(v, a.now)
		ri, _ = s.lookup(&a.req.InfoHash, a.hash)
		return ri, true
	}
	return ri, s.replaceOldest(ri, a)
}

// replaceOldest evicts the oldest entry from where the announcer belongs, or
// from the other list of its family.
func (s *shard) replaceOldest(ri uint32, a *announce) bool {
	rec := s.record(ri)
	for _, list := range [2]int{a.role(), a.role() ^ listSeed} {
		bucket := s.bucketOf(rec, list, a.addr)
		b := s.block(rec, list, bucket)
		if at := b.oldest(a.now); at >= 0 {
			s.removeAt(ri, list, bucket, at)
			s.evictedPeers++
			return true
		}
	}
	return false
}

// evictPeer evicts the oldest entry of a bucket of a swarm that has peers; the
// swarm too if that was all it had.
func (s *shard) evictPeer(ri uint32, now uint16) {
	rec := s.record(ri)
	for list := range numLists {
		if rec.n(list) == 0 {
			continue
		}
		nb := s.buckets(rec, list)
		for bucket := s.rng.below(nb); ; bucket = (bucket + 1) % nb {
			b := s.block(rec, list, bucket)
			if at := b.oldest(now); at >= 0 {
				s.removeAt(ri, list, bucket, at)
				break
			}
		}
		s.evictedPeers++
		break
	}
	if rec.forgettable() {
		s.forget(ri)
		s.evictedSwarms++
	}
}

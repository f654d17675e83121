package swarm

import "time"

// Stamps are the time in units of 4 s, modulo 2^16. They wrap around after three days.
// Ages are correct if the table is swept, or the swarm is announced to, at least once a
// day.
const (
	stampUnit = 4 // length of a unit in seconds
	// refreshAge is the time between two searches for expired entries in announces to a
	// swarm.
	refreshAge = 60 / stampUnit
	// clockSlack is how far in the future a stamp may be, because the clock may have
	// been set back.
	clockSlack = 3600 / stampUnit
	// keepCounters is how long, in seconds, the completion counter of an empty,
	// unprotected swarm is kept.
	keepCounters = 30 * 24 * 3600
	// walkHold limits the number of entries and lists that are processed while the lock
	// of a shard is held.
	walkHold = 1024
)

// age returns the age of stamp in units. It is 0 if the clock was set back a little,
// and very large if the stamp is further in the future.
func age(now, stamp uint16) int {
	a := int(int16(now - stamp))
	if a < 0 {
		if a >= -clockSlack {
			return 0
		}
		return 1 << 15
	}
	return a
}

func (s *shard) stale(now, stamp uint16) bool { return age(now, stamp) > s.t.expire }

// refresh removes expired entries from the swarm of an announce, at most once a
// minute. In each large list it examines one random bucket.
func (s *shard) refresh(ri uint32, now uint16) {
	rec := s.record(ri)
	if age(now, rec.swept()) < refreshAge {
		return
	}
	rec.setSwept(now)
	for list := range numLists {
		if rec.n(list) > 0 {
			s.expire(ri, list, s.rng.below(s.buckets(rec, list)), now)
		}
	}
}

// expire removes the expired entries of one bucket. It returns how many entries it
// examined and removed.
func (s *shard) expire(ri uint32, list, bucket int, now uint16) (seen, gone int) {
	rec := s.record(ri)
	b := s.block(rec, list, bucket)
	seen = b.n
	for i := b.n - 1; i >= 0; i-- {
		if s.stale(now, b.stamp(i)) {
			s.countSecond(rec, list, b.meta(i), -1)
			b.n--
			b.move(i, b.n)
		}
	}
	gone = seen - b.n
	if gone > 0 {
		s.setBlockN(rec, list, bucket, b.n)
		s.count(rec, list, -gone)
		s.expired += uint64(gone)
		s.shrink(ri, list, bucket)
	}
	return seen, gone
}

// Sweep removes peers that have not announced for Options.Expire. It examines about max
// peers and swarms, and continues where the last call stopped; if max is 0 it examines
// all. It holds each lock only for microseconds. It returns how many peers it examined
// and removed. The caller should sweep the whole table every few minutes, and must do
// so at least once a day.
func (t *Table) Sweep(now time.Time, max int) (seen, expired int) {
	sec, work := t.seconds(now), 0
	for range t.shards {
		i := t.sweepAt.Load()
		sh := &t.shards[i%uint32(len(t.shards))]
		if max <= 0 {
			sh.mu.Lock()
			sh.sweep.busy = false
			sh.mu.Unlock()
		}
		for done := false; !done; {
			var n, gone, swarms int
			n, gone, swarms, done = sh.sweepSome(sec)
			seen += n
			expired += gone
			work += n + swarms
			if max > 0 && work >= max && !done {
				return seen, expired
			}
		}
		for sh.compact() {
		}
		t.sweepAt.CompareAndSwap(i, i+1)
		if max > 0 && work >= max {
			break
		}
	}
	return seen, expired
}

// sweepSome continues the sweep of a shard while holding its lock once. done means that
// it has reached the end of the shard.
func (s *shard) sweepSome(sec uint32) (seen, gone, swarms int, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := stampOf(sec)
	done = s.walk(&s.sweep, func(ri uint32, _ record, list, bucket int) {
		n, g := s.expire(ri, list, bucket, now)
		seen, gone = seen+n, gone+g
	}, func(ri uint32, rec record) {
		swarms++
		rec.setSwept(now)
		if rec.forgettable() || rec.idle() && !rec.has(flagProtected) && rec.untouched(sec) > keepCounters {
			s.forget(ri)
		}
	})
	return seen, gone, swarms, done
}

// cursor is the position of a walk through a shard. Records are visited from the last
// to the first, because forgetting a record moves the last record, which was visited
// already.
type cursor struct {
	rec    uint32 // the next record is rec-1
	list   int
	bucket int // the next bucket is bucket-1; -1 for the start of a list
	nb     int // buckets of the list at the start, and those that were added and visited since
	busy   bool
}

// walk visits about walkHold entries of a shard and reports whether it has reached the
// end. The caller holds the lock. walk calls visit for every block, which may remove
// its entries, and end after the blocks of each record, which may forget the record.
// Entries that are added or removed between calls may be missed. All others are visited,
// some of them twice.
func (s *shard) walk(c *cursor, visit func(ri uint32, rec record, list, bucket int), end func(ri uint32, rec record)) (done bool) {
	if !c.busy {
		*c = cursor{rec: s.nrec, bucket: -1, busy: true}
	}
	for work := 0; work < walkHold; work++ {
		if c.rec > s.nrec {
			*c = cursor{rec: s.nrec, bucket: -1, busy: true}
		}
		if c.rec == 0 {
			c.busy = false
			return true
		}
		ri := c.rec - 1
		rec := s.record(ri)
		nb := s.buckets(rec, c.list)
		if c.bucket < 0 {
			c.bucket, c.nb = nb, nb
		}
		c.bucket, c.nb = min(c.bucket, nb), min(c.nb, nb)
		if rec.n(c.list) == 0 {
			c.bucket, c.nb = 0, nb
		}
		if c.nb < nb {
			// The list has grown since the last call: a new bucket has entries of a
			// bucket that may not have been visited yet.
			b := s.block(rec, c.list, c.nb)
			work += b.n
			visit(ri, rec, c.list, c.nb)
			c.nb++
			continue
		}
		if c.bucket > 0 {
			c.bucket--
			b := s.block(rec, c.list, c.bucket)
			work += b.n
			visit(ri, rec, c.list, c.bucket)
		}
		if c.bucket > 0 {
			continue
		}
		c.bucket = -1
		c.list++
		if c.list == numLists {
			c.list = 0
			c.rec--
			end(ri, rec)
		}
	}
	return false
}

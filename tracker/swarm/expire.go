package swarm

import "time"

// Stamps are 16 bits of the time in units of 4 s. They wrap after three days; an
// age is right as long as the table is swept once a day, or the swarm touched.
const (
	stampUnit = 4 // seconds
	// refreshAge is how often the touch of a swarm looks for expired entries.
	refreshAge = 60 / stampUnit
	// clockSlack is how far in the future a stamp may be: the clock went back.
	clockSlack = 3600 / stampUnit
	// keepCounters is how long the completions of an empty swarm are kept that
	// is not protected, in seconds.
	keepCounters = 30 * 24 * 3600
	// walkHold bounds the entries, and lists, that are looked at under one hold of
	// a shard's lock.
	walkHold = 1024
)

// age is the age of stamp, in units; not negative for a clock that went back a
// little, and very old for one that is off by more.
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

// refresh takes expired entries out of a swarm that is touched, if none was
// looked for in the last minute. Of a large list it looks at one bucket.
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

// expire takes the expired entries out of one bucket. It returns how many it
// looked at, and how many went.
func (s *shard) expire(ri uint32, list, bucket int, now uint16) (seen, gone int) {
	rec := s.record(ri)
	b := s.block(rec, list, bucket)
	seen = b.n
	for i := b.n - 1; i >= 0; i-- {
		if s.stale(now, b.stamp(i)) {
			b.n--
			b.move(i, b.n)
		}
	}
	gone = seen - b.n
	if gone > 0 {
		s.setBlockN(rec, list, bucket, b.n)
		s.count(rec, list, -gone)
		s.expired += uint64(gone)
		s.settle(ri, list, bucket)
	}
	return seen, gone
}

// Sweep takes out peers that have not announced for Options.Expire. It looks at
// about max peers and swarms and goes on where the last call stopped; with max 0
// it looks at all. It holds no lock for more than some microseconds. It returns how many
// peers it looked at and how many expired. A table is to be swept as a whole
// every few minutes, and at least once a day.
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
		for sh.tidy() {
		}
		t.sweepAt.CompareAndSwap(i, i+1)
		if max > 0 && work >= max {
			break
		}
	}
	return seen, expired
}

// sweepSome goes on with the sweep of a shard for one hold; done says that it
// came to the end of the shard.
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

// cursor is where a walk through a shard goes on. Records are gone through from
// the last to the first: forgetting one moves only such as were seen already.
type cursor struct {
	rec    uint32 // the next record is rec-1
	list   int
	bucket int // the next bucket is bucket-1; -1: begin the list
	busy   bool
}

// walk goes on through the blocks and records of a shard for about walkHold
// entries; it reports whether it came to the end. The caller holds the lock.
// visit is called for every block and may remove its entries, end after the
// blocks of each record and may forget it. What comes or goes between the calls
// may be missed, or rarely met twice.
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
		if c.bucket < 0 || c.bucket > nb {
			c.bucket = nb
		}
		if rec.n(c.list) == 0 {
			c.bucket = 0
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

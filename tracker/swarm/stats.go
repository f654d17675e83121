package swarm

import (
	"bytes"
	"cmp"
	"container/heap"
	"iter"
	"slices"
	"time"

	"spate"
)

// Stats is the state of one swarm.
type Stats struct {
	InfoHash spate.InfoHash
	// Seeders and Leechers are the numbers of both address families. Seeders includes
	// pinned origins, and both include peers without an address. A peer that announces over both
	// families counts once if it sends a key.
	Seeders, Leechers, Completed uint32
	// Peers6 is the number of IPv6 peers among the seeders and leechers.
	Peers6 uint32
	// Protected means that the swarm is never evicted, see [Table.Protect].
	Protected bool
}

// Totals are totals over the table.
type Totals struct {
	// Swarms is the number of swarms. Active is the number of swarms with peers or
	// pinned origins.
	Swarms, Active int
	// Protected is the number of protected swarms, see [Table.Protect].
	Protected int
	// The numbers of entries by role and address family, without pinned origins.
	Seeders4, Seeders6, Leechers4, Leechers6 int
	// SocketSeeders and SocketLeechers are the numbers of peers without an address, see [Sockets].
	SocketSeeders, SocketLeechers int
	// SeedersTwice and LeechersTwice are the numbers of peers with an entry of each family.
	SeedersTwice, LeechersTwice int
	// Pinned is the number of seeds that the pinned origins of all swarms count as.
	Pinned int
	// Completed is the sum of the completion counters.
	Completed uint64
	// Counters since the table was made: entries that have expired, entries and swarms
	// that were evicted, and announces and restored entries that were refused because
	// the table was full.
	Expired, EvictedPeers, EvictedSwarms, Refused uint64
	// Bytes is the memory of the table in bytes.
	Bytes int64
}

// Peers returns the number of entries of both roles and families, which are the peers with an
// address.
func (t Totals) Peers() int { return t.Seeders4 + t.Seeders6 + t.Leechers4 + t.Leechers6 }

// Seeders returns the number of seeds, including those that pinned origins count as.
func (t Totals) Seeders() int {
	return t.Seeders4 + t.Seeders6 - t.SeedersTwice + t.SocketSeeders + t.Pinned
}

// Leechers returns the number of leechers.
func (t Totals) Leechers() int {
	return t.Leechers4 + t.Leechers6 - t.LeechersTwice + t.SocketLeechers
}

// Scrape returns the counts of one swarm (BEP 48). ok is false if the swarm is unknown.
func (t *Table) Scrape(now time.Time, ih spate.InfoHash) (seeders, leechers, completed uint32, ok bool) {
	now16 := stampOf(t.seconds(now))
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	ri, ok := s.lookup(&ih, h)
	if !ok {
		return 0, 0, 0, false
	}
	s.refresh(ri, now16)
	st := s.stats(s.record(ri))
	return st.Seeders, st.Leechers, st.Completed, true
}

func (s *shard) stats(rec record) Stats {
	return Stats{
		InfoHash:  *rec.hash(),
		Seeders:   uint32(rec.seeds() + s.t.pinSet(rec).seeds()),
		Leechers:  uint32(rec.leechers()),
		Completed: rec.completed(),
		Peers6:    uint32(rec.n(seed6) + rec.n(leech6) + len(s.t.pinSet(rec).v6)/18),
		Protected: rec.has(flagProtected),
	}
}

// Totals returns the totals. It locks one shard at a time for a short time.
func (t *Table) Totals() Totals {
	tot := Totals{Bytes: t.pool.bytes()}
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		tot.Swarms += int(s.nrec)
		tot.Active += s.active
		tot.Protected += s.protected
		tot.Seeders4 += s.n[seed4]
		tot.Seeders6 += s.n[seed6]
		tot.Leechers4 += s.n[leech4]
		tot.Leechers6 += s.n[leech6]
		tot.SeedersTwice += s.marked[listSeed]
		tot.LeechersTwice += s.marked[0]
		tot.SocketSeeders += s.sockets[listSeed]
		tot.SocketLeechers += s.sockets[0]
		tot.Pinned += s.pinned
		tot.Completed += s.completed
		tot.Expired += s.expired
		tot.EvictedPeers += s.evictedPeers
		tot.EvictedSwarms += s.evictedSwarms
		tot.Refused += s.refused
		tot.Bytes += int64(4*cap(s.index) + 64*cap(s.dirs) + 32*cap(s.arena.segs))
		s.mu.Unlock()
	}
	return tot
}

// each calls f for every swarm, in batches, with the shard locked, and rest between
// batches without the lock. If either returns false, each stops. A swarm that is added
// or removed in the meantime may be missed, and a swarm may be visited twice.
func (t *Table) each(f func(s *shard, rec record) bool, rest func() bool) {
	const bunch = 256
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		at := s.nrec
		s.mu.Unlock()
		for at > 0 {
			s.mu.Lock()
			at = min(at, s.nrec)
			for n := 0; n < bunch && at > 0; n++ {
				at--
				if !f(s, s.record(at)) {
					break
				}
			}
			s.mu.Unlock()
			if !rest() {
				return
			}
		}
	}
}

// All iterates over all swarms in no particular order. No lock is held while the loop
// body runs. A swarm that is added or removed in the meantime may be missed, and rarely
// a swarm is visited twice.
func (t *Table) All() iter.Seq[Stats] {
	return func(yield func(Stats) bool) {
		var bunch []Stats
		t.each(func(s *shard, rec record) bool {
			bunch = append(bunch, s.stats(rec))
			return true
		}, func() bool {
			for _, st := range bunch {
				if !yield(st) {
					return false
				}
			}
			bunch = bunch[:0]
			return true
		})
	}
}

// Busiest returns up to n swarms with the most peers, in decreasing order. It leaves
// out swarms without peers. It examines every swarm.
func (t *Table) Busiest(n int) []Stats {
	if n <= 0 {
		return nil
	}
	var top busiest
	t.each(func(s *shard, rec record) bool {
		if rec.idle() {
			return true
		}
		if st := s.stats(rec); len(top) < n {
			heap.Push(&top, st)
		} else if less(top[0], st) {
			top[0] = st
			heap.Fix(&top, 0)
		}
		return true
	}, func() bool { return true })
	slices.SortFunc(top, func(a, b Stats) int {
		switch {
		case less(b, a):
			return -1
		case less(a, b):
			return 1
		}
		return 0
	})
	return slices.CompactFunc(top, func(a, b Stats) bool { return a.InfoHash == b.InfoHash })
}

// less compares by peers, then by completions, then by info-hash.
func less(a, b Stats) bool {
	if d := cmp.Compare(a.Seeders+a.Leechers, b.Seeders+b.Leechers); d != 0 {
		return d < 0
	}
	if d := cmp.Compare(a.Completed, b.Completed); d != 0 {
		return d < 0
	}
	return bytes.Compare(a.InfoHash[:], b.InfoHash[:]) > 0
}

// busiest is a heap with the least busy swarm on top.
type busiest []Stats

func (b busiest) Len() int           { return len(b) }
func (b busiest) Less(i, j int) bool { return less(b[i], b[j]) }
func (b busiest) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *busiest) Push(x any)        { *b = append(*b, x.(Stats)) }
func (b *busiest) Pop() any {
	last := len(*b) - 1
	x := (*b)[last]
	*b = (*b)[:last]
	return x
}

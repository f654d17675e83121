package swarm

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"spate"
	"spate/tracker"
)

// shard is a part of the table, with its own lock. An announce goes this way:
//
//  1. Table.Announce: the key hash of the info-hash chooses the shard; lock
//  2. lookup: the record of the swarm (index.go)
//  3. refresh: entries that have expired go (expire.go)
//  4. upsert: find the entry by its address; touch it, move it from leechers to
//     seeds, or make it, if need be in the place of another (evict.go)
//  5. answer: counts, sample (sample.go), interval
//
// An entry lies in a block (block.go) of a list (list.go) in the arena
// (arena.go), or inside the record (record.go).
type shard struct {
	mu sync.Mutex // guards all below
	t  *Table

	rng   rng
	recs  [][]byte // segments of records
	nrec  uint32
	index []uint32

	arena    arena
	dirs     []dir
	freeDirs []uint32

	// Sums over the records.
	n         [numLists]int
	active    int
	protected int
	pinned    int
	completed uint64

	expired, evictedPeers, evictedSwarms, refused uint64

	sweep  cursor
	recent [recentMax]uint64 // who completed last, a ring: see complete
	last   int

	_ [64]byte // keeps the next shard's lock out of this one's cache line
}

const recentMax = 128

// announce is a request on its way through a shard.
type announce struct {
	req  *Request
	rep  *Reply
	hash uint64 // of the info-hash
	id   uint64 // hash of the identity
	sec  uint32
	now  uint16 // stamp
	six  int    // 0, or listSix
	mem  [spate.CompactLen6]byte
	size int // of the address in mem, in wire form; 0: not usable

	self place // where the entry of the announcer is
}

// place is a position in a list; list < 0: nowhere.
type place struct{ list, bucket, at int }

func (a *announce) setAddr(ap netip.AddrPort) {
	ip := ap.Addr().Unmap()
	switch {
	case ap.Port() == 0 || !ip.IsValid():
		return
	case ip.Is4():
		v := ip.As4()
		a.size = copy(a.mem[:], v[:]) + 2
	default:
		v := ip.As16()
		a.size = copy(a.mem[:], v[:]) + 2
		a.six = listSix
	}
	binary.BigEndian.PutUint16(a.mem[a.size-2:], ap.Port())
}

// addr is the address in wire form; empty where it is not usable. It is not kept
// as a slice in a, which would move that to the heap.
func (a *announce) addr() []byte { return a.mem[:a.size] }

func (a *announce) tag() uint16 { return uint16(a.id) & metaTag }

// role is the list where the announcer belongs.
func (a *announce) role() int {
	if a.req.Seed {
		return a.six | listSeed
	}
	return a.six
}

func (s *shard) announce(a *announce) error {
	ri, ok := s.lookup(&a.req.InfoHash, a.hash)
	if ok {
		s.refresh(ri, a.now)
	}
	var err error
	switch {
	case a.size == 0:
		err = ErrAddr
	case ok && s.t.pinSet(s.record(ri)).has(a.addr()):
		// One of our own: it is counted and given already.
	case a.req.Event == tracker.EventStopped:
		if ok {
			s.stop(ri, a)
		}
	default:
		ri, ok, err = s.upsert(ri, ok, a)
	}
	if err == ErrFull {
		s.refused++
	}
	if !ok {
		s.answerNone(a)
		return err
	}
	rec := s.record(ri)
	rec.setTouched(a.sec)
	s.answer(rec, a)
	if rec.forgettable() {
		s.forget(ri)
	}
	return err
}

// seek finds the announcer in both lists of its family. Without it, it tells how
// many other entries its host has, and the oldest of those.
func (s *shard) seek(rec record, a *announce) (p place, same int, oldest place) {
	oldest.list = -1
	most := -1
	for _, list := range [2]int{a.role(), a.role() ^ listSeed} {
		if rec.n(list) == 0 {
			continue
		}
		bucket := s.bucketOf(rec, list, a.addr())
		b := s.block(rec, list, bucket)
		at, n, old := b.find(a.addr(), a.now)
		if at >= 0 {
			return place{list, bucket, at}, 0, oldest
		}
		same += n
		if old >= 0 && age(a.now, b.stamp(old)) > most {
			most, oldest = age(a.now, b.stamp(old)), place{list, bucket, old}
		}
	}
	return place{list: -1}, same, oldest
}

// stop takes the announcer out, if it is who made the entry.
func (s *shard) stop(ri uint32, a *announce) {
	rec := s.record(ri)
	p, _, _ := s.seek(rec, a)
	if p.list < 0 {
		return
	}
	if b := s.block(rec, p.list, p.bucket); b.meta(p.at)&metaTag != a.tag() {
		return
	}
	s.removeAt(ri, p.list, p.bucket, p.at)
	a.rep.Removed = true
}

// upsert makes or renews the entry of the announcer. The record may change its
// number, or come into being.
func (s *shard) upsert(ri uint32, ok bool, a *announce) (uint32, bool, error) {
	if !ok {
		if !s.roomForSwarm(a.sec, false) {
			return 0, false, ErrFull
		}
		ri = s.create(&a.req.InfoHash, a.hash)
	}
	rec := s.record(ri)
	p, same, oldest := s.seek(rec, a)
	if p.list >= 0 {
		if b := s.block(rec, p.list, p.bucket); !s.stale(a.now, b.stamp(p.at)) {
			s.renew(ri, p, a)
			return ri, true, nil
		}
		s.removeAt(ri, p.list, p.bucket, p.at)
		s.expired++
	}
	if same >= s.t.opt.MaxPerAddr && oldest.list >= 0 && !isLoopback(a.addr()) {
		s.removeAt(ri, oldest.list, oldest.bucket, oldest.at)
		s.evictedPeers++
	}
	ri, room := s.roomForPeer(ri, a)
	if !room {
		return ri, true, ErrFull
	}
	meta := a.tag()
	if a.req.Seed && a.req.Event == tracker.EventCompleted {
		s.complete(s.record(ri), a)
		meta |= metaCounted
	}
	s.add(ri, a, meta)
	a.rep.New = true
	return ri, true, nil
}

// add inserts the announcer where it belongs.
func (s *shard) add(ri uint32, a *announce, meta uint16) {
	list := a.role()
	a.self.bucket, a.self.at = s.insert(ri, list, a.addr(), a.now, a.now, meta)
	a.self.list = list
}

// renew touches the entry at p, and moves it to the other list if its role has
// changed. An entry keeps its maker until that one has missed its announces, so
// that a stranger with the same address cannot take it over and stop it.
func (s *shard) renew(ri uint32, p place, a *announce) {
	rec := s.record(ri)
	b := s.block(rec, p.list, p.bucket)
	meta := b.meta(p.at)
	if meta&metaTag != a.tag() && age(a.now, b.stamp(p.at)) > s.t.adopt {
		meta = a.tag()
	}
	wasSeed := p.list&listSeed != 0
	a.rep.Moved = a.req.Seed && !wasSeed
	if a.req.Seed && meta&metaCounted == 0 && (!wasSeed || a.req.Event == tracker.EventCompleted) {
		s.complete(rec, a)
		meta |= metaCounted
	}
	if wasSeed == a.req.Seed {
		b.setStamp(p.at, a.now)
		b.setMeta(p.at, meta)
		a.self = p
		return
	}
	s.removeAt(ri, p.list, p.bucket, p.at)
	s.add(ri, a, meta)
}

// complete counts a completion, unless the same identity was counted of late: a
// peer on both address families, or one that stops and says it again.
func (s *shard) complete(rec record, a *announce) {
	who := a.id ^ a.hash
	for _, h := range s.recent {
		if h == who {
			return
		}
	}
	s.remember(who)
	if n := rec.completed(); n < 1<<32-1 {
		rec.setCompleted(n + 1)
		s.completed++
		a.rep.Counted = true
		if s.t.store != nil {
			s.t.store.note(rec.hash(), n+1, a)
		}
	}
}

// remember notes that a completion was counted for who, of late.
func (s *shard) remember(who uint64) {
	s.recent[s.last%recentMax] = who
	s.last++
}

// answer fills in the reply of a swarm that is known.
func (s *shard) answer(rec record, a *announce) {
	pins := s.t.pinSet(rec)
	rep := a.rep
	rep.Seeders = uint32(rec.seeds() + pins.seeds())
	rep.Leechers = uint32(rec.leechers())
	rep.Completed = rec.completed()
	if a.req.Event != tracker.EventStopped {
		s.sample(rec, pins, a)
	}
	s.interval(rep, a.req.Seed)
}

// answerNone fills in the reply of a swarm that is not known.
func (s *shard) answerNone(a *announce) { s.interval(a.rep, a.req.Seed) }

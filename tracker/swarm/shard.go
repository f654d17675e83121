package swarm

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"spate"
	"spate/tracker"
)

// shard is a part of the table with its own lock. An announce takes these steps:
//
//  1. Table.Announce chooses the shard by the keyed hash of the info-hash, and locks it.
//  2. lookup finds the record of the swarm (index.go).
//  3. refresh removes expired entries (expire.go).
//  4. upsert finds the entry by its address and updates it, moves it between the lists of
//     leechers and seeds, or creates it, if needed in place of another one (evict.go).
//  5. answer sets the counts, the sample (sample.go) and the intervals (interval.go) of the
//     reply.
//
// An entry is stored in a block (block.go) of a list (peerlist.go) in the arena (arena.go),
// or inside the record (record.go).
type shard struct {
	mu sync.Mutex // guards all fields below
	t  *Table

	rng   rng
	recs  [][]byte // segments with records
	nrec  uint32
	index []uint32

	arena    arena
	dirs     []dir
	freeDirs []uint32

	// Totals over the records.
	n         [numLists]int
	active    int
	protected int
	pinned    int
	completed uint64

	expired, evictedPeers, evictedSwarms, refused uint64

	sweep  cursor
	recent [recentMax]uint64 // ring of the peers that completed last, see complete
	last   int

	peersSeen recentPeers
	marked    [2]int // numbers of entries of leechers and of seeds with metaSecond
	sockets   [2]int // numbers of leechers and of seeds without an address

	_ [64]byte // keeps the lock of the next shard out of this cache line
}

const recentMax = 128

// announce is the state of a request while a shard processes it.
type announce struct {
	req  *Request
	rep  *Reply
	hash uint64 // hash of the info-hash
	id   uint64 // hash of the identity
	sec  uint32
	now  uint16 // current stamp
	six  int    // 0 or listSix
	mem  [spate.CompactLen6]byte
	size int // length of the compact address in mem; 0 if it is unusable

	self position    // position of the entry of the announcing peer
	seen *recentPeer // what is remembered of the announcing peer; nil for its second family
}

// position is a position in a list. If list is negative there is none.
type position struct{ list, bucket, at int }

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

// addr returns the compact address, which is empty if it is unusable. a does not store
// it as a slice, because that would move a to the heap.
func (a *announce) addr() []byte { return a.mem[:a.size] }

func (a *announce) tag() uint16 { return uint16(a.id) & metaTag }

// role returns the list to which the announcing peer belongs.
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
		// A pinned origin is already counted and in every reply.
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

// find finds the entry of the announcing peer in both lists of its address family. If
// there is none, it returns the number of other entries of its host and the oldest of
// them.
func (s *shard) find(rec record, a *announce) (p position, same int, oldest position) {
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
			return position{list, bucket, at}, 0, oldest
		}
		same += n
		if old >= 0 && age(a.now, b.stamp(old)) > most {
			most, oldest = age(a.now, b.stamp(old)), position{list, bucket, old}
		}
	}
	return position{list: -1}, same, oldest
}

// stop removes the announcing peer if its identity matches that of the entry.
func (s *shard) stop(ri uint32, a *announce) {
	rec := s.record(ri)
	p, _, _ := s.find(rec, a)
	if p.list < 0 {
		return
	}
	if b := s.block(rec, p.list, p.bucket); b.meta(p.at)&metaTag != a.tag() {
		return
	}
	s.removeAt(ri, p.list, p.bucket, p.at)
	s.left(a)
	a.rep.Removed = true
}

// upsert creates or updates the entry of the announcing peer. The record may be created
// or get another number.
func (s *shard) upsert(ri uint32, ok bool, a *announce) (uint32, bool, error) {
	if !ok {
		if !s.reserveSwarm(a.sec, false) {
			return 0, false, ErrFull
		}
		ri = s.create(&a.req.InfoHash, a.hash)
	}
	rec := s.record(ri)
	p, same, oldest := s.find(rec, a)
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
	ri, ok = s.reservePeer(ri, a)
	if !ok {
		return ri, true, ErrFull
	}
	meta := a.tag()
	if a.req.Seed && a.req.Event == tracker.EventCompleted {
		s.complete(s.record(ri), a)
		meta |= metaCounted
	}
	if s.second(a) {
		meta |= metaSecond
	}
	s.add(ri, a, meta)
	s.record(ri).setJoined(minuteOf(a.sec))
	a.rep.New = true
	return ri, true, nil
}

// add inserts an entry for the announcing peer.
func (s *shard) add(ri uint32, a *announce, meta uint16) {
	list := a.role()
	a.self.bucket, a.self.at = s.insert(ri, list, a.addr(), a.now, a.now, meta)
	a.self.list = list
}

// renew updates the entry at p, and moves it to the other list if the role has changed.
// The entry keeps its identity until that peer has missed its announces, so that
// another peer with the same address cannot take over the entry and stop it.
func (s *shard) renew(ri uint32, p position, a *announce) {
	rec := s.record(ri)
	b := s.block(rec, p.list, p.bucket)
	meta := b.meta(p.at)
	was := meta
	if meta&metaTag != a.tag() && age(a.now, b.stamp(p.at)) > s.t.adopt {
		meta = a.tag()
	}
	if meta&metaTag == a.tag() {
		meta &^= metaSecond
		if s.second(a) {
			meta |= metaSecond
		}
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
		s.countSecond(rec, p.list, was, -1)
		s.countSecond(rec, p.list, meta, +1)
		a.self = p
		return
	}
	s.removeAt(ri, p.list, p.bucket, p.at)
	s.add(ri, a, meta)
}

// complete counts a completion, unless one was counted recently for the same identity.
// This is the case for a peer that announces over both address families, or stops and
// completes again.
func (s *shard) complete(rec record, a *announce) {
	identity := a.id ^ a.hash
	for _, h := range s.recent {
		if h == identity {
			return
		}
	}
	s.remember(identity)
	if n := rec.completed(); n < 1<<32-1 {
		rec.setCompleted(n + 1)
		s.completed++
		a.rep.Counted = true
		if s.t.dir != nil {
			s.t.dir.append(rec.hash(), n+1, a)
		}
	}
}

// remember records that a completion of identity was counted.
func (s *shard) remember(identity uint64) {
	s.recent[s.last%recentMax] = identity
	s.last++
}

// answer sets the reply for a known swarm.
func (s *shard) answer(rec record, a *announce) {
	pins := s.t.pinSet(rec)
	rep := a.rep
	rep.Seeders = uint32(rec.seeds() + pins.seeds())
	rep.Leechers = uint32(rec.leechers())
	rep.Completed = rec.completed()
	if a.req.Event != tracker.EventStopped {
		s.sample(rec, pins, a)
	}
	if a.req.Blocked {
		rec.set(flagBlocked)
		rec.setBlocked(minuteOf(a.sec))
	}
	c := s.crowdOf(rec, a)
	s.tell(a, &c)
	if early := s.t.expire - s.t.pace.lifetime(inSeconds(rep.Interval))/stampUnit; early > 0 && a.self.list >= 0 {
		b := s.block(rec, a.self.list, a.self.bucket)
		b.setStamp(a.self.at, a.now-uint16(early))
		if a.seen != nil {
			a.seen.stamp = a.now - uint16(early)
		}
	}
}

// answerNone sets the reply for an unknown swarm.
func (s *shard) answerNone(a *announce) {
	s.tell(a, &crowd{blocked: a.req.Blocked, all: int(s.t.peers.Load())})
}

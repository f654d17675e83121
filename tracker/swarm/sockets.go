package swarm

import (
	"time"

	"spate"
)

// Sockets are the peers of a swarm that have no address that others could connect to: browsers,
// which the tracker reaches over WebSocket. The tracker knows them one by one, and the store
// counts them.
type Sockets struct {
	InfoHash spate.InfoHash
	// Seeders and Leechers are the numbers of all such peers of the swarm, after the announce
	// that changed them.
	Seeders, Leechers uint32
	// PeerID is the peer that announces. Seed means that it has nothing left to download, and
	// Completed that it reports a completed download, which is counted once for a while.
	PeerID          spate.PeerID
	Seed, Completed bool
}

// CountSockets sets the numbers of peers of a swarm that have no address, and counts a completed
// download. It creates the swarm if needed. It locks one shard, and allocates nothing. The error
// is [ErrFull]; rep is valid with it. See [Store].
func (t *Table) CountSockets(now time.Time, r *Sockets, rep *Reply) error {
	*rep = Reply{Peers4: rep.Peers4[:0], Peers6: rep.Peers6[:0]}
	req := Request{InfoHash: r.InfoHash, PeerID: r.PeerID, Seed: r.Seed}
	a := announce{req: &req, rep: rep, id: t.ident.Load().identity(&req), sec: t.seconds(now), self: position{list: -1}}
	a.now = stampOf(a.sec)
	s, h := t.shard(&r.InfoHash)
	a.hash = h
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.countSockets(&a, r)
}

func (s *shard) countSockets(a *announce, r *Sockets) (err error) {
	ri, ok := s.lookup(&r.InfoHash, a.hash)
	switch {
	case ok:
		s.refresh(ri, a.now)
	case r.Seeders == 0 && r.Leechers == 0 && !r.Completed:
	case s.reserveSwarm(a.sec, false):
		ri, ok = s.create(&r.InfoHash, a.hash), true
	default:
		s.refused++
		err = ErrFull
	}
	if !ok {
		s.answerNone(a)
		return err
	}
	rec := s.record(ri)
	if int(r.Seeders+r.Leechers) > rec.sockets(0)+rec.sockets(listSeed) {
		rec.setJoined(minuteOf(a.sec))
	}
	s.setSockets(rec, r.Seeders, r.Leechers)
	if r.Completed {
		s.complete(rec, a)
	}
	rec.setTouched(a.sec)
	s.answer(rec, a)
	if rec.forgettable() {
		s.forget(ri)
	}
	return nil
}

// setSockets sets the numbers of peers without an address of a record, and updates the totals.
func (s *shard) setSockets(rec record, seeders, leechers uint32) {
	was := rec.idle()
	s.sockets[listSeed] += int(seeders) - rec.sockets(listSeed)
	s.sockets[0] += int(leechers) - rec.sockets(0)
	rec.setSockets(listSeed, seeders)
	rec.setSockets(0, leechers)
	switch is := rec.idle(); {
	case was && !is:
		s.active++
	case is && !was:
		s.active--
	}
}

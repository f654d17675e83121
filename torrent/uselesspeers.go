package torrent

import (
	"net/netip"
	"time"

	"spate/torrent/internal/peerlist"
)

// A peer keeps its connection, once another peer needs its place, only while it is of
// use. Addresses whose peers were dropped for that are shunned: for some time their peers
// get only places that are free.

// Times and numbers that decide whether a connection is of use.
const (
	silentAfter = 3 * time.Second  // without a message after the handshake
	deafAfter   = 20 * time.Second // in one write
	uselessFor  = time.Minute      // without interest on either side
	shyAfter    = 2 * time.Second  // without interest in a seed
	maxFlaps    = 8                // times that interest ended without a request, before the place is needed
	mostFlaps   = 1000             // times that interest ended without a request, before the connection is ended
	firstShun   = time.Minute      // doubled each further time
	maxShun     = 32 * time.Minute
	maxShunned  = 4096 // addresses
)

// shunned is the state of an address whose peers did not use their connections.
type shunned struct {
	until time.Time
	times int
}

// makeRoomLocked drops one peer for a newcomer at the address from: the useless peer that
// connected first, or else a peer of a network that has many. A peer whose address was
// shunned before makes room for a newcomer whose address was not, even before it has had
// time to be useful. It reports whether it dropped a peer.
func (t *Torrent) makeRoomLocked(now time.Time, from netip.AddrPort) bool {
	var worst *conn
	stranger := t.s.timesShunned(from) == 0
	for _, c := range t.conns {
		if c != nil && !c.gone && !c.closing.Load() && (c.uselessLocked(now) || stranger && c.againLocked()) &&
			(worst == nil || c.since.Before(worst.since)) {
			worst = c
		}
	}
	if worst == nil {
		return t.thinOutLocked(now, from)
	}
	if t.state == StateSeeding || worst.peerInterested || !worst.spoke {
		t.s.shun(worst.addr, now)
	}
	worst.dropLocked(errUseless)
	t.s.room.madeRoom.Add(1)
	return true
}

// uselessLocked reports whether the peer had time to give or take data and did neither.
func (c *conn) uselessLocked(now time.Time) bool {
	age, seeding := now.Sub(c.since), c.t.state == StateSeeding
	switch nothing := c.sent.Load() == 0 && c.received.Load() == 0; {
	case !c.spoke:
		return age > silentAfter
	case c.writing && now.Sub(c.lastWrite) > deafAfter, c.flaps > maxFlaps:
		return true
	case c.idle && c.sent.Load() < maxProof && c.received.Load() == 0, nothing && !c.amChoking && !c.asked && now.Sub(c.unchokedAt) > spareAfter:
		return true
	case !c.amInterested && !c.peerInterested:
		return age > uselessFor || seeding && age > shyAfter
	}
	return false
}

// againLocked reports whether the peer's address was shunned before it connected, and it
// has given and taken nothing since.
func (c *conn) againLocked() bool {
	return c.sent.Load() == 0 && c.received.Load() == 0 && c.returned
}

// shun notes that a peer was dropped because it did not use its connection.
func (s *Session) shun(a netip.AddrPort, now time.Time) {
	if !a.IsValid() || a.Addr().IsLoopback() {
		return // many peers share it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := peerlist.Host(a)
	was, known := s.shunned[key]
	if !known && len(s.shunned) >= maxShunned {
		for k, v := range s.shunned {
			if now.After(v.until) || len(s.shunned) >= maxShunned {
				delete(s.shunned, k)
			}
		}
	}
	if s.shunned == nil {
		s.shunned = map[netip.Addr]shunned{}
	}
	s.shunned[key] = shunned{now.Add(min(maxShun, firstShun<<min(was.times, 10))), was.times + 1}
}

// timesShunned returns how many times peers of the address were shunned.
func (s *Session) timesShunned(a netip.AddrPort) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shunned[peerlist.Host(a)].times
}

// isShunned reports whether a peer at the address may not take the place of another.
func (s *Session) isShunned(a netip.AddrPort, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.shunned[peerlist.Host(a)]
	return ok && now.Before(v.until)
}

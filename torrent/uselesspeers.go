package torrent

import (
	"net/netip"
	"time"

	"spate/torrent/internal/peerlist"
)

// When no connection slot is free for a new peer, the connection of a useless peer is
// closed. The session remembers the addresses of such peers. For some time, new peers at
// these addresses get a slot only if one is free.

// Times and numbers that decide whether a peer is useless.
const (
	silentAfter           = 3 * time.Second  // how long a peer may send no message after the handshake
	blockedAfter          = 20 * time.Second // how long one write may take
	noInterestAfter       = time.Minute      // how long neither side may be interested
	noInterestInSeedAfter = 2 * time.Second  // how long a peer may not be interested in a seed
	uselessFlips          = 8                // most times that a peer's interest may end without a request until it is useless
	maxFlips              = 1000             // most times that a peer's interest may end without a request until its connection is closed
	firstUselessFor       = time.Minute      // how long an address is remembered; doubled each further time
	maxUselessFor         = 32 * time.Minute
	maxUselessAddrs       = 4096
	turnedAwayFor         = time.Minute // how long an address is remembered whose peer found no slot
	// keptShare is the part of the connection slots of a torrent whose useless peers are dropped
	// only for peers at addresses that were not turned away lately: one in this many.
	keptShare = 20
)

// uselessAddr records that peers at an address were dropped as useless.
type uselessAddr struct {
	until time.Time // when new peers at the address are treated like others again
	times int       // how many peers were dropped
}

// dropForLocked drops one peer to give its slot to a new peer at the address from: the
// useless peer that connected first, or else a peer of a network that has many slots. If no
// peer at the new address was ever useless, peers at addresses that were useless before
// count as useless at once. It reports whether it dropped a peer.
func (t *Torrent) dropForLocked(now time.Time, from netip.AddrPort) bool {
	var worst *conn
	useless := 0
	stranger := t.s.timesUseless(from) == 0
	for _, c := range t.peerConns.byID {
		if c == nil || c.end.gone || c.closing.Load() || !c.uselessLocked(now) && !(stranger && c.uselessAgainLocked()) {
			continue
		}
		useless++
		if worst == nil || c.peer.since.Before(worst.peer.since) {
			worst = c
		}
	}
	switch {
	case worst == nil:
		return t.dropForNetworkLocked(now, from)
	case useless <= t.s.opt.MaxConnsPerTorrent/keptShare && t.s.turnedAwayLately(from, now):
		return false
	}
	if t.status.state == StateSeeding || worst.wire.peerInterested || !worst.wire.gotMessage {
		t.s.rememberUseless(worst.peer.source(), now)
	}
	worst.dropLocked(errUseless)
	t.s.connSlots.evicted.Add(1)
	return true
}

// uselessLocked reports whether the peer had time to give or take data and did neither.
func (c *conn) uselessLocked(now time.Time) bool {
	age, seeding := now.Sub(c.peer.since), c.t.status.state == StateSeeding
	switch nothing := c.sent.Load() == 0 && c.received.Load() == 0; {
	case !c.wire.gotMessage:
		return age > silentAfter
	case c.tx.writing && now.Sub(c.tx.lastWrite) > blockedAfter, c.slot.flips > uselessFlips:
		return true
	case seeding && (c.slot.stopped || !c.wire.amChoking && c.stopsLocked(now, uselessStop)):
		return true
	case c.slot.idle && c.sent.Load() < provingBytes && c.received.Load() == 0,
		nothing && !c.wire.amChoking && !c.slot.requested && now.Sub(c.tx.unchokedAt) > spareAfter:
		return true
	case !c.wire.amInterested && !c.wire.peerInterested && seeding && !c.doubtfulLocked():
		return age > noInterestAfter && now.Sub(c.slot.arrivedAt) > noInterestAfter // it may wait until it is shown a piece
	case !c.wire.amInterested && !c.wire.peerInterested:
		return age > noInterestAfter || seeding && age > noInterestInSeedAfter
	}
	return false
}

// uselessAgainLocked reports whether the peer's address was useless before it connected,
// and the peer has given and taken nothing since.
func (c *conn) uselessAgainLocked() bool {
	return c.sent.Load() == 0 && c.received.Load() == 0 && c.slot.knownUseless
}

// rememberUseless records that a peer was dropped because it did not use its connection.
func (s *Session) rememberUseless(a netip.AddrPort, now time.Time) {
	if !a.IsValid() || a.Addr().IsLoopback() {
		return // many peers share such an address
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := peerlist.Host(a)
	was, known := s.uselessAddrs[key]
	if !known && len(s.uselessAddrs) >= maxUselessAddrs {
		for k, v := range s.uselessAddrs {
			if now.After(v.until) || len(s.uselessAddrs) >= maxUselessAddrs {
				delete(s.uselessAddrs, k)
			}
		}
	}
	if s.uselessAddrs == nil {
		s.uselessAddrs = map[netip.Addr]uselessAddr{}
	}
	s.uselessAddrs[key] = uselessAddr{now.Add(min(maxUselessFor, firstUselessFor<<min(was.times, 10))), was.times + 1}
}

// turnAway records that a peer at an address found no connection slot.
func (s *Session) turnAway(a netip.AddrPort, now time.Time) {
	s.connSlots.refused.Add(1)
	if !a.IsValid() || a.Addr().IsLoopback() {
		return // many peers share such an address
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.turnedAway) >= maxUselessAddrs {
		for k := range s.turnedAway { // any one
			delete(s.turnedAway, k)
			break
		}
	}
	if s.turnedAway == nil {
		s.turnedAway = map[netip.Addr]time.Time{}
	}
	s.turnedAway[peerlist.Host(a)] = now
}

// turnedAwayLately reports whether a peer at the address found no connection slot lately.
func (s *Session) turnedAwayLately(a netip.AddrPort, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.turnedAway[peerlist.Host(a)]
	return ok && now.Sub(at) < turnedAwayFor
}

// timesUseless returns how many times peers at the address were dropped as useless.
func (s *Session) timesUseless(a netip.AddrPort) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uselessAddrs[peerlist.Host(a)].times
}

// mayReplace reports whether a peer at the address may get the connection slot of another
// peer.
func (s *Session) mayReplace(a netip.AddrPort, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.uselessAddrs[peerlist.Host(a)]
	return !ok || !now.Before(v.until)
}

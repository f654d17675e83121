package torrent

import (
	"net/netip"
	"slices"
	"time"

	"spate/torrent/internal/peerlist"
)

// Places are few, and whoever wants to can take one. So a peer keeps its slot for
// uploads only while it takes something, and its place among the connections, once
// somebody else wants it, only while it is of any use. Those that were sent away
// for that come in again only where there is room.
const (
	lazyAfter   = 4 * time.Second  // without a request after an unchoke
	restAfter   = 4 * time.Second  // without a request after a block
	stuckAfter  = 4 * time.Second  // in which a write was not taken
	deafAfter   = 20 * time.Second // stuck for so long: its place is needed
	answerWait  = time.Second      // for the first request after an unchoke
	stallWait   = 2 * time.Second  // in which nothing arrived at the peer
	maxFresh    = 8                // peers that are tried at once while a torrent is full
	lazyFor     = 15 * time.Second // until a peer that did not ask is unchoked again
	silentAfter = 3 * time.Second  // without a word after the handshake
	uselessFor  = time.Minute      // nobody is interested
	shyAfter    = 2 * time.Second  // not interested in a seed
	maxFlaps    = 8                // of interest that nothing came of: its place is needed
	mostFlaps   = 1000             // no honest peer does that
	firstShun   = time.Minute      // doubled by each further time
	maxShun     = 32 * time.Minute
	maxShunned  = 4096
)

// shunned is somebody that was sent away.
type shunned struct {
	until time.Time
	times int
}

// judgeLocked decides about once a second whether the peer takes what it is
// offered. It reports whether a slot has become free by that.
func (c *conn) judgeLocked(now time.Time) bool {
	was := c.idle
	unacked := 0
	if c.unacked != nil && (c.writing || !c.amChoking) {
		unacked = c.unacked()
	}
	if sent := c.sent.Load(); sent != c.sentSeen || unacked != c.unackedSeen || c.limited.Load() {
		c.sentSeen, c.unackedSeen, c.tookAt = sent, unacked, now
	}
	switch {
	case c.writing && now.Sub(c.lastWrite) > stuckAfter:
		c.idle = true
	case c.t.state != StateSeeding && c.amChoking:
		c.idle = c.idle && !c.asked && now.Sub(c.unchokedAt) < time.Minute
	case c.t.state != StateSeeding:
		c.idle = !c.asked && now.Sub(c.unchokedAt) > lazyAfter
	case c.amChoking:
		c.idle = c.idle && c.sent.Load() == c.sentThen && now.Sub(c.unchokedAt) < lazyFor
	case c.writing || len(c.uploads) > 0:
		c.idle = c.idle && c.sent.Load() == c.sentThen
	default:
		c.idle = !c.asked && now.Sub(c.unchokedAt) > lazyAfter ||
			c.asked && now.Sub(c.unchokedAt) > restAfter && now.Sub(c.tookAt) > restAfter
	}
	c.proven = c.proven && !c.idle
	return c.idle && !was && !c.amChoking
}

// proveLocked notes that the peer takes what it asks for, once it has taken as much
// as a piece.
func (c *conn) proveLocked() {
	if !c.idle && !c.amChoking && c.sent.Load()-c.sentThen >= min(c.t.info.PieceLength, maxProof) {
		c.proven = true
	}
}

// maxProof bounds how many bytes a peer has to take.
const maxProof = 1 << 20

// wantsLocked reports whether the peer would take data from us.
func (c *conn) wantsLocked() bool { return !c.idle && c.servedLocked() && c.peerInterested }

// hesitatesLocked reports whether the peer was unchoked and did not ask at once, or
// after many were unchoked has taken nothing: it does not keep a slot before those
// who did.
func (c *conn) hesitatesLocked(now time.Time) bool {
	if c.amChoking {
		return false
	}
	return !c.asked && now.Sub(c.unchokedAt) > spareAfter || c.t.spared && c.sent.Load() == c.sentThen
}

// dawdlesLocked reports whether the peer is unchoked and interested and only slow to
// ask, as one is that still gets ready to download.
func (c *conn) dawdlesLocked() bool {
	return c.idle && !c.amChoking && c.peerInterested && !c.writing && c.servedLocked()
}

// What makes more peers be unchoked than there are slots.
const (
	spareAfter = 2 * time.Second // in which nobody took anything
	maxSpare   = 64
)

// spareSlotsLocked unchokes more peers from second to second while nobody takes
// anything for longer than a moment: that costs the others nothing, and peers that
// mean it do not wait for a slot behind peers that do not.
func (t *Torrent) spareSlotsLocked(now time.Time) {
	moved, steady := t.takenLocked(now)
	wait, growth := spareAfter, 2
	if t.state == StateSeeding && !moved {
		wait, growth = answerWait, 4
	}
	if steady || t.gaveAt.IsZero() {
		t.gaveAt, t.spare = now, 0
		return
	}
	if now.Sub(t.gaveAt) < wait {
		return
	}
	if !t.freeSlotLocked(now) {
		t.spare, t.spared = min(maxSpare, max(1, t.spare)*growth), true
	}
	t.fillSlotsLocked(now)
}

// takenLocked reports whether any peer has taken data in the last second, and
// whether it is likely to go on: because it has done so for some time, because we
// download ourselves and choose by what peers give us, or because data waits for
// an upload limit.
func (t *Torrent) takenLocked(now time.Time) (moved, steady bool) {
	n := t.uploaded.Load()
	moved = n != t.gave
	t.gave = n
	steady = moved && t.state != StateSeeding || !t.servesLocked()
	for _, c := range t.conns {
		switch {
		case c == nil:
		case c.limited.Load():
			return true, true
		case !c.amChoking && c.tookAt.Equal(now):
			moved = true
			steady = steady || now.Sub(c.unchokedAt) > spareAfter
		}
	}
	return moved, steady
}

// servesLocked reports whether any peer is unchoked.
func (t *Torrent) servesLocked() bool {
	return slices.ContainsFunc(t.conns, func(c *conn) bool { return c != nil && !c.amChoking })
}

// quietLocked reports whether peers were unchoked some time ago and none of them
// has taken anything: one more costs nothing.
func (t *Torrent) quietLocked(now time.Time) bool {
	return t.state == StateSeeding && t.uploaded.Load() == t.gave && !t.gaveAt.IsZero() && now.Sub(t.gaveAt) >= answerWait
}

// makeRoomLocked drops the peer that has been useless to both sides for longest, if
// there is one.
// A peer that was sent away before makes room for one at the address from even
// before it had time to be useful.
func (t *Torrent) makeRoomLocked(from netip.AddrPort, now time.Time) bool {
	var worst *conn
	stranger := t.s.timesShunned(from) == 0
	for _, c := range t.conns {
		if c != nil && !c.gone && !c.closing.Load() && (c.uselessLocked(now) || stranger && c.againLocked()) &&
			(worst == nil || c.since.Before(worst.since)) {
			worst = c
		}
	}
	if worst == nil {
		return false
	}
	if t.state == StateSeeding || worst.peerInterested || !worst.spoke {
		t.s.shun(worst.addr, now)
	}
	worst.dropLocked(errUseless)
	return true
}

// uselessLocked reports whether the peer has had time to give or to take something
// and did not.
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

// againLocked reports whether the peer was sent away before it came and has been of
// no use since.
func (c *conn) againLocked() bool {
	return c.sent.Load() == 0 && c.received.Load() == 0 && c.returned
}

// shun notes that a peer was sent away for taking a place in vain.
func (s *Session) shun(a netip.AddrPort, now time.Time) {
	if a.Addr().IsLoopback() {
		return // many share it
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

// timesShunned returns how many times the peers of that address were sent away.
func (s *Session) timesShunned(a netip.AddrPort) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shunned[peerlist.Host(a)].times
}

// isShunned reports whether the peer may not take the place of another.
func (s *Session) isShunned(a netip.AddrPort, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.shunned[peerlist.Host(a)]
	return ok && now.Before(v.until)
}

// maxGreetings bounds the connections whose handshake has not come. Beyond it the
// oldest goes: who means it is done within a moment.
const maxGreetings = 200

// greetings are the incoming connections of which nothing is known yet, oldest
// first; guarded by Session.mu.
type greetings struct {
	waiting []*greeting
}

// greeting is one of them.
type greeting struct{ close func() error }

// beginGreeting enters a connection, and closes the oldest if they are too many.
func (s *Session) beginGreeting(close func() error) *greeting {
	g := &greeting{close}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.greetings.waiting; len(w) >= maxGreetings {
		w[0].close()
		s.greetings.waiting = w[1:]
	}
	s.greetings.waiting = append(s.greetings.waiting, g)
	return g
}

func (s *Session) endGreeting(g *greeting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.greetings.waiting {
		if o == g {
			s.greetings.waiting = append(s.greetings.waiting[:i], s.greetings.waiting[i+1:]...)
			return
		}
	}
}

// enter takes a place for an incoming connection after its handshake, in place of
// a useless one if there is none left.
func (s *Session) enter(t *Torrent, from netip.AddrPort) bool {
	if s.reserve(false) {
		return true
	}
	now := time.Now()
	if t == nil || s.isShunned(from, now) {
		return false
	}
	t.mu.Lock()
	made := t.makeRoomLocked(from, now)
	t.mu.Unlock()
	if !made {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns++ // one too many until the other has left
	return !s.closed
}

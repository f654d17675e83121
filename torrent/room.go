package torrent

import (
	"net/netip"
	"time"

	"spate/torrent/internal/peerlist"
)

// Places are few, and whoever wants to can take one. So a peer keeps its slot for
// uploads only while it takes something, and its place among the connections, once
// somebody else wants it, only while it is of any use. Those that were sent away
// for that come in again only where there is room.
const (
	lazyAfter   = 4 * time.Second  // without a request after an unchoke
	stuckAfter  = 4 * time.Second  // in which a write was not taken
	deafAfter   = 20 * time.Second // stuck for so long: its place is needed
	lazyFor     = time.Minute      // until a peer that did not ask is unchoked again
	silentAfter = 5 * time.Second  // without a word after the handshake
	uselessFor  = time.Minute      // nobody is interested
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
	switch quiet := now.Sub(c.unchokedAt); {
	case c.writing && now.Sub(c.lastWrite) > stuckAfter:
		c.idle = true
	case c.amChoking:
		c.idle = c.idle && !c.asked && quiet < lazyFor
	default:
		c.idle = !c.asked && !c.super.on && quiet > lazyAfter
	}
	return c.idle && !was && !c.amChoking
}

// hesitatesLocked reports whether the peer was unchoked and did not ask at once, or
// after many were unchoked has taken nothing: it does not keep a slot before those
// who did.
func (c *conn) hesitatesLocked(now time.Time) bool {
	if c.amChoking || c.super.on {
		return false
	}
	return !c.asked && now.Sub(c.unchokedAt) > spareAfter || c.t.spared && c.sent.Load() == c.sentThen
}

// dawdlesLocked reports whether the peer is unchoked and interested and only slow to
// ask, as one is that still gets ready to download.
func (c *conn) dawdlesLocked() bool {
	return c.idle && !c.amChoking && c.peerInterested && !c.writing && c.servedLocked()
}

// Silences of our side of the line after which more peers are unchoked.
const (
	spareAfter   = 2 * time.Second
	spareLimited = 10 * time.Second // while a limit makes everybody wait
	maxSpare     = 64
)

// spareSlotsLocked unchokes more peers from second to second while nobody takes
// anything: to those who mean it that costs nothing, and they do not wait for a slot
// behind others who do not.
func (t *Torrent) spareSlotsLocked(now time.Time) {
	wait := spareAfter
	if t.up.Rate() > 0 || t.s.up.Rate() > 0 {
		wait = spareLimited
	}
	if n := t.uploaded.Load(); n != t.gave || t.gaveAt.IsZero() {
		t.gave, t.gaveAt, t.spare = n, now, 0
		return
	}
	if now.Sub(t.gaveAt) >= wait && !t.freeSlotLocked() {
		t.spare, t.spared = min(maxSpare, max(1, 2*t.spare)), true
		t.fillSlotsLocked(now)
	}
}

// makeRoomLocked lets go of a peer that is of no use to either side, or else of one of a
// network that has many, if there is one.
func (t *Torrent) makeRoomLocked(now time.Time, from netip.AddrPort) bool {
	for _, c := range t.conns {
		if c == nil || c.gone || c.closing.Load() {
			continue
		}
		switch age := now.Sub(c.since); {
		case !c.spoke && age > silentAfter,
			c.writing && now.Sub(c.lastWrite) > deafAfter,
			c.idle && c.sent.Load() == 0 && c.received.Load() == 0,
			c.flaps > maxFlaps:
			t.s.shun(c.addr, now)
		case !c.amInterested && !c.peerInterested && age > uselessFor:
		default:
			continue
		}
		c.dropLocked(errUseless)
		t.s.room.madeRoom.Add(1)
		return true
	}
	return t.thinOutLocked(now, from)
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

// isShunned reports whether the peer may not take the place of another.
func (s *Session) isShunned(a netip.AddrPort, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.shunned[peerlist.Host(a)]
	return ok && now.Before(v.until)
}

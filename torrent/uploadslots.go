package torrent

import (
	"slices"
	"time"
)

// Upload slots are for peers that use them. A peer counts as taking a slot only while
// data arrives at it, as its socket acknowledges it, so that silent, idle and stuck peers
// do not keep others waiting. The choker decides every ten seconds who is unchoked; the
// functions here unchoke peers in between. Torrent.mu guards all of it.

// Times and numbers that decide whether a peer uses its slot.
const (
	answerWait   = time.Second      // for the first request after an unchoke
	spareAfter   = 2 * time.Second  // without any peer taking data, before more are unchoked
	stallWait    = 2 * time.Second  // without data arriving, before a peer does not count
	lazyAfter    = 4 * time.Second  // without a request after an unchoke, before a peer is idle
	restAfter    = 4 * time.Second  // without a request after a block, before a peer is idle
	stuckAfter   = 4 * time.Second  // in one write, before a peer is idle
	lazyFor      = 15 * time.Second // before an idle peer is unchoked again by a seed
	leechLazyFor = time.Minute      // before an idle peer is unchoked again by a leecher
	maxSpare     = 64               // peers unchoked beyond the slots
	maxFresh     = 8                // peers tried at once in a full torrent
	maxProof     = 1 << 20          // bytes that a peer takes at most before it is proven
)

// judgeLocked decides, about once a second, whether the peer is idle. It reports
// whether the peer has become idle and so leaves a slot to another.
func (c *conn) judgeLocked(now time.Time) bool {
	was := c.idle
	unacked := 0
	if c.writing || !c.amChoking {
		unacked, _ = c.sock.Unacked()
	}
	if sent := c.sent.Load(); sent != c.sentSeen || unacked != c.unackedSeen || c.sock.WaitingUp() {
		c.sentSeen, c.unackedSeen, c.tookAt = sent, unacked, now
	}
	switch {
	case c.writing && now.Sub(c.lastWrite) > stuckAfter:
		c.idle = true
	case c.t.state != StateSeeding && c.amChoking:
		c.idle = c.idle && !c.asked && now.Sub(c.unchokedAt) < leechLazyFor
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

// proveLocked marks the peer as proven once it has taken as much as a piece.
func (c *conn) proveLocked() {
	if !c.idle && !c.amChoking && c.sent.Load()-c.sentThen >= min(c.t.info.PieceLength, maxProof) {
		c.proven = true
	}
}

// wantsLocked reports whether the peer is likely to take data from us.
func (c *conn) wantsLocked() bool { return !c.idle && c.mayServeLocked() && c.peerInterested }

// hesitatesLocked reports whether the peer was unchoked and did not ask soon, or took
// nothing while more peers than usual were unchoked. Such a peer loses its slot to one
// that takes data.
func (c *conn) hesitatesLocked(now time.Time) bool {
	if c.amChoking {
		return false
	}
	return !c.asked && now.Sub(c.unchokedAt) > spareAfter || c.t.spared && c.sent.Load() == c.sentThen
}

// dawdlesLocked reports whether the peer is unchoked and interested but slow to ask,
// for example because it is still getting ready to download.
func (c *conn) dawdlesLocked() bool {
	return c.idle && !c.amChoking && c.peerInterested && !c.writing && c.mayServeLocked()
}

// fillSlotsLocked unchokes waiting peers while slots are free, without waiting for the
// next decision: first the peers that give us most, then those that were never shunned,
// then those that have waited longest.
func (t *Torrent) fillSlotsLocked(now time.Time) {
	for t.freeSlotLocked(now) {
		var best *conn
		for _, c := range t.conns {
			if c == nil || c.gone || !c.amChoking || !c.wantsLocked() || c.snubbed {
				continue
			}
			if best == nil || c.beforeLocked(best) {
				best = c
			}
		}
		if best == nil {
			return
		}
		best.unchokeLocked(now)
		best.kickLocked()
	}
}

// beforeLocked reports whether the peer is unchoked before another.
func (c *conn) beforeLocked(o *conn) bool {
	switch {
	case c.downMeter.rate != o.downMeter.rate:
		return c.downMeter.rate > o.downMeter.rate
	case c.returned != o.returned:
		return o.returned
	}
	return c.waitsSinceLocked().Before(o.waitsSinceLocked())
}

// waitsSinceLocked returns when the peer was last unchoked, or when it connected.
func (c *conn) waitsSinceLocked() time.Time {
	if c.unchokedAt.After(c.since) {
		return c.unchokedAt
	}
	return c.since
}

// freeSlotLocked reports whether one more peer can be unchoked before the next
// decision. A slot is taken by a peer that has asked for something, or that was
// unchoked so recently that its request may be on the way. In a full torrent more
// peers are unchoked at once, to find out which of them take data.
func (t *Torrent) freeSlotLocked(now time.Time) bool {
	asked, fresh, unchoked, seeding := 0, 0, 0, t.state == StateSeeding
	for _, c := range t.conns {
		switch {
		case c == nil || c.amChoking:
			continue
		case !c.wantsLocked():
		case c.asked && now.Sub(c.tookAt) < stallWait, !seeding:
			asked++
		case c.asked && now.Sub(c.unchokedAt) < stallWait:
			asked++
		case now.Sub(c.unchokedAt) < answerWait:
			fresh++
		}
		unchoked++
	}
	slots := t.s.opt.UploadSlots + t.spare
	full := seeding && t.nconns >= t.s.opt.MaxConnsPerTorrent
	return asked+fresh < slots && unchoked < t.s.opt.UploadSlots+maxSpare ||
		full && asked < slots && fresh < maxFresh
}

// spareSlotsLocked unchokes more peers each second while no peer keeps taking data.
// That costs the unchoked peers nothing, and a peer that wants data does not wait for a
// slot behind peers that want none.
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

// takenLocked reports whether any peer took data in the last second, and whether that is
// likely to continue: because the peer has taken data for some time, because we are
// downloading and choose peers by what they give us, because data waits for an upload
// limit, or because no peer is unchoked yet.
func (t *Torrent) takenLocked(now time.Time) (moved, steady bool) {
	n := t.uploaded.Load()
	moved = n != t.gave
	t.gave = n
	steady = moved && t.state != StateSeeding || !t.servesLocked()
	for _, c := range t.conns {
		switch {
		case c == nil:
		case c.sock.WaitingUp():
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

// quietLocked reports whether peers were unchoked some time ago and none of them takes
// data, so that unchoking one more costs nothing.
func (t *Torrent) quietLocked(now time.Time) bool {
	return t.state == StateSeeding && t.uploaded.Load() == t.gave && !t.gaveAt.IsZero() && now.Sub(t.gaveAt) >= answerWait
}

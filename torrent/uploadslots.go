package torrent

import (
	"slices"
	"time"

	"spate/torrent/internal/choker"
)

// An upload slot counts as used only while the socket of the peer acknowledges data, so
// that silent, idle and stuck peers do not keep others waiting. The choker decides every
// ten seconds which peers are unchoked. The functions in this file unchoke peers between
// two decisions. Torrent.mu guards all of it.

// Times and numbers that decide whether a peer uses its slot.
const (
	requestWait   = time.Second      // how long the first request after an unchoke may take
	spareAfter    = 2 * time.Second  // time in which no peer takes data, after which more peers are unchoked
	stallWait     = 2 * time.Second  // time in which no data arrives at a peer, after which its slot counts as free
	noRequestWait = 4 * time.Second  // how long a peer may send no request after an unchoke until it is idle
	restAfter     = 4 * time.Second  // how long a peer may send no request after a block until it is idle
	stuckAfter    = 4 * time.Second  // how long one write may take until the peer is idle
	idleFor       = 15 * time.Second // how long a seed does not unchoke an idle peer
	leechIdleFor  = time.Minute      // how long a leecher does not unchoke an idle peer
	maxSpare      = 64               // most peers that are unchoked in addition to the slots
	maxTried      = 8                // most peers without a request that are unchoked at once in a full torrent
	provingBytes  = 1 << 20          // most bytes that a peer must take until it counts as using its slot
)

// slotUse records how a peer uses its upload slot.
type slotUse struct {
	inUse         bool      // the peer has taken a piece's length of data, or provingBytes, since it was unchoked
	idle          bool      // the peer takes no data although it could
	requested     bool      // the peer has requested a block since it was unchoked
	sentAtUnchoke int64     // conn.sent when the peer was unchoked
	lastSent      int64     // conn.sent at the last tick
	lastUnacked   int       // unacknowledged bytes at the last tick
	arrivedAt     time.Time // the last tick that saw data arrive at the peer
	knownUseless  bool      // a peer at the same address was dropped as useless before
	stopped       bool      // the peer was choked after data had stopped to arrive at it, and has not gone on since
	heldBack      bool      // a full seed does not serve the peer until the next decision; see choker.HoldBack
	flips         int       // times that the peer's interest ended without a request
}

// uploadSlots is the state of the upload slots of a torrent. Torrent.mu guards it.
type uploadSlots struct {
	spare        int           // peers that may be unchoked in addition to Options.UploadSlots
	fast         int           // the slots of the choker while the upload is fast; 0 until they exceed Options.UploadSlots
	added        bool          // spare has grown since the last decision of the choker
	lastUploaded int64         // Torrent.count.uploaded at the last tick
	steadyAt     time.Time     // when a peer last kept taking data
	decidedAt    time.Time     // when the choker last decided; zero if it should decide at the next tick
	candidates   []choker.Peer // reused by each decision
	fullAt       time.Time     // when data last waited for a limit of the upload rate
	newest       bool          // the next new peer that is unchoked is the newest, if there are peers that stop
	stopped      bool          // a peer was sent data and went on with nothing
	trying       bool          // a call of tryMore is due
	passes       int           // passes over all connections that messages can cause; tests bound it
}

// updateIdleLocked decides, about once a second, whether the peer is idle. It reports
// whether an unchoked peer has become idle, so that another peer can get its slot.
func (c *conn) updateIdleLocked(now time.Time) bool {
	u := &c.slot
	was := u.idle
	c.noteArrivalsLocked(now)
	switch unchokedFor := now.Sub(c.tx.unchokedAt); {
	case c.tx.writing && now.Sub(c.tx.lastWrite) > stuckAfter:
		u.idle = true
	case c.t.status.state != StateSeeding && c.wire.amChoking:
		u.idle = u.idle && (!u.requested || u.stopped) && unchokedFor < leechIdleFor
	case c.t.status.state != StateSeeding:
		u.idle = !u.requested && unchokedFor > noRequestWait || c.stopsLocked(now, stallWait)
	case c.wire.amChoking:
		u.idle = u.idle && !c.sentSinceUnchokeLocked() && unchokedFor < idleFor
	case c.tx.writing || len(c.tx.uploads) > 0:
		u.idle = u.idle && !c.sentSinceUnchokeLocked()
	default:
		u.idle = !u.requested && unchokedFor > noRequestWait ||
			u.requested && unchokedFor > restAfter && now.Sub(u.arrivedAt) > restAfter
	}
	u.inUse = u.inUse && !u.idle
	return u.idle && !was && !c.wire.amChoking
}

// noteArrivalsLocked finds out whether data has arrived at the peer since the last call.
func (c *conn) noteArrivalsLocked(now time.Time) {
	u, unacked := &c.slot, 0
	if c.tx.writing || !c.wire.amChoking {
		unacked, _ = c.sock.Unacked()
	}
	if sent := c.sent.Load(); sent != u.lastSent || unacked != u.lastUnacked || c.sock.WaitingUp() {
		u.lastSent, u.lastUnacked, u.arrivedAt = sent, unacked, now
	}
}

// sentSinceUnchokeLocked reports whether blocks were sent to the peer since it was unchoked.
func (c *conn) sentSinceUnchokeLocked() bool { return c.sent.Load() != c.slot.sentAtUnchoke }

// updateInUseLocked marks the slot as used once the peer has taken as much as a piece.
func (c *conn) updateInUseLocked() {
	if !c.slot.idle && !c.wire.amChoking && c.sent.Load()-c.slot.sentAtUnchoke >= min(c.t.info.PieceLength, provingBytes) {
		c.slot.inUse = true
	}
}

// wantsSlotLocked reports whether the peer is likely to take data from us.
func (c *conn) wantsSlotLocked() bool {
	return !c.slot.idle && c.mayServeLocked() && c.wire.peerInterested
}

// wastesSlotLocked reports whether the peer was unchoked and did not send a request soon,
// or took nothing while more peers than usual were unchoked. Such a peer loses its slot to
// a peer that takes data.
func (c *conn) wastesSlotLocked(now time.Time) bool {
	if c.wire.amChoking {
		return false
	}
	return !c.slot.requested && now.Sub(c.tx.unchokedAt) > spareAfter || c.t.slots.added && !c.sentSinceUnchokeLocked()
}

// slowToAskLocked reports whether the peer is unchoked and interested but slow to send a
// request, for example because it is still getting ready to download.
func (c *conn) slowToAskLocked() bool {
	return c.slot.idle && !c.wire.amChoking && c.wire.peerInterested && !c.tx.writing && c.mayServeLocked()
}

// fillSlotsLocked unchokes waiting peers while slots are free, without waiting for the
// choker's next decision: first the peers that send us most, then those that never were useless,
// then those that have waited longest. While peers of a seed stop to take data, peers that have
// proved that they use it and the newest ones precede the others in turns.
func (t *Torrent) fillSlotsLocked(now time.Time) {
	t.slots.passes++
	for t.freeSlotLocked(now) {
		var best *conn
		for _, c := range t.peerConns.byID {
			if c == nil || c.end.gone || !c.wire.amChoking || !c.wantsSlotLocked() || c.req.snubbed || c.slot.heldBack {
				continue
			}
			if best == nil || c.precedesLocked(best) {
				best = c
			}
		}
		if best == nil {
			return
		}
		t.slots.newest = !t.slots.newest
		best.unchokeLocked(now)
		best.kickLocked()
	}
}

// precedesLocked reports whether fillSlotsLocked unchokes the peer before o.
func (c *conn) precedesLocked(o *conn) bool {
	switch {
	case c.req.meter.rate != o.req.meter.rate:
		return c.req.meter.rate > o.req.meter.rate
	case c.slot.knownUseless != o.slot.knownUseless:
		return o.slot.knownUseless
	case c.slot.stopped != o.slot.stopped:
		return o.slot.stopped
	case c.t.slots.stopped && !c.t.slots.newest && c.t.status.state == StateSeeding && c.proof.uses != o.proof.uses:
		return c.proof.uses
	case c.t.slots.stopped && !c.t.slots.newest && c.t.status.state != StateSeeding && c.wire.amInterested != o.wire.amInterested:
		return c.wire.amInterested
	case c.t.slots.stopped && c.t.slots.newest && c.t.status.state == StateSeeding && (c.tx.unchokedAt.IsZero() || o.tx.unchokedAt.IsZero()):
		return c.tx.unchokedAt.IsZero() && (!o.tx.unchokedAt.IsZero() || c.peer.since.After(o.peer.since))
	}
	return c.waitingSinceLocked().Before(o.waitingSinceLocked())
}

// waitingSinceLocked returns when the peer was last unchoked, or when it connected.
func (c *conn) waitingSinceLocked() time.Time {
	if c.tx.unchokedAt.After(c.peer.since) {
		return c.tx.unchokedAt
	}
	return c.peer.since
}

// freeSlotLocked reports whether one more peer can be unchoked before the choker's next
// decision. A slot is taken by a peer that has sent a request, or that was unchoked so
// recently that its request may be on the way. In a full torrent more peers are unchoked
// at once, to find out which of them take data.
func (t *Torrent) freeSlotLocked(now time.Time) bool {
	t.slots.passes++
	used, tried, unchoked := t.usedSlotsLocked(now)
	used += t.ranges.turns.Running()
	slots := max(t.s.opt.UploadSlots, t.slots.fast) + t.slots.spare
	full := t.status.state == StateSeeding && t.peerConns.n >= t.s.opt.MaxConnsPerTorrent
	return used+tried < slots && unchoked < max(t.s.opt.UploadSlots, t.slots.fast)+maxSpare ||
		full && used < slots && tried < maxTried
}

// usedSlotsLocked counts the peers that use a slot, those that were unchoked so recently that
// their request may be on the way, and all that are unchoked.
func (t *Torrent) usedSlotsLocked(now time.Time) (used, tried, unchoked int) {
	seeding := t.status.state == StateSeeding
	pause := t.proofPauseLocked()
	for _, c := range t.peerConns.byID {
		switch {
		case c == nil || c.wire.amChoking:
			continue
		case !c.wantsSlotLocked():
		case c.stopsLocked(now, pause):
			t.slots.stopped = true
		case c.slot.requested && now.Sub(c.slot.arrivedAt) < stallWait, !seeding:
			used++
		case c.slot.requested && now.Sub(c.tx.unchokedAt) < stallWait:
			used++
		case now.Sub(c.tx.unchokedAt) < requestWait:
			tried++
		}
		unchoked++
	}
	return used, tried, unchoked
}

// addSpareSlotsLocked unchokes more peers each second while no peer keeps taking data. The
// peers that are unchoked already lose nothing, and a peer that wants data does not wait for
// a slot behind peers that want none.
func (t *Torrent) addSpareSlotsLocked(now time.Time) {
	moved, steady := t.uploadProgressLocked(now)
	wait, growth := spareAfter, 2
	if t.status.state == StateSeeding && !moved {
		wait, growth = requestWait, 4
	}
	if steady || t.slots.steadyAt.IsZero() {
		t.slots.steadyAt, t.slots.spare = now, 0
		return
	}
	if now.Sub(t.slots.steadyAt) < wait {
		return
	}
	t.releaseHeldLocked()
	if !t.freeSlotLocked(now) {
		t.slots.spare, t.slots.added = min(maxSpare, max(1, t.slots.spare)*growth), true
	}
	t.fillSlotsLocked(now)
}

// addFastSlotsLocked unchokes more peers each second while the upload is fast, so
// that no peer waits long for its first pieces. The choker decides only every ten seconds.
func (t *Torrent) addFastSlotsLocked(now time.Time) {
	if t.peerConns.n <= t.s.opt.UploadSlots {
		return
	}
	if n := t.choke.Slots(t.candidatesLocked(now), t.status.state == StateSeeding); n > max(t.s.opt.UploadSlots, t.slots.fast) {
		t.slots.fast = n
		t.fillSlotsLocked(now)
	}
}

// fullFor is how long the uplink counts as full after data waited for a limit of the upload rate.
const fullFor = 3 * time.Second

// holdBackLocked withholds slots from peers that pass on nothing, while the uplink is full and a
// super-seeding torrent serves others.
func (t *Torrent) holdBackLocked(now time.Time) {
	t.releaseHeldLocked()
	if !t.super.Active() || now.Sub(t.slots.fullAt) > fullFor {
		return
	}
	held := choker.HoldBack(t.slots.candidates, now)
	for i := range t.slots.candidates {
		if p := &t.slots.candidates[i]; held.Has(p.ID) {
			p.Interested = false
			t.peerConns.byID[p.ID].slot.heldBack = true
		}
	}
}

// releaseHeldLocked lets all peers get slots.
func (t *Torrent) releaseHeldLocked() {
	for _, c := range t.peerConns.byID {
		if c != nil {
			c.slot.heldBack = false
		}
	}
}

// uploadProgressLocked reports whether any peer took data in the last second, and whether
// that is likely to continue: because the peer has taken data for some time, because we are
// downloading and choose peers by the data that they send, because data waits for an upload
// limit, or because no peer is unchoked yet.
func (t *Torrent) uploadProgressLocked(now time.Time) (moved, steady bool) {
	n := t.count.uploaded.Load()
	moved = n != t.slots.lastUploaded
	t.slots.lastUploaded = n
	steady = moved && t.status.state != StateSeeding || !t.anyUnchokedLocked()
	for _, c := range t.peerConns.byID {
		switch {
		case c == nil:
		case c.sock.WaitingUp():
			t.slots.fullAt = now
			return true, true
		case !c.wire.amChoking && c.slot.arrivedAt.Equal(now):
			moved = true
			steady = steady || now.Sub(c.tx.unchokedAt) > spareAfter
		}
	}
	return moved, steady
}

// anyUnchokedLocked reports whether any peer is unchoked.
func (t *Torrent) anyUnchokedLocked() bool {
	return slices.ContainsFunc(t.peerConns.byID, func(c *conn) bool { return c != nil && !c.wire.amChoking })
}

// uploadStalledLocked reports whether peers were unchoked some time ago and none of them
// takes data, so that unchoking one more costs nothing.
func (t *Torrent) uploadStalledLocked(now time.Time) bool {
	return t.status.state == StateSeeding && t.count.uploaded.Load() == t.slots.lastUploaded &&
		!t.slots.steadyAt.IsZero() && now.Sub(t.slots.steadyAt) >= requestWait
}

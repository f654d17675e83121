package torrent

import (
	"time"

	"spate/torrent/internal/choker"
)

// A seed cannot know of a new peer whether it uses the data that it asks for. The first piece
// finds out: a peer that downloads announces it. While peers that have proved this want data, the
// others share a bounded part of the line (choker.Probes), and those that proved nothing with an
// earlier piece come last. Torrent.mu guards all of it.

// Times in which a peer that has proved nothing should use its slot. They are short, because
// another peer gets a slot then in addition.
const (
	probeEvery       = 100 * time.Millisecond // time between two looks at such peers while others wait
	probeWait        = 200 * time.Millisecond // time in which no data arrives at a peer, after which its slot counts as free
	firstRequestWait = 300 * time.Millisecond // how long the first request after an unchoke may take
)

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// probation records whether a peer has proved that it uses the data that it is sent.
type probation struct {
	proved  bool
	failed  bool  // its turn ended after it was sent data, and it proved nothing
	counted int64 // bytes of conn.sent that were passed to Probes.Sent, or that did not count
	charged int64 // of these, the bytes that Probes counts as sent to a peer that proved nothing
}

// probesLocked returns the limit of the torrent for peers that have proved nothing.
func (t *Torrent) probesLocked() *choker.Probes {
	if t.slots.probes == nil {
		t.slots.probes = choker.NewProbes(t.info.PieceLength)
	}
	return t.slots.probes
}

// countProbeLocked tells Probes what was sent to the peer since the last call.
func (c *conn) countProbeLocked(now time.Time) {
	if c.slot.probation.proved && !c.t.slots.contended {
		return
	}
	sent := c.sent.Load()
	n := sent - c.slot.probation.counted
	c.slot.probation.counted = sent
	if n <= 0 || !c.t.slots.contended {
		return
	}
	c.t.probesLocked().Sent(n, c.slot.probation.proved, now)
	if !c.slot.probation.proved {
		c.slot.probation.charged += n
	}
}

// announcesLocked records that the peer has announced a piece in a message of its own. After it was sent
// as much as a piece, this proves that it uses what it gets.
func (c *conn) announcesLocked(piece int) {
	if !c.slot.probation.proved && c.sent.Load() >= c.t.info.PieceSize(piece) {
		c.proveLocked()
	}
}

// proveLocked records that the peer has proved that it uses what it gets.
func (c *conn) proveLocked() {
	p := &c.slot.probation
	now := time.Now()
	c.countProbeLocked(now)
	p.proved, p.failed = true, false
	c.t.probesLocked().Proved(p.charged, now)
	c.t.slots.contended = c.t.slots.contended || c.t.status.state == StateSeeding
	c.setKeepsLocked(now)
	c.showPiecesLocked()
}

// failsProbationLocked reports whether the peer was sent data and did nothing with it.
func (c *conn) failsProbationLocked(now time.Time) bool {
	return c.slot.probation.failed || c.t.status.state == StateSeeding && c.stuckOnProbationLocked(now)
}

// endProbeLocked records that the turn of the peer ends.
func (c *conn) endProbeLocked() {
	p := &c.slot.probation
	p.failed = p.failed || !p.proved && c.sentSinceUnchokeLocked()
}

// updateContendedLocked finds out whether peers take data that have proved that they use it.
func (t *Torrent) updateContendedLocked(now time.Time) {
	t.slots.contended = false
	if t.status.state != StateSeeding {
		return
	}
	for _, c := range t.peerConns.byID {
		if c != nil && !c.end.gone && c.slot.probation.proved && !c.wire.amChoking && !c.slot.idle && now.Sub(c.slot.arrivedAt) < stallWait {
			t.slots.contended = true
			return
		}
	}
}

// mayProbeLocked reports whether one more peer that has proved nothing may be unchoked.
func (t *Torrent) mayProbeLocked(now time.Time) bool {
	if !t.slots.contended {
		return true
	}
	expected := int64(0)
	for _, c := range t.peerConns.byID {
		if c == nil || c.end.gone || c.wire.amChoking || c.slot.probation.proved || !c.slot.requested && now.Sub(c.tx.unchokedAt) > requestWait {
			continue
		}
		expected += max(0, t.info.PieceLength-(c.sent.Load()-c.slot.sentAtUnchoke))
	}
	return t.probesLocked().Allows(expected, now)
}

// limitProbesLocked withholds slots from peers that have proved nothing, as far as Probes demands it.
func (t *Torrent) limitProbesLocked(now time.Time) {
	if !t.slots.contended {
		return
	}
	probes := t.mayProbeLocked(now)
	for i := range t.slots.candidates {
		p := &t.slots.candidates[i]
		if c := t.peerConns.byID[p.ID]; !c.slot.probation.proved && (!probes || c.provedUselessLocked()) && (!p.Unchoked || c.sentSinceUnchokeLocked()) {
			p.Interested = false
		}
	}
}

// probeSoonLocked makes probeMore run soon if peers wait for their first slot.
func (t *Torrent) probeSoonLocked() {
	if t.slots.probing || t.life.ctx.Err() != nil {
		return
	}
	for _, c := range t.peerConns.byID {
		if c != nil && !c.end.gone && c.wire.amChoking && c.tx.unchokedAt.IsZero() && c.wantsSlotLocked() {
			t.slots.probing = true
			time.AfterFunc(probeEvery, t.probeMore)
			return
		}
	}
}

// probeMore unchokes peers that wait for their first slot, in place of peers that got one and do
// not use it.
func (t *Torrent) probeMore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slots.probing = false
	if t.life.ctx.Err() != nil || t.pick == nil {
		return
	}
	now := time.Now()
	for _, c := range t.peerConns.byID {
		switch {
		case c == nil || c.end.gone || c.wire.amChoking || c.slot.probation.proved:
		case c.slot.requested:
			c.noteArrivalsLocked(now)
		case now.Sub(c.tx.unchokedAt) > spareAfter && t.status.state == StateSeeding:
			c.slot.idle = true
			c.chokeLocked()
			c.kickLocked()
		}
	}
	t.fillSlotsLocked(now)
	t.probeSoonLocked()
}

// stuckOnProbationLocked reports whether the peer has proved nothing and takes no data that it
// requested some time ago.
func (c *conn) stuckOnProbationLocked(now time.Time) bool {
	return !c.slot.probation.proved && c.received.Load() == 0 && !c.wire.amChoking && c.slot.requested &&
		now.Sub(later(c.slot.arrivedAt, c.tx.unchokedAt)) > spareAfter
}

package torrent

import (
	"time"

	"spate/torrent/internal/transport"
)

// While peers wait for their first slot, the functions in this file find out soon which of the others
// have not proved that they use data, and let new peers try beside them. They take nothing
// from anybody: a peer that is slow to go on keeps its slot. Torrent.mu guards all of it.

const (
	tryEvery    = 163 * time.Millisecond // time between two looks at such peers while others wait for their first slot; seldom at the time of a tick
	proofPause  = 500 * time.Millisecond // least time in which no data arrives at a peer that has proved nothing, after which its slot counts as free
	proofBytes  = 16 << 10               // bytes that such a peer is sent before other peers may go on with their own
	uselessStop = 2 * time.Second        // time in which no data arrives at such a peer, after which it is useless
)

// priorityLocked returns the priority of the blocks that are sent to the peer.
func (c *conn) priorityLocked() transport.Priority {
	switch {
	case c.doubtfulLocked() && (c.slot.knownUseless || c.sent.Load() >= proofBytes):
		return transport.Last
	case c.doubtfulLocked():
		return transport.Normal
	case c.t.sendsFirstCopyLocked():
		return transport.First
	}
	return transport.Normal
}

// doubtfulLocked reports whether the peer was sent data, has sent none, and has not proved that it uses
// what it is sent.
func (c *conn) doubtfulLocked() bool { return !c.proof.uses && c.received.Load() == 0 }

// stopsLocked reports whether the peer was sent some blocks, is doubtful, and no data has arrived at it
// for the given time.
func (c *conn) stopsLocked(now time.Time, d time.Duration) bool {
	return c.doubtfulLocked() && c.slot.requested && c.sent.Load() >= proofBytes &&
		now.Sub(c.slot.arrivedAt) >= d && now.Sub(c.tx.unchokedAt) >= d
}

// proofPauseLocked returns the time in which no data arrives at a doubtful peer, after which its slot
// counts as free. It is longer on a slow line, whose blocks take long by themselves.
func (t *Torrent) proofPauseLocked() time.Duration {
	const blocks = 256 << 10 // bytes that are on the way to several peers
	if rate := t.rates.up.rate; rate > blocks/stallWait.Seconds() {
		return max(proofPause, time.Duration(blocks/rate*float64(time.Second)))
	}
	return stallWait
}

// tryMoreSoonLocked makes tryMore run soon if peers wait for their first slot.
func (t *Torrent) tryMoreSoonLocked() {
	if t.slots.trying || !t.runsLocked() {
		return
	}
	for _, c := range t.peerConns.byID {
		if c != nil && !c.end.gone && c.wire.amChoking && c.tx.unchokedAt.IsZero() && c.wantsSlotLocked() {
			t.slots.trying = true
			time.AfterFunc(tryEvery, t.tryMore)
			return
		}
	}
}

// tryMore unchokes peers that wait for their first slot, if slots are free.
func (t *Torrent) tryMore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slots.trying = false
	if !t.runsLocked() {
		return
	}
	now := time.Now()
	for _, c := range t.peerConns.byID {
		if c != nil && !c.end.gone && !c.wire.amChoking && c.doubtfulLocked() {
			c.noteArrivalsLocked(now)
		}
	}
	t.fillSlotsLocked(now)
	t.tryMoreSoonLocked()
}

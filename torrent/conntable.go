package torrent

import (
	"errors"
	"time"

	"spate/torrent/internal/peerlist"
	"spate/torrent/internal/picker"
)

// connTable holds the connections of a torrent. Torrent.mu guards it.
type connTable struct {
	byID     []*conn         // the index is the handle; nil for a handle without a connection
	n        int             // connections in byID
	dialing  int             // dials in progress
	carriers int             // peers with extensionState.carries
	turn     int             // selects the list of candidates that is asked next; see listsLocked
	free     []picker.PeerID // handles that can be used
	retired  []retiredPeer   // handles without a connection that open pieces may still name

	// changes counts the changes of the addresses that peer exchange may name. looks counts the
	// passes of peer exchange over all connections; tests bound it.
	changes, looks uint64

	// uselessSince is when the torrent began to need other peers than those that are connected;
	// zero while it does not. hurried is when it last asked for an early announce.
	uselessSince, hurried time.Time
}

// join adds the connection to its torrent and sends the first messages.
func (c *conn) join() error {
	t := c.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.awaitOnlyConnLocked(c); err != nil {
		return err
	}
	if err := t.admitLocked(c); err != nil {
		return err
	}
	if c.ext.listens.IsValid() {
		c.listLocked().Connected(c.ext.listens)
	}
	c.id, c.slot.knownUseless = t.newHandleLocked(), t.s.timesUseless(c.peer.source()) > 0
	t.peerConns.byID[c.id] = c
	t.holes.meet(c.peer.addr.Addr())
	t.peerConns.n++
	t.peerConns.changes++
	t.pick.PeerJoined(c.id, t.emptyLocked())
	if c.peer.twin {
		t.updateReportersLocked()
	}
	c.sendFirstLocked()
	c.kickLocked()
	return nil
}

// admitLocked returns an error if the connection may not join.
func (t *Torrent) admitLocked(c *conn) error {
	switch {
	case !t.runsLocked():
		return errHalted
	case c.peer.id == t.s.opt.PeerID:
		return errSelf
	case t.peers.Banned(c.peer.addr), c.peer.transport == WebRTCChannel && t.s.channels.banned(c.peer.source().Addr(), time.Now()):
		return errBanned
	}
	if now := time.Now(); t.fullForLocked(c.peer.incoming) && (!t.s.mayReplace(c.peer.source(), now) || !t.dropForLocked(now, c.peer.source())) {
		t.s.turnAway(c.peer.source(), now)
		return errFull
	}
	return nil
}

// newHandleLocked returns a free handle for the picker.
func (t *Torrent) newHandleLocked() picker.PeerID {
	keep := t.peerConns.retired[:0]
	for _, r := range t.peerConns.retired {
		if t.pick.Reusable(r.id) {
			t.peerConns.free = append(t.peerConns.free, r.id)
		} else {
			keep = append(keep, r)
		}
	}
	t.peerConns.retired = keep
	if n := len(t.peerConns.free); n > 0 {
		id := t.peerConns.free[n-1]
		t.peerConns.free = t.peerConns.free[:n-1]
		return id
	}
	t.peerConns.byID = append(t.peerConns.byID, nil)
	return picker.PeerID(len(t.peerConns.byID) - 1)
}

// leave closes the connection and removes it from its torrent.
func (c *conn) leave(err error) {
	t := c.t
	c.closing.Store(true)
	c.closeSocket()
	t.mu.Lock()
	c.end.gone = true
	if c.end.done != nil {
		close(c.end.done)
	}
	if c.end.reason != nil {
		err = c.end.reason
	}
	t.super.Leave(c.id)
	c.unrelayAllLocked()
	c.ext.handshake.Twin = 0
	c.countCarrierLocked()
	if t.passedOn != nil {
		t.passedOn.Leave(uint32(c.id))
	}
	t.pick.PeerLeft(c.id)
	t.peerConns.byID[c.id] = nil
	t.peerConns.n--
	t.peerConns.changes++
	t.peerConns.retired = append(t.peerConns.retired, retiredPeer{c.id, c.peer.key, c.peer.source()})
	c.tx.uploads = nil
	if t.status.state == StateSeeding && c.doubtfulLocked() && c.sent.Load() >= proofBytes {
		t.s.rememberUseless(c.peer.source(), time.Now())
	}
	useful := c.received.Load() > 0 || c.sent.Load() > 0 || time.Since(c.peer.since) > time.Minute
	if c.ext.listens.IsValid() {
		how := outcomeOf(err, useful)
		if how == peerlist.OutcomeUseless && !c.wire.gotMessage && c.end.reason == nil {
			how = peerlist.OutcomeFull
		}
		c.listLocked().Disconnected(c.ext.listens, time.Now(), how)
	}
	if c.ext.alsoIn != nil {
		c.ext.alsoIn.Disconnected(c.ext.listens, time.Now(), peerlist.OutcomeUseful)
	}
	if !c.wire.amChoking {
		t.slots.decidedAt = time.Time{} // choose the next peer to unchoke at once
	}
	if !c.peer.twin {
		t.updateReportersLocked()
	}
	t.refillOthersLocked()
	t.mu.Unlock()
	c.writers.Wait()
	t.s.hungUp()
	t.log.Debug("peer left", "peer", c.peer.key, "client", c.ext.client, "why", err)
}

// refused tells the peer list that the connection could not join.
func (c *conn) refused(err error) {
	t := c.t
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case errors.Is(err, errSelf) && !c.peer.incoming:
		for _, l := range t.listsLocked() {
			l.AddSelf(c.peer.addr)
		}
	case !c.peer.incoming:
		c.listLocked().Disconnected(c.peer.addr, time.Now(), outcomeOf(err, false))
	}
}

// outcomeOf classifies how a connection ended, for the peer list.
func outcomeOf(err error, useful bool) peerlist.Outcome {
	var broke *protocolError
	switch {
	case errors.Is(err, errSelf):
		return peerlist.OutcomeSelf
	case errors.Is(err, errDuplicate):
		return peerlist.OutcomeDuplicate
	case errors.As(err, &broke):
		return peerlist.OutcomeBroken
	case useful:
		return peerlist.OutcomeUseful
	}
	return peerlist.OutcomeUseless
}

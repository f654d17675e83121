package torrent

import (
	"errors"
	"time"

	"spate/torrent/internal/peerlist"
	"spate/torrent/internal/picker"
)

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
	if c.listens.IsValid() {
		t.peers.Connected(c.listens)
	}
	c.id, c.knownUseless = t.newHandleLocked(), t.s.timesUseless(c.addr) > 0
	t.conns[c.id] = c
	t.nconns++
	t.pick.PeerJoined(c.id, t.emptyLocked())
	c.greetLocked()
	c.kickLocked()
	return nil
}

// admitLocked returns an error if the connection may not join.
func (t *Torrent) admitLocked(c *conn) error {
	switch {
	case t.ctx.Err() != nil || t.pick == nil || t.state != StateDownloading && t.state != StateSeeding:
		return errHalted
	case c.peerID == t.s.opt.PeerID:
		return errSelf
	case t.peers.Banned(c.addr):
		return errBanned
	}
	if now := time.Now(); t.nconns >= t.s.opt.MaxConnsPerTorrent && (!t.s.mayReplace(c.addr, now) || !t.dropForLocked(now, c.addr)) {
		t.s.connSlots.refused.Add(1)
		return errFull
	}
	return nil
}

// newHandleLocked returns a free handle for the picker.
func (t *Torrent) newHandleLocked() picker.PeerID {
	keep := t.retired[:0]
	for _, r := range t.retired {
		if t.pick.Reusable(r.id) {
			t.free = append(t.free, r.id)
		} else {
			keep = append(keep, r)
		}
	}
	t.retired = keep
	if n := len(t.free); n > 0 {
		id := t.free[n-1]
		t.free = t.free[:n-1]
		return id
	}
	t.conns = append(t.conns, nil)
	return picker.PeerID(len(t.conns) - 1)
}

// leave closes the connection and removes it from its torrent.
func (c *conn) leave(err error) {
	t := c.t
	c.closing.Store(true)
	c.sock.Close()
	t.mu.Lock()
	c.gone = true
	if c.left != nil {
		close(c.left)
	}
	if c.reason != nil {
		err = c.reason
	}
	t.super.Leave(c.id)
	t.pick.PeerLeft(c.id)
	t.conns[c.id] = nil
	t.nconns--
	t.retired = append(t.retired, retiredPeer{c.id, c.key})
	c.uploads = nil
	useful := c.received.Load() > 0 || c.sent.Load() > 0 || time.Since(c.since) > time.Minute
	if c.listens.IsValid() {
		t.peers.Disconnected(c.listens, time.Now(), outcomeOf(err, useful))
	}
	if !c.amChoking {
		t.choked = time.Time{} // choose the next peer to unchoke at once
	}
	t.refillOthersLocked()
	t.mu.Unlock()
	c.writers.Wait()
	t.s.hungUp()
	t.log.Debug("peer left", "peer", c.key, "client", c.client, "why", err)
}

// refused tells the peer list that the connection could not join.
func (c *conn) refused(err error) {
	t := c.t
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case errors.Is(err, errSelf) && !c.incoming:
		t.peers.AddSelf(c.addr)
	case !c.incoming:
		t.peers.Disconnected(c.addr, time.Now(), outcomeOf(err, false))
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

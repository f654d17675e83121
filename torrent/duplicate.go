package torrent

import (
	"bytes"
	"time"
)

// Two peers that dial each other at once, or over both address families, have up to
// four connections. They need one, and both sides must keep the same one. Clients
// choose differently: by peer id, by port, by age, or at random. If each side closes
// the connection that the other keeps, no connection is left, and both wait for
// minutes. So a second connection is closed at once only if both sides are known to
// close it. Otherwise it waits, silent after the handshake, and replaces the first
// connection if the other side closes that one.

const (
	duplicateWait = 3 * time.Second // the longest wait: the other side decides when it sees the handshake
	maxWaiters    = 3               // connections that may wait to replace the same connection
)

// duplicateVerdict is the decision about the second connection to a peer.
type duplicateVerdict int

const (
	duplicateWaits    duplicateVerdict = iota // wait until the other side closes one of the two
	duplicateReplaces                         // close the first connection
	duplicateCloses                           // close the second connection
)

// otherConnLocked returns another connection to the same peer as c, or nil. A connection in the
// other swarm of a torrent with a v1 twin counts only if it serves both.
func (t *Torrent) otherConnLocked(c *conn) *conn {
	for _, other := range t.peerConns.byID {
		if other != nil && !other.end.gone && (other.peer.twin == c.peer.twin || other.servesBothLocked()) && (other.peer.id == c.peer.id || other.peer.key == c.peer.key) {
			return other
		}
	}
	return nil
}

// awaitOnlyConnLocked returns nil once c is the only connection to its peer. It returns
// errDuplicate if c has to close. It releases t.mu while it waits.
func (t *Torrent) awaitOnlyConnLocked(c *conn) error {
	other := t.otherConnLocked(c)
	if other == nil {
		return nil
	}
	patience := time.NewTimer(duplicateWait)
	defer patience.Stop()
	for ; other != nil; other = t.otherConnLocked(c) {
		switch v := c.judgeDuplicate(other); {
		case v == duplicateCloses || other.end.waiters >= maxWaiters:
			return errDuplicate
		case v == duplicateReplaces:
			other.dropLocked(errDuplicate)
		}
		if other.end.done == nil {
			other.end.done = make(chan struct{})
		}
		left := other.end.done
		other.end.waiters++
		t.mu.Unlock()
		var err error
		select {
		case <-left:
		case <-patience.C:
			err = errDuplicate
		case <-t.life.ctx.Done():
			err = errHalted
		}
		t.mu.Lock()
		other.end.waiters--
		if err != nil {
			return err
		}
	}
	return nil
}

// judgeDuplicate decides about c while other is connected to the same peer. A peer that
// connects again from the same address has lost its first connection. If both sides are
// spate, the side with the greater peer id decides: both sides keep a connection that this
// side began, and if it began several, it closes all but one.
func (c *conn) judgeDuplicate(other *conn) duplicateVerdict {
	ours := c.t.s.opt.PeerID
	greater := bytes.Compare(c.peer.id[:], ours[:]) > 0
	switch {
	case c.peer.incoming && other.peer.incoming && c.peer.addr.IsValid() && c.peer.addr.Addr() == other.peer.addr.Addr():
		return duplicateReplaces
	case !bytes.Equal(c.peer.id[:3], ours[:3]):
		return duplicateWaits // another client, whose rule is not known
	case c.peer.incoming != other.peer.incoming && c.peer.incoming == greater:
		return duplicateReplaces
	case c.peer.incoming && other.peer.incoming:
		return duplicateWaits
	}
	return duplicateCloses
}

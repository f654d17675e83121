package torrent

import (
	"bytes"
	"time"
)

// Two peers that dial each other at once, or over both address families, have up to
// four connections where one is wanted, and both sides must keep the same one.
// Clients differ in which: by peer id, by port, by age, by chance. Where each side
// ends what the other keeps, they have none, and wait for minutes. So a connection
// that comes second is not ended at once, unless both sides know that it goes: it
// waits, silent after the handshake, and takes the place of the first if the other
// side ends that.

const (
	twinPatience = 3 * time.Second // bounds the wait: the other side decides on seeing the handshake
	maxHeirs     = 3               // who wait for the place of one connection
)

// twinVerdict is what becomes of the second connection to a peer.
type twinVerdict int

const (
	twinWaits    twinVerdict = iota // the other side decides
	twinReplaces                    // the first one goes
	twinGoes
)

// twinLocked returns another connection to the peer of c, or nil.
func (t *Torrent) twinLocked(c *conn) *conn {
	for _, other := range t.conns {
		if other != nil && !other.gone && (other.peerID == c.peerID || other.addr == c.addr) {
			return other
		}
	}
	return nil
}

// awaitTwinLocked returns when c is the only connection to its peer, or with
// errTwice. It gives up t.mu while it waits.
func (t *Torrent) awaitTwinLocked(c *conn) error {
	other := t.twinLocked(c)
	if other == nil {
		return nil
	}
	patience := time.NewTimer(twinPatience)
	defer patience.Stop()
	for ; other != nil; other = t.twinLocked(c) {
		switch v := c.besides(other); {
		case v == twinGoes || other.heirs >= maxHeirs:
			return errTwice
		case v == twinReplaces:
			other.dropLocked(errTwice)
		}
		if other.left == nil {
			other.left = make(chan struct{})
		}
		left := other.left
		other.heirs++
		t.mu.Unlock()
		var err error
		select {
		case <-left:
		case <-patience.C:
			err = errTwice
		case <-t.ctx.Done():
			err = errHalted
		}
		t.mu.Lock()
		if other.heirs--; err != nil {
			return err
		}
	}
	return nil
}

// besides judges c where its peer is connected by other. A peer that comes again
// from the same address has lost the connection that we still hold. Two spates keep
// one that the greater peer id began, and of several the one that who began them
// keeps.
func (c *conn) besides(other *conn) twinVerdict {
	ours := c.t.s.opt.PeerID
	greater := bytes.Compare(c.peerID[:], ours[:]) > 0
	switch {
	case c.incoming && other.incoming && c.addr.Addr() == other.addr.Addr():
		return twinReplaces
	case !bytes.Equal(c.peerID[:3], ours[:3]):
		return twinWaits // another program
	case c.incoming != other.incoming && c.incoming == greater:
		return twinReplaces
	case c.incoming && other.incoming:
		return twinWaits
	}
	return twinGoes
}

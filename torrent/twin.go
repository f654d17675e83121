package torrent

import (
	"bytes"
	"time"
)

// Two peers that dial each other at once, or over both address families, have two
// connections where one is wanted, and each side must end the same one. Clients
// differ in which: by peer id as we do, by port, by age, by chance. Where both
// sides end what the other keeps, they have none, and wait for minutes. So no
// connection is refused at once for being the second: it waits, silent after the
// handshake, whether the other side ends the first, and takes its place if so.

// twinPatience bounds the wait. The other side decides on seeing the handshake.
const twinPatience = 3 * time.Second

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
		if c.replaces(other) {
			other.dropLocked(errTwice)
		}
		if other.heir != nil {
			return errTwice // two are enough
		}
		left := make(chan struct{})
		other.heir = left
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
		if err != nil {
			if other.heir == left {
				other.heir = nil
			}
			return err
		}
	}
	return nil
}

// replaces reports whether c is the one of two connections that stays, by what both
// sides know: a peer that comes again has lost the connection that we still hold,
// and spate keeps the one that the greater peer id began.
func (c *conn) replaces(other *conn) bool {
	ours := c.t.s.opt.PeerID
	switch {
	case c.incoming && other.incoming:
		return c.addr.Addr() == other.addr.Addr()
	case c.incoming != other.incoming:
		return c.peerID.Client() == ours.Client() && c.incoming == (bytes.Compare(c.peerID[:], ours[:]) > 0)
	}
	return false
}

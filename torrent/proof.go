package torrent

import (
	"context"
	"time"
)

// A seed cannot know whether a new peer uses what it is sent, or has the pieces that it claims. A peer
// that goes on after data has arrived at it, with another request or a new piece, proves that it
// does: the system of a peer that reads nothing acknowledges data too, but sends no messages. Until
// then the peer gets its first block like others, and more after them (Conn.WaitUp), and its slot
// counts as free when no data arrives at it.
// Torrent.mu guards all of it.

// proof records what is known of a peer's use of data.
type proof struct {
	uses   bool               // the peer sent a request or announced a piece after data had arrived at it
	hurry  context.CancelFunc // ends the wait of the writer for a peer that has proved nothing; nil if there was none
	claims bool               // the peer had pieces when it joined, and nothing has shown that it passes them on
}

// goesOnLocked records that the peer requested a block or announced a piece.
func (c *conn) goesOnLocked(now time.Time) {
	sent := c.sent.Load()
	if c.proof.uses || sent == 0 {
		return
	}
	if n, known := c.sock.Unacked(); known && int64(n) >= sent {
		return
	}
	c.proof.uses, c.slot.stopped = true, false
	if c.proof.hurry != nil {
		c.proof.hurry()
	}
	c.believeLocked(now)
}

// claimsLocked records that the peer said when it joined that it has some pieces. Until it has proved
// that it uses data, a super-seeding torrent shows these pieces to others as if it did not have them.
func (c *conn) claimsLocked() {
	if !c.proof.uses && c.t.pick.PeerHaveCount(c.id) > 0 && !c.t.pick.PeerIsSeed(c.id) {
		c.proof.claims = true
		c.t.super.SetKeeps(c.id, true)
	}
}

// believeLocked lets the pieces of the peer count as those of others.
func (c *conn) believeLocked(now time.Time) {
	if c.proof.claims {
		c.proof.claims = false
		c.t.super.SetKeeps(c.id, c.keepsLocked(now))
	}
}

// passedLocked records that c has announced a piece that was not sent to it. If nobody had it except
// peers whose claims are not proved, some of these have passed it on.
func (c *conn) passedLocked(piece uint32, now time.Time) {
	if !c.proof.uses || !c.t.super.Active() || !c.t.super.Alone(c.id, int(piece)) {
		return
	}
	for _, o := range c.t.peerConns.byID {
		if o != nil && o != c && o.proof.claims && c.t.pick.PeerHas(o.id, int(piece)) {
			o.believeLocked(now)
		}
	}
}

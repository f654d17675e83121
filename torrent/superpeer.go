package torrent

import (
	"slices"
	"time"

	"spate/peerwire"
)

// The bookkeeping of superseed.go: what each peer was shown, and how it ends.

// showingOf returns the index of a piece in what the peer was shown and lacks,
// or -1.
func (c *conn) showingOf(piece uint32) int {
	return slices.IndexFunc(c.super.open, func(s showing) bool { return s.piece == piece })
}

// openLocked enters a piece into what the peer was shown and lacks.
func (c *conn) openLocked(piece int) (i int) {
	s := showing{piece: uint32(piece), left: c.t.info.PieceSize(piece), at: time.Now()}
	c.t.showedLocked(s.piece, 1)
	c.t.dueLocked(&s, !c.amChoking)
	c.super.open = append(c.super.open, s)
	return len(c.super.open) - 1
}

// closeLocked takes entry i out again.
func (c *conn) closeLocked(i int) {
	s := c.super.open[i]
	c.t.dueLocked(&s, false)
	c.t.showedLocked(s.piece, -1)
	c.super.open = slices.Delete(c.super.open, i, i+1)
}

// dueLocked sets whether the peer is likely to get the piece from us.
func (t *Torrent) dueLocked(s *showing, due bool) {
	switch {
	case due && !s.due:
		t.showedLocked(s.piece, onItsWay)
	case !due && s.due:
		t.showedLocked(s.piece, -onItsWay)
	}
	s.due = due
}

func (t *Torrent) showedLocked(piece uint32, by int) {
	t.super.shown[piece] = uint16(max(0, min(1<<16-1, int(t.super.shown[piece])+by)))
}

// superLeavesLocked reports whether a peer that is to be choked had better get
// the rest of the pieces that it asked for first: nobody else can give it to it,
// and half a piece is of no use to anybody.
func (c *conn) superLeavesLocked(now time.Time) bool {
	if c.amChoking || c.t.super.shown == nil {
		return false
	}
	if c.super.leaving.IsZero() {
		c.super.leaving = now
	}
	return now.Sub(c.super.leaving) < lastPieceWait && slices.ContainsFunc(c.super.open, func(s showing) bool {
		return s.due && s.left < c.t.info.PieceSize(int(s.piece))
	})
}

// superChokedLocked is called when the peer is choked: others may be shown what
// it did not get.
func (c *conn) superChokedLocked() {
	c.super.leaving = time.Time{}
	for !c.super.on && len(c.super.open) > 0 {
		c.closeLocked(0)
	}
	for i := range c.super.open {
		s := &c.super.open[i]
		s.left = c.t.info.PieceSize(int(s.piece))
		c.t.dueLocked(s, false)
	}
}

// superUnchokedLocked is called when the peer is unchoked: it is expected to ask
// for what it was shown.
func (c *conn) superUnchokedLocked(now time.Time) {
	c.super.at = now
	for i := range c.super.open {
		s := &c.super.open[i]
		s.at = now
		c.t.dueLocked(s, true)
	}
	c.superShowLocked()
}

// superLeftLocked forgets a peer.
func (c *conn) superLeftLocked() {
	t := c.t
	if t.super.shown == nil {
		return
	}
	for len(c.super.open) > 0 {
		c.closeLocked(0)
	}
	c.super = superPeer{}
}

// superTickLocked ends super-seeding when we are no longer the only seed, or with
// the one peer that is left, and tells the truth by and by to those who were not
// told.
func (t *Torrent) superTickLocked(now time.Time) {
	if t.super.shown == nil {
		return
	}
	switch {
	case t.nconns != 1:
		t.super.alone = time.Time{}
	case t.super.alone.IsZero():
		t.super.alone = now
	}
	alone := !t.super.alone.IsZero() && now.Sub(t.super.alone) >= aloneWait
	only, some := t.onlySeedLocked(now), false
	for _, c := range t.conns {
		if c == nil || c.gone || c.super.told.Len() == 0 {
			continue
		}
		some = true
		if c.super.on = c.super.on && only && !alone; c.super.on {
			c.super.met = c.super.met || now.Sub(c.since) >= greetWait
			c.superShowLocked()
		} else {
			c.superTellLocked()
		}
	}
	if !some && !only {
		for _, c := range t.conns {
			if c != nil {
				c.super = superPeer{}
			}
		}
		t.super = superSeed{other: t.super.other}
	}
}

// superTellLocked says a part of what the peer was not told.
func (c *conn) superTellLocked() {
	n := c.super.told.Len()
	for said := 0; c.super.rest < n && said < tellAtOnce; c.super.rest++ {
		if i := c.super.rest; !c.super.told.Get(i) && !c.t.pick.PeerHas(c.id, i) {
			c.out = peerwire.AppendIndexed(c.out, peerwire.Have, uint32(i))
			said++
		}
	}
	if c.super.rest == n {
		for len(c.super.open) > 0 {
			c.closeLocked(0)
		}
		c.super = superPeer{}
	}
}

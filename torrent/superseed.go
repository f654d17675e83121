package torrent

import (
	"time"

	"spate/bitfield"
	"spate/peerwire"
	"spate/torrent/internal/picker"
)

// Super-seeding (BEP 16): the only seed of a swarm does not say what it has. It
// shows each peer pieces that no other peer was shown, so that its link carries
// every piece about once before it carries any piece twice.
//
// What other peers do changes which piece a peer is shown next, never whether it
// is shown one: a peer that we serve and that has received everything it asked for
// is shown another piece at once. Peers are shown pieces ahead of need, and more
// of them the faster they take them.
//
// A choked peer is shown one piece, so that it can tell us that it is interested.
// The first peer of a swarm is told the truth, and so is one that is left alone:
// it has nobody to pass pieces on to.
//
// Torrent.mu guards all of this.

// Bounds and pauses of super-seeding.
const (
	otherSeedFor  = time.Hour              // a seed counts as present this long after it was seen; trackers are asked about so often
	maxShown      = 256                    // pieces shown ahead to one peer
	showScan      = 1024                   // pieces compared to find the next one to show
	tellAtOnce    = 4096                   // haves a second to a peer that is told the truth later
	lastPieceWait = 30 * time.Second       // for a peer that is to be choked to receive the rest of its piece
	askWait       = 5 * time.Second        // for a peer to ask for the pieces it was shown, before others are shown them
	elsewhereWait = 2 * time.Second        // until a piece that a peer does not ask us for is assumed to come from others
	greetWait     = time.Second            // for a peer to say which pieces it has
	arriveWait    = 20 * time.Millisecond  // until what was written may have arrived
	aloneWait     = 900 * time.Millisecond // until a peer that is left alone is told the truth
	onItsWay      = 1 << 8                 // in superSeed.shown: a peer that is being sent the piece
)

// superSeed is the state of a torrent's super-seeding. The zero value is off.
type superSeed struct {
	shown  []uint16  // by piece: peers that were shown it and lack it, plus onItsWay for each that is being sent it
	cursor int       // where the search for the next piece to show continues
	out    int       // all pieces below this one have reached a peer
	other  time.Time // when another seed was seen last
	alone  time.Time // since when there is exactly one peer; zero: there is none, or several
}

// superPeer is the state of super-seeding for one peer.
type superPeer struct {
	on       bool              // the peer is not told what we have
	told     bitfield.Bitfield // except for these pieces
	open     []showing         // pieces that it was shown, or chose if it knows all, and lacks
	window   int64             // bytes that it is shown ahead
	sending  int               // blocks that are being written to it
	at       time.Time         // when it was last shown, or last asked for, a piece
	leaving  time.Time         // when it was decided to choke it; zero: it was not
	met      bool              // it has said which pieces it has, or had time to
	again    int               // pieces on their way to others that it may be shown now
	starved  int               // times in a row that it had received everything, and only such pieces were left
	retrying bool              // a timer will look at it again
	retries  int               // timers since it was last shown a piece
	rest     int               // when no longer on: the first piece that it may not know of
}

// showing is a piece that a peer was shown and does not have.
type showing struct {
	piece uint32
	left  int64 // bytes that it did not ask for
	sent  int64 // bytes that were written to it
	at    time.Time
	due   bool // it is being sent the piece or expected to ask for it
}

// onlySeedLocked reports whether we have everything and, as far as we know,
// no other peer has.
func (t *Torrent) onlySeedLocked(now time.Time) bool {
	return t.state == StateSeeding && !t.opt.PlainSeed && t.pick.HaveCount() == t.info.NumPieces() &&
		now.Sub(t.super.other) > otherSeedFor && t.pick.Seeds() == 0
}

// otherSeedLocked notes that there is another seed.
func (t *Torrent) otherSeedLocked(now time.Time) { t.super.other = now }

// foundSeeds takes a tracker's count of the seeds, which includes us.
func (t *Torrent) foundSeeds(complete int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == StateSeeding && complete > 1 {
		t.otherSeedLocked(time.Now())
	}
}

// superGreetLocked decides, when a peer joins, whether it is told what we have.
func (c *conn) superGreetLocked(now time.Time) bool {
	t := c.t
	if c.aloneLocked() || !t.onlySeedLocked(now) {
		return false
	}
	if t.super.shown == nil {
		t.super.shown = make([]uint16, t.info.NumPieces())
		t.super.cursor = t.rng.IntN(t.info.NumPieces())
	}
	c.super = superPeer{on: true, told: bitfield.New(t.info.NumPieces()), window: t.info.PieceLength, at: now}
	return true
}

// aloneLocked reports whether there is no other peer. A connection that is being
// dropped does not count: when both sides dial at once, it belongs to the same peer.
func (c *conn) aloneLocked() bool {
	for _, o := range c.t.conns {
		if o != nil && o != c && !o.gone && !o.closing.Load() {
			return false
		}
	}
	return true
}

// superMetLocked is called when a peer has said which pieces it has, or which
// extensions it knows.
func (c *conn) superMetLocked() {
	c.super.met = true
	c.superShowLocked()
}

// superRequestLocked takes note of a request, and reports whether the peer may
// ask for the piece.
func (c *conn) superRequestLocked(m *peerwire.Message) bool {
	t := c.t
	if t.super.shown == nil {
		return true
	}
	if c.super.on && !c.super.told.Get(int(m.Index)) {
		return false
	}
	i := c.showingOf(m.Index)
	if i < 0 && !c.super.on && len(c.super.open) < maxShown && !t.pick.PeerHas(c.id, int(m.Index)) {
		i = c.openLocked(int(m.Index))
	}
	if i >= 0 {
		s := &c.super.open[i]
		s.left = max(0, s.left-int64(m.Length))
		t.dueLocked(s, true)
		c.super.at = time.Now()
	}
	return true
}

// superCanceledLocked takes a request back.
func (c *conn) superCanceledLocked(m *peerwire.Message) {
	if i := c.showingOf(m.Index); i >= 0 {
		s := &c.super.open[i]
		s.left = min(c.t.info.PieceSize(int(m.Index)), s.left+int64(m.Length))
	}
}

// superSentLocked is called when blocks have been written to the peer. A peer that
// was sent a whole piece has it: not all clients announce a piece to those that
// had it before.
func (c *conn) superSentLocked(blocks []upload) {
	if c.super.sending = 0; c.t.super.shown == nil {
		return
	}
	i := -1
	for _, u := range blocks {
		if i < 0 || i >= len(c.super.open) || c.super.open[i].piece != u.piece {
			i = c.showingOf(u.piece)
		}
		if i < 0 {
			continue
		}
		s := &c.super.open[i]
		s.sent += int64(u.length)
		if s.sent >= c.t.info.PieceSize(int(u.piece)) && c.t.pick.PeerHave(c.id, int(u.piece)) {
			c.superHasLocked(u.piece)
		}
	}
	if len(blocks) > 0 && len(c.uploads) == 0 {
		c.superDrainedLocked()
	}
}

// superHasLocked is called when a peer turns out to have a piece.
func (c *conn) superHasLocked(piece uint32) {
	if c.t.super.shown == nil {
		return
	}
	if i := c.showingOf(piece); i >= 0 {
		c.closeLocked(i)
		if !c.super.leaving.IsZero() && !c.superLeavesLocked(time.Now()) {
			c.chokeLocked()
		}
	}
	c.superShowLocked()
}

// superDrainedLocked is called when everything that the peer asked for is
// written: it was shown too little.
func (c *conn) superDrainedLocked() {
	if !c.super.on || c.amChoking {
		return
	}
	if limit := max(4*c.t.info.PieceLength, int64(4*c.upMeter.rate)); c.super.window < limit {
		c.super.window *= 2
	}
	c.superShowLocked()
}

// superShowLocked shows the peer as many pieces as it needs to continue; while it
// is choked, one.
func (c *conn) superShowLocked() {
	switch {
	case !c.super.on || !c.super.met || !c.super.leaving.IsZero():
		return
	case c.amChoking:
		if len(c.super.open) == 0 {
			c.super.again = 1
			c.superShowNextLocked()
		}
		return
	}
	ahead := c.aheadLocked()
	want := max(c.super.window, int64(c.upMeter.rate/2))
	if ahead == 0 && c.arrivedLocked() {
		c.super.again = 1 << min(c.super.starved/2, 8)
		c.super.starved++
	}
	for ahead < want && len(c.super.open) < maxShown {
		n, held := c.superShowNextLocked()
		if n == 0 {
			if _, known := c.sock.Unacked(); held && ahead == 0 && known {
				c.superRetryLocked()
			}
			return
		}
		ahead += n
	}
}

// arrivedLocked reports whether the peer has received everything that was written to
// it.
func (c *conn) arrivedLocked() bool {
	n, _ := c.sock.Unacked()
	return n == 0
}

// superRetryLocked looks again, in a moment, at a peer that is still receiving the
// last of what it asked for. It waits longer each time, up to a second.
func (c *conn) superRetryLocked() {
	if c.super.retrying {
		return
	}
	c.super.retrying = true
	wait := min(time.Second, arriveWait<<min(c.super.retries, 10))
	c.super.retries++
	time.AfterFunc(wait, func() {
		c.t.mu.Lock()
		defer c.t.mu.Unlock()
		c.super.retrying = false
		if !c.gone {
			c.superShowLocked()
			c.kickLocked()
		}
	})
}

// aheadLocked returns how many bytes the peer has before it: asked for and not yet
// written, or shown and likely to be asked for.
func (c *conn) aheadLocked() int64 {
	n := int64(len(c.uploads)+c.super.sending) * picker.BlockSize
	now := time.Now()
	for i := range c.super.open {
		s := &c.super.open[i]
		if s.left > 0 && s.due && now.Sub(s.at) > elsewhereWait && c.t.pick.Availability(int(s.piece)) > 0 ||
			now.Sub(c.super.at) > askWait {
			c.t.dueLocked(s, false)
		}
		if s.due {
			n += s.left
		}
	}
	return n
}

// superShowNextLocked shows the peer one more piece, the rarest that it does not
// have, and returns its length in bytes; 0 if it shows none. While the last pieces of
// the first copy are on their way to other peers, it shows them only to a peer that
// has received everything else, and more of them each time that this happens; held
// reports that the peer has to wait for that.
func (c *conn) superShowNextLocked() (n int64, held bool) {
	t := c.t
	best, least := -1, 0
	for range min(t.info.NumPieces(), showScan) {
		i := t.super.cursor
		t.super.cursor = (i + 1) % t.info.NumPieces()
		if t.pick.PeerHas(c.id, i) || c.super.told.Get(i) {
			continue
		}
		score := t.pick.Availability(i)*onItsWay + int(t.super.shown[i])
		if best < 0 || score < least {
			best, least = i, score
		}
		if score == 0 {
			break
		}
	}
	switch {
	case best < 0:
		return 0, false
	case least < onItsWay:
		c.super.again, c.super.starved = 0, 0
	case t.superOutLocked():
	case c.super.again == 0:
		return 0, true
	default:
		c.super.again--
	}
	c.super.told.Set(best)
	c.super.at = time.Now()
	c.out = peerwire.AppendIndexed(c.out, peerwire.Have, uint32(best))
	c.openLocked(best)
	c.super.retries = 0
	return t.info.PieceSize(best), false
}

// superOutLocked reports whether every piece has reached a peer.
func (t *Torrent) superOutLocked() bool {
	for t.super.out < t.info.NumPieces() && t.pick.Availability(t.super.out) > 0 {
		t.super.out++
	}
	return t.super.out == t.info.NumPieces()
}

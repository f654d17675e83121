package torrent

import (
	"maps"
	"slices"
	"time"

	"spate/bitfield"
	"spate/peerwire"
	"spate/torrent/internal/picker"
)

// Super-seeding (BEP 16): the only seed of a swarm does not say what it has. It
// shows each peer that it serves a piece that nobody else was shown, and the
// next ones to those who pass theirs on, so that its link carries every piece
// about once before it carries any twice.
//
// The link never idles for that. Peers are shown pieces ahead of need, and more
// of them the faster they take them; while nobody has anything left to ask for,
// even those are shown more who keep pieces to themselves.
//
// A peer cannot be interested in what it is not told of, so the choker takes
// those as interested who have not proved otherwise. The first peer of a swarm
// is told the truth, and so is one that is left alone: it has nobody to pass
// anything on to.
//
// All of this is guarded by Torrent.mu.

// Bounds and pauses of super-seeding.
const (
	otherSeedFor  = time.Hour              // a seed counts as there after it was seen; trackers tell about so often
	maxKept       = 4                      // pieces that a peer may keep to itself
	maxShown      = 256                    // pieces shown ahead to one peer
	showScan      = 1024                   // pieces compared to find the next one to show
	tellAtOnce    = 4096                   // haves a second to a peer that is told the truth later
	firstCopyWait = 10 * time.Second       // for the next piece of the first copy to reach somebody
	lastPieceWait = 30 * time.Second       // for a peer that is to be choked to get the rest of its piece
	askWait       = 5 * time.Second        // for a peer to ask on for what it was shown, before others are shown it
	elsewhereWait = 2 * time.Second        // until a peer gets a piece from others that it does not ask us for
	shyWait       = 5 * time.Second        // for a peer to be interested in what it was shown
	aloneWait     = 900 * time.Millisecond // until a peer that is left alone is told the truth
	boredWait     = 15 * time.Second       // until a choked peer is shown something, lest it leaves
	onItsWay      = 1 << 8                 // in superSeed.shown: a peer that is being sent the piece
)

// superSeed is what a torrent remembers of its super-seeding. The zero value is
// that it does not.
type superSeed struct {
	shown  []uint16                 // by piece: peers that were shown it and lack it, plus onItsWay for some
	cursor int                      // where the search for the next piece to show goes on
	kept   map[uint32]picker.PeerID // pieces that this peer alone has
	out    int                      // pieces below are, or were, with others
	fresh  time.Time                // when a new piece was shown or reached somebody last
	other  time.Time                // when another seed was seen last
	alone  time.Time                // since then there is one peer; zero: there is none, or several
}

// superPeer is what super-seeding remembers of a peer.
type superPeer struct {
	on      bool              // it is not told what we have
	told    bitfield.Bitfield // but for these pieces
	open    []showing         // pieces that it was shown, or chose if it knows all, and lacks
	kept    int               // pieces that it alone has
	window  int64             // bytes that it is shown ahead
	sending int               // blocks that are being written to it
	at      time.Time         // when it was shown, or asked for, something last
	leaving time.Time         // since then it is to be choked
	met     bool              // it has said something
	shy     bool              // it is not interested in what it was shown
	rest    int               // when no longer on: the first piece that it may not know of
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
// nobody else has.
func (t *Torrent) onlySeedLocked(now time.Time) bool {
	return t.state == StateSeeding && !t.opt.PlainSeed && t.pick.HaveCount() == t.info.NumPieces() &&
		now.Sub(t.super.other) > otherSeedFor && t.pick.Seeds() == 0
}

// otherSeedLocked notes that there is another seed.
func (t *Torrent) otherSeedLocked(now time.Time) { t.super.other = now }

// foundSeeds takes a tracker's count of the seeds, of which we are one.
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
		t.super.kept = map[uint32]picker.PeerID{}
		t.super.cursor = t.rng.IntN(t.info.NumPieces())
	}
	c.super = superPeer{on: true, told: bitfield.New(t.info.NumPieces()), window: t.info.PieceLength, at: now}
	return true
}

// aloneLocked reports whether there is no other peer. A connection that is being
// dropped is none: when both sides dial at once, it is the same peer's.
func (c *conn) aloneLocked() bool {
	for _, o := range c.t.conns {
		if o != nil && o != c && !o.gone && !o.closing.Load() {
			return false
		}
	}
	return true
}

// superMetLocked is called when a peer has said what it has, or what it can.
func (c *conn) superMetLocked() {
	t := c.t
	if t.super.shown == nil {
		return
	}
	c.super.met = true
	for _, piece := range slices.Sorted(maps.Keys(t.super.kept)) {
		if t.pick.PeerHas(c.id, int(piece)) {
			c.superHasLocked(piece)
		}
	}
	if c.super.on && c.amChoking && t.freeSlotLocked() {
		c.unchokeLocked(time.Now())
	}
	c.superShowLocked()
}

// wantsLocked reports whether the peer would take data from us.
func (c *conn) wantsLocked() bool {
	return !c.idle && c.servedLocked() && (c.peerInterested || c.super.on && c.super.met && !c.super.shy && c.super.kept < maxKept)
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

// superSentLocked is called when blocks have been written to the peer. Not all
// clients say that they have a piece to those who had it before them.
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
	t := c.t
	if t.super.shown == nil {
		return
	}
	if id, alone := t.super.kept[piece]; alone && id != c.id {
		delete(t.super.kept, piece)
		if o := t.conns[id]; o != nil {
			o.super.kept--
			o.superShowLocked()
			o.kickLocked()
		}
	}
	first := t.pick.Availability(int(piece)) == 1
	if first {
		t.super.fresh = time.Now()
	}
	if i := c.showingOf(piece); i >= 0 {
		c.closeLocked(i)
		if first && c.super.on {
			t.super.kept[piece] = c.id
			if c.super.kept++; c.super.kept == maxKept {
				t.fillSlotsLocked(time.Now())
			}
		}
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
	c.t.superIdleLocked()
}

// superIdleLocked shows one piece more if nobody has anything left to ask for,
// to the peer that shares best.
func (t *Torrent) superIdleLocked() {
	var least *conn
	for _, c := range t.conns {
		switch {
		case c == nil || c.gone:
		case len(c.uploads) > 0 || c.super.sending > 0:
			return
		case !c.superServedLocked() || len(c.super.open) >= maxShown:
		case c.aheadLocked() > 0:
			return // it is about to ask
		case least == nil || c.super.kept < least.super.kept:
			least = c
		}
	}
	if least != nil && least.superShowNextLocked(true) > 0 {
		least.kickLocked()
	}
}

// superServedLocked reports whether pieces are shown to the peer.
func (c *conn) superServedLocked() bool {
	return c.super.on && !c.amChoking && c.super.leaving.IsZero()
}

// superShowLocked shows the peer as many pieces as it needs to go on.
func (c *conn) superShowLocked() {
	if !c.superServedLocked() {
		return
	}
	ahead := c.aheadLocked()
	want := max(c.super.window, int64(c.upMeter.rate/2))
	for ahead < want && len(c.super.open) < maxShown && c.super.kept < maxKept {
		n := c.superShowNextLocked(false)
		if n == 0 {
			return
		}
		ahead += n
	}
}

// aheadLocked is how many bytes the peer has before it: asked for and not yet
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
// have, and returns its length in bytes; 0 if there is none. When every piece is
// with somebody or on its way to somebody it waits for the latter, unless idle
// says that our link has nothing better to do.
func (c *conn) superShowNextLocked(idle bool) int64 {
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
		return 0
	case least < onItsWay:
		t.super.fresh = time.Now()
	case !idle && time.Since(t.super.fresh) < firstCopyWait && !t.superOutLocked():
		return 0
	}
	c.showLocked(best)
	c.openLocked(best)
	return t.info.PieceSize(best)
}

func (c *conn) showLocked(piece int) {
	c.super.told.Set(piece)
	c.super.at = time.Now()
	c.out = peerwire.AppendIndexed(c.out, peerwire.Have, uint32(piece))
}

// superOutLocked reports whether every piece has reached somebody.
func (t *Torrent) superOutLocked() bool {
	for t.super.out < t.info.NumPieces() && t.pick.Availability(t.super.out) > 0 {
		t.super.out++
	}
	return t.super.out == t.info.NumPieces()
}

package torrent

import (
	"time"

	"spate/peerwire"
	"spate/torrent/internal/picker"
)

// Bounds of the number of requests that are outstanding at one peer.
const (
	minQueue    = 1
	startQueue  = 4
	maxQueue    = 512
	defaultReqq = 250 // assumed reqq of a peer that sends none; libtorrent and others queue this many
	snubQueue   = 1
	askTogether = 64 // least requests that are sent together to a fast peer
)

// Assumptions of the endgame.
const (
	freshFor  = 5 * time.Second       // how long a peer may take to send its first block
	silentFor = time.Second           // the same while a peer that sends blocks has nothing else to send
	lookEvery = 50 * time.Millisecond // least time between two searches for blocks at silent peers
	lateLeast = 0.25                  // seconds by which a second peer must be faster, so that a block is requested twice
)

// requestState is the state of this side's requests to one peer.
type requestState struct {
	pipe        pipeline
	allowed     []int32   // pieces that may be requested while the peer chokes this side (BEP 6)
	suggested   []int32   // pieces that the peer suggested (BEP 6)
	late        int       // canceled blocks that may still arrive; negative: blocks that arrived without a request
	generation  uint32    // the picker's generation when it last had no block for the peer; 0 if it had one
	snubbed     bool      // the peer has sent no block for too long
	lastBlock   time.Time // when a block or an unchoke last arrived
	meter       meter     // measures the payload from the peer
	busyRate    float64   // average bytes a second while requests were outstanding
	busySeconds int       // seconds in which requests were outstanding
	busyBytes   int64     // conn.received at the end of the last second
	askedAt     time.Time // when a block was first requested from the peer since it last choked this side; zero if none was
	lookedAt    time.Time // when blocks at silent peers were last looked for
}

// pipeline decides how many requests are outstanding at one peer. Like TCP it starts
// slowly: each block that arrives allows one more, until the rate no longer grows. Then it
// follows the rate, so that the requests cover about one second.
type pipeline struct {
	depth     int
	slowStart bool
	lastRate  float64
}

func newPipeline() pipeline { return pipeline{depth: startQueue, slowStart: true} }

// block records that a block arrived.
func (p *pipeline) block() {
	if p.slowStart && p.depth < maxQueue {
		p.depth++
	}
}

// adjust sets the depth by the rate in bytes a second. It is called about once a second.
func (p *pipeline) adjust(rate float64) {
	ahead := int(rate / picker.BlockSize)
	if p.slowStart {
		if rate > 0 && rate < 1.1*p.lastRate || p.depth >= maxQueue {
			p.slowStart = false
		}
		p.lastRate = rate
		if p.slowStart {
			return
		}
	}
	// At most halve the depth: the rate of one second is not reliable.
	p.depth = max(minQueue, min(maxQueue, max(ahead+minQueue, p.depth/2)))
}

// wholePieceRate returns the rate in bytes a second from which a peer gets whole pieces of
// its own: the rate that finishes a piece in ten seconds.
func (t *Torrent) wholePieceRate() float64 { return float64(t.info.PieceLength) / 10 }

// refillLocked requests more blocks from the peer, unless almost as many requests as are
// allowed are outstanding already.
func (c *conn) refillLocked(now time.Time) {
	t := c.t
	if c.wire.peerChoking && len(c.req.allowed) == 0 || !c.wire.amInterested || c.end.gone || t.status.state != StateDownloading {
		return
	}
	depth := min(c.req.pipe.depth, c.ext.reqq)
	silent := c.silentLocked(now, silentFor)
	if c.req.snubbed || silent {
		depth = snubQueue
	}
	pending := t.pick.PendingOf(c.id)
	if silent && pending == 0 && now.Sub(c.req.lastBlock) < freshFor {
		return // the next blocks would wait as the last ones did
	}
	// Fewer requests at a time would cause a write for each block that arrives.
	if more := depth - pending; more < 1 || pending > 0 && more < min(askTogether, depth/4) {
		return
	}
	if pending == 0 && c.req.generation == t.pick.Generation() && c.req.generation != 0 && !t.pick.Endgame() && !c.mayLookLocked(now) {
		return
	}
	opt := picker.PickOptions{
		WholePieces: c.req.meter.rate > t.wholePieceRate(),
		Sequential:  t.opt.Sequential,
		UrgentTwice: len(t.selection.readers) > 0 && !c.req.snubbed,
		NoUrgent:    c.tooSlowLocked(),
		Suggested:   c.req.suggested,
	}
	if c.wire.peerChoking {
		opt.Only = c.req.allowed
	}
	t.pieces.picked = t.pick.Pick(t.pieces.picked[:0], c.id, depth-pending, opt)
	if len(t.pieces.picked) == 0 && pending == 0 && !c.wire.peerChoking && t.pick.Full() {
		if _, ok := t.pick.Evict(c.id); ok {
			t.pieces.picked = t.pick.Pick(t.pieces.picked[:0], c.id, depth-pending, opt)
		}
	}
	if len(t.pieces.picked) == 0 && pending == 0 && !c.wire.peerChoking && !c.req.snubbed && !silent {
		// Endgame: this side requests from the peer a few blocks that other peers were
		// asked for. Most of those are on their way already. Before the endgame these are
		// blocks at peers that never sent one, so that their pieces do not wait.
		opt.Endgame, opt.Late = true, func(p picker.PeerID) bool { return c.fasterLocked(t.peerConns.byID[p], now) }
		if !t.pick.Endgame() {
			opt.Early, opt.Late = c.mayLookLocked(now), func(p picker.PeerID) bool { return c.outwaitsLocked(t.peerConns.byID[p], now) }
			c.req.lookedAt = now
		}
		if c.received.Load() > 0 {
			opt.Requesters = picker.MaxRequesters // all that were asked may be peers that never answer
		}
		t.pieces.picked = t.pick.Pick(t.pieces.picked, c.id, max(1, depth/4), opt)
	}
	c.req.generation = 0
	if len(t.pieces.picked) == 0 {
		c.req.generation = t.pick.Generation()
		return
	}
	if pending == 0 {
		c.req.lastBlock = now
	}
	if c.req.askedAt.IsZero() {
		c.req.askedAt = now
	}
	for _, b := range t.pieces.picked {
		c.tx.control = peerwire.AppendBlock(c.tx.control, peerwire.Request, uint32(b.Piece), uint32(b.Begin), uint32(b.Length))
	}
}

// meterBusyLocked updates busyRate: the average rate over the last twenty seconds in which
// requests were outstanding. It is called about once a second.
func (c *conn) meterBusyLocked() {
	n := c.received.Load()
	if c.t.pick.PendingOf(c.id) > 0 {
		c.req.busySeconds++
		c.req.busyRate += max(0.05, 1/float64(c.req.busySeconds)) * (float64(n-c.req.busyBytes) - c.req.busyRate)
	}
	c.req.busyBytes = n
}

// fasterLocked reports whether c would send a block sooner than o, which was asked for it
// and other blocks.
func (c *conn) fasterLocked(o *conn, now time.Time) bool {
	if o == nil || o.req.snubbed {
		return true
	}
	if o.req.busyRate == 0 && now.Sub(o.req.lastBlock) < freshFor {
		return c.outwaitsLocked(o, now)
	}
	seconds := float64(c.t.pick.PendingOf(o.id)*picker.BlockSize) / max(1, o.req.busyRate)
	seconds = max(seconds, now.Sub(o.req.lastBlock).Seconds())
	return seconds > lateLeast+c.secondsLocked()
}

// secondsLocked returns how many seconds c probably takes to send eight blocks.
func (c *conn) secondsLocked() float64 {
	rate := c.req.busyRate
	if rate == 0 {
		// Not known: assume the average of all peers, or that all blocks of the peer arrived within a second.
		rate = max(1, c.t.rates.down.rate/float64(c.t.peerConns.n), float64(c.received.Load()))
	}
	return 8 * picker.BlockSize / rate
}

// silentLocked reports whether the peer has never sent a block, and was first asked for one longer ago
// than d.
func (c *conn) silentLocked(now time.Time, d time.Duration) bool {
	return c.received.Load() == 0 && !c.req.askedAt.IsZero() && now.Sub(c.req.askedAt) > d
}

// outwaitsLocked reports whether o never sent a block although it was asked for some so long ago that
// c, which sends blocks, would have sent them. It is false for a web seed, where o is nil.
func (c *conn) outwaitsLocked(o *conn, now time.Time) bool {
	return o != nil && (o.req.snubbed ||
		c.received.Load() > 0 && o.silentLocked(now, silentFor+time.Duration(c.secondsLocked()*float64(time.Second))))
}

// mayLookLocked reports whether blocks that silent peers were asked for may be requested from c too, as
// far as c and the time since the last search are concerned.
func (c *conn) mayLookLocked(now time.Time) bool {
	return c.received.Load() > 0 && !c.wire.peerChoking && !c.req.snubbed && now.Sub(c.req.lookedAt) >= lookEvery
}

// refillOthersLocked lets every connection request blocks that became free.
func (t *Torrent) refillOthersLocked() {
	if t.status.state != StateDownloading {
		return
	}
	t.slots.passes++
	now := time.Now()
	for _, c := range t.peerConns.byID {
		if c != nil {
			c.refillLocked(now)
			c.kickLocked()
		}
	}
}

// cancelLocked cancels a request that another peer has answered.
func (c *conn) cancelLocked(b picker.Block) {
	c.req.late++
	c.tx.control = peerwire.AppendBlock(c.tx.control, peerwire.Cancel, uint32(b.Piece), uint32(b.Begin), uint32(b.Length))
	c.kickLocked()
}

// checkSnubbedLocked gives the requests of a peer to others if it has sent no block for too
// long.
func (c *conn) checkSnubbedLocked(now time.Time) {
	t := c.t
	if c.finishing.Load() || c.sock.WaitingDown() {
		c.req.lastBlock = now // this side keeps the peer waiting
		return
	}
	if c.req.snubbed || t.pick.PendingOf(c.id) == 0 || now.Sub(c.req.lastBlock) < t.patience {
		return
	}
	c.req.snubbed = true
	c.req.pipe = newPipeline()
	if n := t.pick.AbandonAll(c.id); n > 0 {
		c.req.late += n
		t.refillOthersLocked()
	}
}

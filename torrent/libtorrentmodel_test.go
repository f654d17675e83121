package torrent_test

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Defaults of libtorrent 2.0.8.
const (
	ltSlots              = 8                // unchoke_slots_limit
	ltOptimisticSlots    = 1                // num_optimistic_unchoke_slots: a fifth of the slots
	ltUnchokeTicks       = 15               // unchoke_interval in seconds
	ltOptimisticTicks    = 30               // optimistic_unchoke_interval in seconds
	ltQueueTime          = 3                // request_queue_time in seconds
	ltMinQueue           = 2                // min_request_queue
	ltMaxQueue           = 500              // max_out_request_queue
	ltFirstQueue         = 4                // requests before the first block has arrived
	ltWholePieceTime     = 20               // whole_pieces_threshold in seconds
	ltMaxContiguous      = 8 << 20          // most bytes that are requested in one run
	ltRandomPieces       = 4                // initial_picker_threshold
	ltPieceTimeout       = 20 * time.Second // piece_timeout
	ltRequestTimeout     = 60 * time.Second // request_timeout
	ltReconnectTime      = 60 * time.Second // min_reconnect_time
	ltSeedQuota          = 20               // seeding_piece_quota: pieces that a seed sends in one turn
	ltSlowStartSlack     = 5000             // growth of the rate below which the slow start ends, in bytes a second
	ltRequestTimeSamples = 20               // weight of the past in the average time of a request
)

// libtorrentModel behaves like libtorrent 2.0.8 with default settings.
//
// Uploads: at most eight peers are unchoked. An interested peer is unchoked at once while
// a slot is free, and choked when its interest ends. Every 15 s the peers that sent most since
// the last round get seven of the slots, and every 30 s the peer that has waited longest
// gets the optimistic slot.
//
// Interest follows each have message and each completed piece at once. A have message leads
// to a request only if there was no interest before. If the peer has fewer blocks than the
// queue could hold, the connection is in the endgame: one request at a time, until a request
// finds enough blocks again.
//
// Requests: four random pieces first, then the rarest. A fast peer gets runs of neighbouring
// pieces as long as it would deliver in 20 s. All of their blocks are reserved for it. The
// queue holds what arrives in 3 s; before that it grows by one with each block.
type libtorrentModel struct {
	p             *foreignPeer
	unchokeIn     int // ticks until the next round
	optimisticIn  int
	order         []int64 // random order of pieces of equal rarity
	optimisticNow *foreignConn

	run, backup []foreignBlock // used by pick
	candidates  []int
}

// libtorrentConn is what the model records about a connection.
type libtorrentConn struct {
	queue        []*foreignRequest // chosen requests that are not sent yet
	target       int               // requests that should be outstanding
	slowStart    bool
	endgame      bool
	snubbed      bool
	rate         float64 // average of the last seconds, bytes a second
	second       int64   // down at the last tick
	lastSecond   int64   // bytes that arrived in the second before the last tick
	blockAt      time.Time
	waitingSince time.Time // when the answer to the next request began to be awaited
	requestedAt  time.Time // when a request was last sent
	requestTime  averageTime

	roundDown, roundUp int64 // down and up at the last round
	upAtUnchoke        int64
	unchokedAt         time.Time
	optimisticAt       time.Time
}

func newLibtorrent(p *foreignPeer) clientModel {
	m := &libtorrentModel{p: p, order: make([]int64, p.pieces.have.Len())}
	for i := range m.order {
		m.order[i] = p.rng.Int64()
	}
	return m
}

func (m *libtorrentModel) traits() clientTraits {
	return clientTraits{name: "libtorrent 2.0.8", fast: true, tick: time.Second}
}

func (m *libtorrentModel) joined(c *foreignConn) {
	c.lt = libtorrentConn{target: ltFirstQueue, slowStart: true}
}

func (m *libtorrentModel) has(c *foreignConn, piece int) {
	if piece >= 0 {
		m.order[piece] = m.p.rng.Int64()
		if c.isSeed() && m.closedIfUseless(c) { // before the interest in the last piece begins
			return
		}
		if !m.p.pieces.have.Get(piece) && !c.amInterested {
			m.becomeInterested(c)
		}
	} else if m.p.pieces.have.Lacks(c.known) {
		m.becomeInterested(c)
	}
	m.closedIfUseless(c)
}

// becomeInterested tells the peer so and requests blocks.
func (m *libtorrentModel) becomeInterested(c *foreignConn) {
	c.setInterested(true)
	m.request(c)
}

// closedIfUseless ends the connection to a peer that downloads nothing and in which there is
// no interest, and reports whether it did. It dials the peer again later if pieces are missing.
func (m *libtorrentModel) closedIfUseless(c *foreignConn) bool {
	if c.gone || c.amInterested || !c.introduced || !c.uploadOnly && !c.isSeed() {
		return c.gone
	}
	c.end()
	to := netip.AddrPortFrom(c.remote, m.p.addr.Port())
	time.AfterFunc(ltReconnectTime, func() {
		m.p.mu.Lock()
		defer m.p.mu.Unlock()
		if !m.p.pieces.have.All() {
			m.p.dialSoon(to)
		}
	})
	return true
}

func (m *libtorrentModel) chokeChanged(c *foreignConn) {
	if c.choked {
		c.lt.endgame = false
		m.clearQueue(c)
		return
	}
	if c.amInterested {
		m.request(c)
	}
}

// clearQueue makes the chosen requests that were not sent yet available to other peers.
func (m *libtorrentModel) clearQueue(c *foreignConn) {
	for _, r := range c.lt.queue {
		m.p.pieces.release(r.foreignBlock)
	}
	c.lt.queue = nil
}

func (m *libtorrentModel) received(c *foreignConn, r *foreignRequest) {
	now := time.Now()
	if c.lt.slowStart {
		c.lt.target++
	}
	m.updateTarget(c)
	if now.Sub(c.lt.waitingSince) < c.lt.requestTime.timeout() {
		c.lt.snubbed = false
	}
	m.answered(c, now)
	if m.p.pieces.block(r.foreignBlock).asked > 1 {
		m.cancelElsewhere(c, r.foreignBlock)
	}
	if m.p.pieces.full(r.piece) {
		m.p.finish(r.piece)
	}
	if !c.gone {
		m.request(c)
	}
}

func (m *libtorrentModel) wasted(c *foreignConn) {
	m.answered(c, time.Now())
	m.request(c)
}

// answered records that an answer to a request has arrived.
func (m *libtorrentModel) answered(c *foreignConn, now time.Time) {
	c.lt.blockAt = now
	c.lt.requestTime.add(now.Sub(c.lt.waitingSince))
	c.lt.waitingSince = now
}

// cancelElsewhere cancels the requests for a block on other connections.
func (m *libtorrentModel) cancelElsewhere(from *foreignConn, b foreignBlock) {
	for _, c := range m.p.conns {
		if c == from {
			continue
		}
		c.lt.queue = slices.DeleteFunc(c.lt.queue, func(r *foreignRequest) bool { return r.foreignBlock == b })
		for _, r := range c.asked {
			if r.foreignBlock == b {
				r.abandoned = true
				c.cancel(r)
			}
		}
	}
}

func (m *libtorrentModel) rejected(c *foreignConn) {
	if len(c.lt.queue) == 0 && len(c.asked) < 2 {
		m.request(c)
	}
}

func (m *libtorrentModel) completed(piece int) {
	conns := slices.Clone(m.p.conns)
	for _, c := range conns {
		if c.ready {
			c.tellHave(piece)
		}
	}
	for _, c := range conns {
		switch {
		case !c.ready:
		case m.p.pieces.have.Lacks(c.known):
			if c.amInterested && c.known.Get(piece) {
				m.becomeInterested(c)
			}
		case c.amInterested:
			c.setInterested(false)
			c.lt.slowStart = false
			fallthrough
		default:
			m.closedIfUseless(c)
		}
	}
}

func (m *libtorrentModel) wrote(*foreignConn) {}

func (m *libtorrentModel) handled(*foreignConn) {}

func (m *libtorrentModel) left(c *foreignConn) {
	m.clearQueue(c)
	if m.optimisticNow == c {
		m.optimisticNow, m.optimisticIn = nil, 0
	}
}

func (m *libtorrentModel) tick(now time.Time) {
	for _, c := range slices.Clone(m.p.conns) {
		if c.ready {
			m.tickConn(c, now)
		}
	}
	m.unchokeIn--
	m.optimisticIn--
	if m.unchokeIn <= 0 {
		m.unchokeIn = ltUnchokeTicks
		m.unchokeRound(now)
	}
	if m.optimisticIn <= 0 {
		m.optimisticIn = ltOptimisticTicks
		m.optimisticRound(now)
	}
}

// tickConn looks for requests that take too long, and updates the rate and the queue.
func (m *libtorrentModel) tickConn(c *foreignConn, now time.Time) {
	lt := &c.lt
	if lt.endgame && c.amInterested && len(c.asked) == 0 && len(lt.queue) == 0 && now.Sub(lt.requestedAt) >= 5*time.Second {
		lt.requestedAt = now
		m.request(c)
	}
	if len(c.asked) > 0 && now.Sub(lt.waitingSince) > lt.requestTime.timeout() {
		m.snub(c)
	}
	arrived := c.down - lt.second
	lt.second = c.down
	if lt.slowStart && !c.choked && lt.lastSecond > 0 && lt.lastSecond+ltSlowStartSlack >= arrived {
		lt.slowStart = false
	}
	lt.lastSecond = arrived
	lt.rate = lt.rate*4/5 + float64(arrived)/5
	m.updateTarget(c)
	if len(c.asked) > 0 && now.Sub(lt.blockAt) > ltPieceTimeout {
		m.snub(c)
	}
}

// updateTarget sets the number of requests that should be outstanding.
func (m *libtorrentModel) updateTarget(c *foreignConn) {
	switch lt := &c.lt; {
	case lt.snubbed:
		lt.target = 1
	case lt.slowStart:
		lt.target = min(lt.target, ltMaxQueue)
	default:
		lt.target = min(max(int(ltQueueTime*lt.rate)/blockLen, ltMinQueue), ltMaxQueue)
	}
}

// snub makes blocks that a peer does not deliver available to other peers: all that were not
// requested yet, and the last one that was, if its piece has no other free block.
func (m *libtorrentModel) snub(c *foreignConn) {
	c.lt.snubbed, c.lt.slowStart, c.lt.target = true, false, 1
	m.clearQueue(c)
	for _, r := range slices.Backward(c.asked) {
		if r.abandoned {
			continue
		}
		if m.p.pieces.unasked[r.piece] == 0 {
			r.abandoned = true
			m.p.pieces.release(r.foreignBlock)
		}
		return
	}
}

func (m *libtorrentModel) interestChanged(c *foreignConn) {
	switch {
	case c.interested && !c.amChoking:
	case c.interested && m.unchoked() < ltSlots:
		m.unchoke(c)
	case !c.interested && !c.amChoking:
		m.choke(c)
		m.unchokeIn = 0
	}
}

func (m *libtorrentModel) unchoked() (n int) {
	for _, c := range m.p.conns {
		if !c.amChoking {
			n++
		}
	}
	return n
}

func (m *libtorrentModel) unchoke(c *foreignConn) {
	c.setChoking(false)
	c.lt.unchokedAt, c.lt.upAtUnchoke = time.Now(), c.up
}

func (m *libtorrentModel) choke(c *foreignConn) {
	if m.optimisticNow == c {
		m.optimisticNow, m.optimisticIn = nil, 0
	}
	c.setChoking(true)
}

// unchokeRound gives the slots, except the optimistic one, to the peers that sent most since
// the last round, and then to the peers that took most.
func (m *libtorrentModel) unchokeRound(now time.Time) {
	var peers []*foreignConn
	for _, c := range m.p.conns {
		if c.ready && c.interested {
			peers = append(peers, c)
		}
	}
	slices.SortStableFunc(peers, func(a, b *foreignConn) int {
		return cmp.Or(
			cmp.Compare(b.down-b.lt.roundDown, a.down-a.lt.roundDown),
			cmp.Compare(m.turnOver(a, now), m.turnOver(b, now)),
			cmp.Compare(m.sentInRound(b), m.sentInRound(a)),
			a.lt.unchokedAt.Compare(b.lt.unchokedAt),
		)
	})
	free := ltSlots - ltOptimisticSlots
	for _, c := range peers {
		c.lt.roundDown, c.lt.roundUp = c.down, c.up
		switch {
		case free > 0:
			free--
			if c.amChoking {
				m.unchoke(c)
			}
			if m.optimisticNow == c {
				m.optimisticNow, m.optimisticIn = nil, 0
			}
		case !c.amChoking && m.optimisticNow != c:
			c.setChoking(true)
		}
	}
}

// turnOver returns 1 if a peer has had its slot for long enough, and 0 otherwise.
func (m *libtorrentModel) turnOver(c *foreignConn, now time.Time) int {
	if !c.amChoking && c.up-c.lt.upAtUnchoke > int64(m.p.pieces.length)*ltSeedQuota && now.Sub(c.lt.unchokedAt) > time.Minute {
		return 1
	}
	return 0
}

// sentInRound returns the bytes sent to an unchoked peer since the last round.
func (m *libtorrentModel) sentInRound(c *foreignConn) int64 {
	if c.amChoking {
		return 0
	}
	return c.up - c.lt.roundUp
}

// optimisticRound gives the optimistic slot to the peer that has waited longest for it.
func (m *libtorrentModel) optimisticRound(now time.Time) {
	var next *foreignConn
	for _, c := range m.p.conns {
		if c.ready && c.interested && (c.amChoking || m.optimisticNow == c) && (next == nil || c.lt.optimisticAt.Before(next.lt.optimisticAt)) {
			next = c
		}
	}
	if next == nil || next == m.optimisticNow {
		return
	}
	if last := m.optimisticNow; last != nil {
		last.setChoking(true)
	}
	m.optimisticNow = next
	next.lt.optimisticAt = now
	m.unchoke(next)
}

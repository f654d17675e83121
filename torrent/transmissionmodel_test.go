package torrent_test

import (
	"cmp"
	"slices"
	"time"
)

// Defaults of Transmission 3.00.
const (
	trSlots           = 14                     // upload_slots_per_torrent
	trPulse           = 500 * time.Millisecond // BANDWIDTH_PERIOD_MSEC
	trRechokePulses   = 20                     // RECHOKE_PERIOD_MSEC: 10 s
	trOptimisticRuns  = 4                      // OPTIMISTIC_UNCHOKE_MULTIPLIER
	trNewFor          = 45 * time.Second       // age up to which a peer is three times as likely to get the optimistic slot
	trMinChokeTime    = 10 * time.Second       // MIN_CHOKE_PERIOD_SEC
	trQueueTime       = 10                     // REQUEST_BUF_SECS
	trMinQueue        = 4
	trRefillBelow     = 0.66             // part of the queue below which more requests are sent
	trRequestLife     = 90 * time.Second // REQUEST_TTL_SECS
	trHistory         = 60               // CANCEL_HISTORY_SEC
	trMinInteresting  = 5                // MIN_INTERESTING_PEERS
	trMostInteresting = 50               // peer-limit-per-torrent
	trRateSlots       = 10               // HISTORY_SIZE: the rate is an average of ten slots
	trRateSlot        = 200 * time.Millisecond
	trSlowBatch       = 10 * time.Second // LOW_PRIORITY_INTERVAL_SECS: how long a have message may wait for others
	trFastBatch       = 2 * time.Second  // HIGH_PRIORITY_INTERVAL_SECS
	trSeedsTogether   = 30 * time.Second // how long a seed stays connected to a seed
)

// transmissionModel behaves like Transmission 3.00 with default settings. It has no Fast
// extension.
//
// Every 10 s it decides which peers are unchoked, and which it is interested in. It does
// neither in between, so that the first piece that a peer shows may wait for 10 s. Up to 14
// interested peers are unchoked: those that send most, then at random. One more gets the
// optimistic slot for 50 s.
//
// Requests and other messages are sent twice a second, or whenever the connection has taken
// data. Have messages wait for up to 10 s for another message. The queue holds what arrives in
// 10 s, at least four requests, and is filled when it is down to two thirds.
//
// It requests the piece with the fewest blocks to request first, and then the rarest. In the
// endgame a block may be requested from two peers.
type transmissionModel struct {
	p              *foreignPeer
	order          []int64 // random order of pieces that are equal otherwise
	pulses         int
	optimistic     *foreignConn
	optimisticRuns int
	mostPeers      int // how many peers it may be interested in
	interestedIn   int
	lastCancel     time.Time
	endgame        int // average number of requests of a peer in the endgame, otherwise 0
	candidates     []int
}

// transmissionConn is what the model records about a connection.
type transmissionConn struct {
	since          time.Time
	chokeChangedAt time.Time
	want           int // requests that should be outstanding
	batchedAt      time.Time
	batchFor       time.Duration // how long the messages may wait
	down, up       windowRate
	blocks, cancel history
}

func newTransmission(p *foreignPeer) clientModel {
	m := &transmissionModel{p: p, order: make([]int64, p.pieces.have.Len()), mostPeers: trMostInteresting, lastCancel: time.Now()}
	for i := range m.order {
		m.order[i] = p.rng.Int64()
	}
	return m
}

func (m *transmissionModel) traits() clientTraits {
	return clientTraits{name: "Transmission 3.00", tick: trPulse, batches: true}
}

func (m *transmissionModel) joined(c *foreignConn) {
	c.tr.since, c.tr.batchFor = time.Now(), trSlowBatch
}

func (m *transmissionModel) interestChanged(*foreignConn) {}
func (m *transmissionModel) has(*foreignConn, int)        {}
func (m *transmissionModel) chokeChanged(*foreignConn)    {}
func (m *transmissionModel) rejected(*foreignConn)        {}
func (m *transmissionModel) wasted(*foreignConn)          {}

func (m *transmissionModel) received(c *foreignConn, r *foreignRequest) {
	now := time.Now()
	for _, o := range m.p.conns {
		if o != c {
			if other := o.takeRequest(r.foreignBlock); other != nil {
				o.cancel(other)
				o.tr.cancel.add(now)
				o.tr.batchFor = 0
			}
		}
	}
	c.tr.blocks.add(now)
	if m.p.pieces.full(r.piece) {
		m.p.finish(r.piece)
	}
}

func (m *transmissionModel) completed(piece int) {
	for _, c := range m.p.conns {
		if c.ready {
			c.tellHave(piece)
		}
	}
}

func (m *transmissionModel) handled(*foreignConn) {}

func (m *transmissionModel) left(c *foreignConn) {
	if m.optimistic == c {
		m.optimistic = nil
	}
}

func (m *transmissionModel) wrote(c *foreignConn) { m.pulse(c, time.Now()) }

func (m *transmissionModel) tick(now time.Time) {
	for _, c := range slices.Clone(m.p.conns) {
		switch {
		case !c.ready:
		case m.p.pieces.have.All() && c.isSeed() && now.Sub(c.tr.since) >= trSeedsTogether:
			c.end()
		default:
			m.pulse(c, now)
		}
	}
	m.pulses++
	if m.pulses%trRechokePulses == 0 {
		m.chooseUploads(now)
		m.chooseDownloads(now)
		m.cancelOld(now)
	}
}

// pulse sends requests, and the messages that have waited long enough.
func (m *transmissionModel) pulse(c *foreignConn, now time.Time) {
	tr := &c.tr
	tr.want = 0
	if !m.p.pieces.have.All() && !c.choked && c.amInterested {
		tr.want = max(trMinQueue, int(tr.down.rate(now, c.down)*trQueueTime)/blockLen)
		if c.reqq > 0 {
			tr.want = min(tr.want, c.reqq)
		}
	}
	if tr.want > 0 && float64(len(c.asked)) <= float64(tr.want)*trRefillBelow {
		m.request(c, tr.want-len(c.asked))
	}
	if len(c.control) == c.released {
		return
	}
	second := now.Truncate(time.Second)
	if tr.batchedAt.IsZero() {
		tr.batchedAt = second
		if len(c.uploads) == 0 {
			return
		}
	}
	if second.Sub(tr.batchedAt) >= tr.batchFor {
		c.release()
		tr.batchedAt, tr.batchFor = time.Time{}, trSlowBatch
	}
}

// request sends up to n requests.
func (m *transmissionModel) request(c *foreignConn, n int) {
	f := &m.p.pieces
	m.updateEndgame()
	m.candidates = m.candidates[:0]
	for i := range c.known.Ones() {
		if !f.have.Get(i) && (f.unasked[i] > 0 || m.endgame > 0) {
			m.candidates = append(m.candidates, i)
		}
	}
	slices.SortFunc(m.candidates, func(a, b int) int {
		return cmp.Or(cmp.Compare(m.weight(a), m.weight(b)), cmp.Compare(f.peers[a], f.peers[b]), cmp.Compare(m.order[a], m.order[b]))
	})
	for _, i := range m.candidates {
		for j := range f.blocks(i) {
			b := foreignBlock{i, j}
			if n <= 0 {
				return
			}
			if m.mayRequest(c, b, n) {
				f.request(b, c)
				c.ask(&foreignRequest{foreignBlock: b})
				c.tr.batchFor = 0
				n--
			}
		}
	}
}

// weight returns the blocks of a piece that remain to be requested. Pieces without such a
// block come last.
func (m *transmissionModel) weight(piece int) int {
	f := &m.p.pieces
	if f.unasked[piece] > 0 {
		return f.unasked[piece]
	}
	n := f.blocks(0)
	for _, s := range f.started[piece] {
		if !s.arrived {
			n += s.asked
		}
	}
	return n
}

// mayRequest reports whether a block can be one of the next n requests to a peer.
func (m *transmissionModel) mayRequest(c *foreignConn, b foreignBlock, n int) bool {
	s := m.p.pieces.block(b)
	switch {
	case s.arrived:
		return false
	case s.asked == 0:
		return true
	}
	return m.endgame > 0 && s.asked == 1 && s.by != c && len(c.asked)+n >= m.endgame
}

// updateEndgame begins the endgame when as much is requested as is missing.
func (m *transmissionModel) updateEndgame() {
	requests, peers := 0, 0
	for _, c := range m.p.conns {
		requests += len(c.asked)
		if len(c.asked) > 0 {
			peers++
		}
	}
	missing := int64(len(m.p.data)) - m.p.stats.BytesDone
	switch {
	case int64(requests)*blockLen < missing:
		m.endgame = 0
	case m.endgame == 0:
		m.endgame = requests / max(peers, 1)
	}
}

// cancelOld cancels requests that have had no answer for long.
func (m *transmissionModel) cancelOld(now time.Time) {
	for _, c := range m.p.conns {
		for _, r := range slices.Clone(c.asked) {
			if now.Sub(r.at) >= trRequestLife {
				c.takeRequest(r.foreignBlock)
				m.p.pieces.release(r.foreignBlock)
				c.cancel(r)
				c.tr.cancel.add(now)
				c.tr.batchFor = 0
			}
		}
	}
}

// chooseUploads decides which peers are unchoked.
func (m *transmissionModel) chooseUploads(now time.Time) {
	if m.optimisticRuns > 0 {
		m.optimisticRuns--
	} else {
		m.optimistic = nil
	}
	type candidate struct {
		c    *foreignConn
		rate float64
		salt int64
	}
	var all []candidate
	for _, c := range m.p.conns {
		switch {
		case !c.ready:
		case c.isSeed():
			m.setChoking(c, true, now)
		case c != m.optimistic:
			rate := c.tr.down.rate(now, c.down)
			if m.p.pieces.have.All() {
				rate = c.tr.up.rate(now, c.up)
			}
			all = append(all, candidate{c, rate, m.p.rng.Int64()})
		}
	}
	choked := func(a candidate) int {
		if a.c.amChoking {
			return 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.rate, a.rate), cmp.Compare(choked(a), choked(b)), cmp.Compare(a.salt, b.salt))
	})
	free, n := trSlots, 0
	for ; n < len(all) && free > 0; n++ {
		if all[n].c.interested {
			free--
		}
	}
	var pool []*foreignConn
	for _, a := range all[n:] {
		if a.c.interested {
			pool = append(pool, a.c)
			if now.Sub(a.c.tr.since) < trNewFor {
				pool = append(pool, a.c, a.c)
			}
		}
	}
	if m.optimistic == nil && len(pool) > 0 {
		m.optimistic, m.optimisticRuns = pool[m.p.rng.IntN(len(pool))], trOptimisticRuns
	}
	for i, a := range all {
		m.setChoking(a.c, i >= n && a.c != m.optimistic, now)
	}
}

// setChoking chokes or unchokes a peer, unless that has changed shortly before.
func (m *transmissionModel) setChoking(c *foreignConn, yes bool, now time.Time) {
	if c.amChoking != yes && now.Sub(c.tr.chokeChangedAt) >= trMinChokeTime {
		c.setChoking(yes)
		c.tr.chokeChangedAt, c.tr.batchFor = now, 0
	}
}

// chooseDownloads decides which peers it is interested in. Cancelled requests make it ask
// fewer peers, and peers to which it sends many of them are the last choice.
func (m *transmissionModel) chooseDownloads(now time.Time) {
	if m.p.pieces.have.All() {
		for _, c := range m.p.conns {
			m.setInterested(c, false)
		}
		return
	}
	type candidate struct {
		c     *foreignConn
		state int // 0 is good, 1 is untested, 2 is bad
		salt  int64
	}
	var all []candidate
	blocks, cancels := 0, 0
	for _, c := range m.p.conns {
		if !c.ready {
			continue
		}
		b, x := c.tr.blocks.count(now), c.tr.cancel.count(now)
		if b > 0 {
			blocks, cancels = blocks+b, cancels+x
		}
		if !m.p.pieces.have.Lacks(c.known) {
			m.setInterested(c, false)
			continue
		}
		state := 2
		switch {
		case b == 0 && x == 0:
			state = 1
		case b > 0 && x*10 < b:
			state = 0
		}
		all = append(all, candidate{c, state, m.p.rng.Int64()})
	}
	most := 0
	if cancels > 0 {
		most = int(float64(m.interestedIn) * (1 - min(float64(cancels)/float64(cancels+blocks), 0.5)))
		m.lastCancel = now
	} else {
		most = m.mostPeers + int(15*min(now.Sub(m.lastCancel).Seconds()/(2*trHistory), 1))
	}
	m.mostPeers = min(max(most, trMinInteresting), trMostInteresting)
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.state, b.state), cmp.Compare(a.salt, b.salt))
	})
	m.interestedIn = min(m.mostPeers, len(all))
	for i, a := range all {
		m.setInterested(a.c, i < m.interestedIn)
	}
}

func (m *transmissionModel) setInterested(c *foreignConn, yes bool) {
	if c.ready && c.amInterested != yes {
		c.setInterested(yes)
		c.tr.batchFor = min(c.tr.batchFor, trFastBatch)
	}
}

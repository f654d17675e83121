package torrent_test

import (
	"cmp"
	"slices"
	"time"
)

// Defaults of aria2 1.36.0.
const (
	a2FirstQueue     = 6                // DEFAULT_MAX_OUTSTANDING_REQUEST
	a2MaxQueue       = 256              // UB_MAX_OUTSTANDING_REQUEST
	a2ChokeInterval  = 10 * time.Second // CHOKE_ROUND_INTERVAL
	a2Slots          = 3                // regular slots
	a2Rounds         = 3                // rounds until the optimistic slot changes
	a2RecentDownload = 30 * time.Second // a peer that sent nothing for this long gets no regular slot for its rate
	a2RecentUnchoke  = 20 * time.Second // TIME_FRAME: a seed keeps a peer unchoked for so long
	a2RequestTimeout = 60 * time.Second // bt-request-timeout
	a2Inactive       = 60 * time.Second // a connection without requests and blocks ends after this time
	a2Uninterested   = 30 * time.Second // the same if neither side is interested
	a2RateWindow     = 10 * time.Second // WINDOW_TIME
	a2DialAfter      = 2 * time.Second  // measured: the first block arrives 2.1 to 2.4 s after the start
)

// aria2Model behaves like aria2 1.36.0 with default settings.
//
// Each time that a connection has data to read or room to write, and once a second, it looks
// at that connection only: it decides on its interest, sends the choke or unchoke that is
// due, the have messages of new pieces, and requests. What it sends to a peer stays in
// order, so that have messages wait behind the blocks that the peer requested before.
//
// Uploads: every 10 s, and whenever the interest of a peer begins or ends, three peers are
// unchoked: those that send most, then random ones, where a peer without interest can
// waste a slot. Every third time a random peer gets the optimistic slot.
//
// The queue holds six requests, and doubles when a quarter of it arrives at once, up to
// 256. The rarest piece that no other connection has reserved is next. If there is none,
// each connection requests any missing block.
type aria2Model struct {
	p          *foreignPeer
	order      []int // random order of pieces that are equally rare
	reserved   []int // number of connections that have reserved each piece
	haves      []int // pieces in the order in which they were completed
	endgame    bool
	round      int
	seedRound  int
	lastRound  time.Time
	candidates []int
}

// aria2Conn is what the model records about a connection.
type aria2Conn struct {
	targets        []int // reserved pieces
	queue          int   // most requests without an answer
	outstanding    int   // len(asked) at the end of the last look
	told           int   // number of haves that were sent
	chokeRequired  bool
	optimistic     bool
	snubbing       bool
	unchokedAt     time.Time
	downloadedAt   time.Time
	activeAt       time.Time // when a block or a request last arrived
	down, up       slottedRate
	uploadsCounted int // requests of the peer at the last look
}

func newAria2(p *foreignPeer) clientModel {
	n := p.pieces.have.Len()
	m := &aria2Model{p: p, order: p.rng.Perm(n), reserved: make([]int, n)}
	for i := range p.pieces.have.Ones() {
		m.haves = append(m.haves, i)
	}
	return m
}

func (m *aria2Model) traits() clientTraits {
	return clientTraits{name: "aria2 1.36.0", fast: true, tick: time.Second, dialAfter: a2DialAfter, ordered: true}
}

func (m *aria2Model) joined(c *foreignConn) {
	c.a2 = aria2Conn{queue: a2FirstQueue, told: len(m.haves), chokeRequired: true, activeAt: time.Now()}
}

func (m *aria2Model) has(*foreignConn, int)  {}
func (m *aria2Model) rejected(*foreignConn)  {}
func (m *aria2Model) wasted(c *foreignConn)  { m.downloaded(c) }
func (m *aria2Model) handled(c *foreignConn) { m.look(c, true) }
func (m *aria2Model) wrote(c *foreignConn)   { m.look(c, false) }

func (m *aria2Model) interestChanged(c *foreignConn) {
	if c.interested == c.amChoking {
		m.choose(time.Now())
	}
}

func (m *aria2Model) chokeChanged(c *foreignConn) {
	if c.choked {
		c.dropRequests()
		m.unreserve(c)
	}
}

func (m *aria2Model) received(c *foreignConn, r *foreignRequest) {
	c.a2.snubbing = false
	m.downloaded(c)
	if m.p.pieces.full(r.piece) {
		m.p.finish(r.piece)
	}
}

func (m *aria2Model) downloaded(c *foreignConn) {
	now := time.Now()
	c.a2.downloadedAt, c.a2.activeAt = now, now
	c.a2.down.update(now, c.down)
}

func (m *aria2Model) completed(piece int) { m.haves = append(m.haves, piece) }

func (m *aria2Model) left(c *foreignConn) {
	m.unreserve(c)
	if !c.amChoking && c.interested {
		m.choose(time.Now())
	}
}

func (m *aria2Model) unreserve(c *foreignConn) {
	for _, i := range c.a2.targets {
		m.reserved[i]--
	}
	c.a2.targets = nil
}

func (m *aria2Model) tick(now time.Time) {
	if now.Sub(m.lastRound) >= a2ChokeInterval {
		m.choose(now)
	}
	for _, c := range slices.Clone(m.p.conns) {
		if c.ready && !m.closed(c, now) {
			m.checkRequests(c, now)
			m.look(c, false)
		}
	}
}

// closed ends a connection of no use, and reports whether it did.
func (m *aria2Model) closed(c *foreignConn, now time.Time) bool {
	idle := now.Sub(c.a2.activeAt)
	if idle >= a2Inactive || idle >= a2Uninterested && !c.amInterested && !c.interested || c.isSeed() && m.p.pieces.have.All() {
		c.end()
	}
	return c.gone
}

// checkRequests cancels the requests for blocks that have arrived elsewhere, and gives up
// those that have had no answer for long.
func (m *aria2Model) checkRequests(c *foreignConn, now time.Time) {
	for _, r := range slices.Clone(c.asked) {
		late := now.Sub(r.at) >= a2RequestTimeout
		switch {
		case late:
			c.a2.snubbing = true
			m.p.pieces.release(r.foreignBlock)
		case m.p.pieces.have.Get(r.piece) || m.p.pieces.block(r.foreignBlock).arrived:
			c.cancel(r)
		default:
			continue
		}
		c.takeRequest(r.foreignBlock)
	}
}

// look does all that is due on a connection.
func (m *aria2Model) look(c *foreignConn, reading bool) {
	if c.gone || !c.ready {
		return
	}
	now, a := time.Now(), &c.a2
	if n := len(c.uploads); n > a.uploadsCounted {
		a.activeAt = now
	}
	a.uploadsCounted = len(c.uploads)
	a.up.update(now, c.up)
	if answered := a.outstanding - len(c.asked); reading && !m.endgame && answered > 0 && answered*4 >= a.queue {
		a.queue = min(2*a.queue, a2MaxQueue)
	}
	if choke := a.chokeRequired && !a.optimistic; choke != c.amChoking {
		c.setChoking(choke)
		if !choke {
			a.unchokedAt = now
		}
	}
	c.setInterested(m.p.pieces.have.Lacks(c.known))
	for ; a.told < len(m.haves); a.told++ {
		c.tellHave(m.haves[a.told])
	}
	if !m.p.pieces.have.All() {
		m.request(c)
	}
	a.outstanding = len(c.asked)
}

// request reserves pieces until they have as many missing blocks as the queue holds
// requests, and requests their blocks.
func (m *aria2Model) request(c *foreignConn) {
	f, a := &m.p.pieces, &c.a2
	a.targets = slices.DeleteFunc(a.targets, func(i int) bool {
		if f.have.Get(i) {
			m.reserved[i]--
			c.asked = slices.DeleteFunc(c.asked, func(r *foreignRequest) bool { return r.piece == i })
			return true
		}
		return false
	})
	m.endgame = m.endgame || !m.anyFree()
	if !c.choked && len(c.asked) < a.queue {
		m.reserve(c)
	}
	n := a.queue - len(c.asked)
	for _, i := range a.targets {
		for j := range f.blocks(i) {
			b := foreignBlock{i, j}
			switch {
			case n <= 0 || c.choked:
				return
			case f.block(b).arrived:
			case f.free(b), m.endgame && !slices.ContainsFunc(c.asked, func(r *foreignRequest) bool { return r.foreignBlock == b }):
				f.request(b, c)
				c.ask(&foreignRequest{foreignBlock: b})
				n--
			}
		}
	}
}

// anyFree reports whether there is a missing piece that no connection has reserved.
func (m *aria2Model) anyFree() bool {
	for i := range m.p.pieces.have.Zeros() {
		if m.reserved[i] == 0 {
			return true
		}
	}
	return false
}

// reserve reserves the rarest pieces for a connection.
func (m *aria2Model) reserve(c *foreignConn) {
	f, a := &m.p.pieces, &c.a2
	blocks := 0
	missing := func(i int) (n int) {
		for j := range f.blocks(i) {
			if !f.block(foreignBlock{i, j}).arrived {
				n++
			}
		}
		return n
	}
	for _, i := range a.targets {
		blocks += missing(i)
	}
	if blocks >= a.queue {
		return
	}
	m.candidates = m.candidates[:0]
	for i := range c.known.Ones() {
		if !f.have.Get(i) && (m.reserved[i] == 0 || m.endgame && !slices.Contains(a.targets, i)) {
			m.candidates = append(m.candidates, i)
		}
	}
	if m.endgame {
		m.p.rng.Shuffle(len(m.candidates), func(i, j int) {
			m.candidates[i], m.candidates[j] = m.candidates[j], m.candidates[i]
		})
	} else {
		slices.SortFunc(m.candidates, func(a, b int) int {
			return cmp.Or(cmp.Compare(f.peers[a], f.peers[b]), cmp.Compare(m.order[a], m.order[b]))
		})
	}
	for _, i := range m.candidates {
		if blocks >= a.queue {
			return
		}
		blocks += missing(i)
		a.targets = append(a.targets, i)
		m.reserved[i]++
	}
}

// choose decides which peers are to be unchoked.
func (m *aria2Model) choose(now time.Time) {
	m.lastRound = now
	if m.p.pieces.have.All() {
		m.chooseSeeding(now)
		return
	}
	var all []*foreignConn
	for _, c := range m.p.conns {
		if !c.ready {
			continue
		}
		c.a2.chokeRequired = true
		if c.a2.snubbing {
			c.a2.optimistic = false
			continue
		}
		all = append(all, c)
	}
	if m.round == 0 {
		m.chooseOptimistic(all)
	}
	m.round = (m.round + 1) % a2Rounds
	m.p.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	rate := func(c *foreignConn) float64 {
		if !c.interested || now.Sub(c.a2.downloadedAt) >= a2RecentDownload {
			return -1
		}
		return c.a2.down.rate(now)
	}
	slices.SortStableFunc(all, func(a, b *foreignConn) int { return cmp.Compare(rate(b), rate(a)) })
	promoted := false
	for _, c := range all[:min(len(all), a2Slots)] {
		if c.interested {
			c.a2.chokeRequired = false
			promoted = promoted || c.a2.optimistic
			c.a2.optimistic = false
		}
	}
	if !promoted {
		return
	}
	for _, c := range all {
		if c.interested {
			c.a2.optimistic = true
			return
		}
	}
}

// chooseOptimistic gives the optimistic slot to a random choked peer.
func (m *aria2Model) chooseOptimistic(all []*foreignConn) {
	var waiting []*foreignConn
	for _, c := range all {
		c.a2.optimistic = false
		if c.amChoking && c.interested {
			waiting = append(waiting, c)
		}
	}
	if len(waiting) > 0 {
		waiting[m.p.rng.IntN(len(waiting))].a2.optimistic = true
	}
}

// chooseSeeding decides which peers are to be unchoked once all pieces are there: those
// that were unchoked last, then those that take most.
func (m *aria2Model) chooseSeeding(now time.Time) {
	var all []*foreignConn
	for _, c := range m.p.conns {
		if !c.ready {
			continue
		}
		c.a2.chokeRequired = true
		if c.interested {
			all = append(all, c)
		} else {
			c.a2.optimistic = false
		}
	}
	slices.SortStableFunc(all, func(a, b *foreignConn) int {
		recentA, recentB := now.Sub(a.a2.unchokedAt) < a2RecentUnchoke, now.Sub(b.a2.unchokedAt) < a2RecentUnchoke
		switch {
		case recentA && recentB:
			return b.a2.unchokedAt.Compare(a.a2.unchokedAt)
		case recentA:
			return -1
		case recentB:
			return 1
		}
		return cmp.Compare(b.a2.up.rate(now), a.a2.up.rate(now))
	})
	n := a2Slots
	if m.seedRound == a2Rounds-1 {
		n++
	}
	n = min(n, len(all))
	for _, c := range all[:n] {
		c.a2.chokeRequired = false
	}
	if m.seedRound < a2Rounds-1 {
		for _, c := range all {
			c.a2.optimistic = false
		}
		if rest := all[n:]; len(rest) > 0 {
			rest[m.p.rng.IntN(len(rest))].a2.optimistic = true
		}
	}
	m.seedRound = (m.seedRound + 1) % a2Rounds
}

package torrent_test

import (
	"cmp"
	"slices"
	"time"

	"spate/peerwire"
)

const blockLen = peerwire.BlockLen

// wanted returns the number of requests that a connection should have, sent or not.
func (lt *libtorrentConn) wanted() int {
	if lt.endgame || lt.snubbed {
		return 1
	}
	return lt.target
}

// request chooses blocks until the queue of a connection is full, and sends the requests.
func (m *libtorrentModel) request(c *foreignConn) {
	m.choose(c)
	m.sendRequests(c)
}

func (m *libtorrentModel) choose(c *foreignConn) {
	f, lt := &m.p.pieces, &c.lt
	n := lt.wanted() - len(c.asked) - len(lt.queue)
	if c.choked || n <= 0 || f.have.All() {
		return
	}
	contiguous := min(int(lt.rate*ltWholePieceTime), ltMaxContiguous) / f.length * (f.length / blockLen)
	busyAllowed := f.numStarted >= f.missing() && len(c.asked)+len(lt.queue) == 0
	contiguous = m.pick(c, n, contiguous)
	for _, b := range m.run {
		if contiguous == 0 && n <= 0 {
			break
		}
		if !f.free(b) || slices.ContainsFunc(c.asked, func(r *foreignRequest) bool { return r.foreignBlock == b }) {
			continue
		}
		f.request(b, c)
		lt.queue = append(lt.queue, &foreignRequest{foreignBlock: b})
		n--
	}
	if lt.endgame = n > 0; lt.endgame && busyAllowed && len(c.asked)+len(lt.queue) == 0 {
		m.chooseBusy(c)
	}
}

// chooseBusy chooses a random block that is requested from another peer.
func (m *libtorrentModel) chooseBusy(c *foreignConn) {
	f := &m.p.pieces
	var blocks []foreignBlock
	for piece := range c.known.Ones() {
		if f.started[piece] == nil || f.unasked[piece] > 0 {
			continue
		}
		for i, s := range f.started[piece] {
			if !s.arrived && s.by != c {
				blocks = append(blocks, foreignBlock{piece, i})
			}
		}
	}
	if len(blocks) > 0 {
		b := blocks[m.p.rng.IntN(len(blocks))]
		f.request(b, c)
		c.lt.queue = append(c.lt.queue, &foreignRequest{foreignBlock: b})
	}
}

// sendRequests sends chosen requests while fewer than the target are without an answer.
func (m *libtorrentModel) sendRequests(c *foreignConn) {
	lt := &c.lt
	if len(c.asked) >= lt.target || c.gone {
		return
	}
	now, idle := time.Now(), len(c.asked) == 0
	for len(lt.queue) > 0 && len(c.asked) < lt.target {
		r := lt.queue[0]
		lt.queue = lt.queue[1:]
		if m.p.pieces.have.Get(r.piece) || m.p.pieces.block(r.foreignBlock).arrived {
			continue
		}
		c.ask(r)
		lt.requestedAt = now
	}
	lt.blockAt = now
	if idle && len(c.asked) > 0 {
		lt.waitingSince = now
	}
}

// pick puts at least n blocks that the peer has into m.run, in the order in which they should
// be requested, or all if there are fewer. It prefers runs of as many blocks as contiguous
// says, and returns that number, or 0 if too many pieces are unfinished for that.
func (m *libtorrentModel) pick(c *foreignConn, n, contiguous int) int {
	f := &m.p.pieces
	m.run, m.backup, m.candidates = m.run[:0], m.backup[:0], m.candidates[:0]
	partial := 0
	for piece, blocks := range f.started {
		if blocks != nil && f.unasked[piece] > 0 {
			partial++
		}
	}
	random := f.have.Count() < ltRandomPieces
	partialFirst := random
	if partial > len(m.p.conns)*3/2 || partial*(f.length/blockLen) > 2048 {
		partialFirst, contiguous = true, 0
	}
	for piece := range c.known.Ones() {
		if !f.have.Get(piece) && f.unasked[piece] > 0 {
			m.candidates = append(m.candidates, piece)
		}
	}
	rank := func(piece int) int {
		started := 1
		if f.started[piece] != nil {
			started = 0
		}
		if partialFirst {
			return started<<20 + f.peers[piece]
		}
		return f.peers[piece]<<1 + started
	}
	if random {
		from := 0
		if len(m.candidates) > 0 {
			from = m.p.rng.IntN(f.have.Len())
		}
		rank = func(piece int) int {
			if partialFirst && f.started[piece] != nil {
				return piece - f.have.Len()
			}
			return (piece - from + f.have.Len()) % f.have.Len()
		}
	}
	slices.SortFunc(m.candidates, func(a, b int) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(m.order[a], m.order[b]))
	})
	taken := map[int]bool{}
	for _, piece := range m.candidates {
		if len(m.run) >= n {
			break
		}
		if !taken[piece] {
			m.addPiece(c, piece, n, contiguous, taken)
		}
	}
	m.run = append(m.run, m.backup...)
	return contiguous
}

// addPiece adds the free blocks of a piece and, for a fast peer, those of its neighbours.
func (m *libtorrentModel) addPiece(c *foreignConn, piece, n, contiguous int, taken map[int]bool) {
	f := &m.p.pieces
	if f.started[piece] != nil {
		taken[piece] = true
		m.addPartial(c, piece, contiguous)
		return
	}
	first, end := piece, piece+1
	if contiguous > 0 {
		first, end = m.expand(c, piece, (contiguous-1)/f.blocks(0)+1)
	}
	for i := first; i < end; i++ {
		if taken[i] {
			continue
		}
		taken[i] = true
		for j := range f.blocks(i) {
			if contiguous == 0 && len(m.run) >= n {
				return
			}
			m.run = append(m.run, foreignBlock{i, j})
		}
	}
}

// addPartial adds the free blocks of a started piece. If other peers deliver the piece and a
// run of the preferred length is not left, the blocks become the last choice.
func (m *libtorrentModel) addPartial(c *foreignConn, piece, contiguous int) {
	f := &m.p.pieces
	longest, free, others := 0, 0, false
	for _, s := range f.started[piece] {
		if s.arrived || s.asked > 0 {
			free = 0
			others = others || !s.arrived && s.by != c
			continue
		}
		free++
		longest = max(longest, free)
	}
	to := &m.run
	if contiguous > longest && others {
		to = &m.backup
	}
	for j, s := range f.started[piece] {
		if !s.arrived && s.asked == 0 {
			*to = append(*to, foreignBlock{piece, j})
		}
	}
}

// expand returns a run of at most n neighbouring pieces that the peer has and that are not
// started, around a piece.
func (m *libtorrentModel) expand(c *foreignConn, piece, n int) (first, end int) {
	f := &m.p.pieces
	can := func(i int) bool { return c.known.Get(i) && !f.have.Get(i) && f.started[i] == nil }
	first, end = piece, piece+1
	for first > max(0, piece-n+1) && can(first-1) {
		first--
	}
	for end < min(first+n, f.have.Len()) && can(end) {
		end++
	}
	return first, end
}

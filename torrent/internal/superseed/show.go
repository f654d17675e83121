package superseed

import (
	"slices"
	"time"

	"spate/torrent/internal/picker"
)

// Link is the state of the connection to a peer.
type Link struct {
	Choked bool    // the seed chokes the peer
	Queued int     // requested blocks that are not being written yet
	Rate   float64 // bytes a second that are sent to the peer
	// Unacked returns how many bytes were written that the peer has not acknowledged,
	// and whether that is known. Nil means that it is never known.
	Unacked func() (n int, known bool)
}

// received reports whether the peer has received everything that was written to it, as far
// as that is known.
func (l *Link) received() (yes, known bool) {
	if l.Unacked == nil {
		return true, false
	}
	n, known := l.Unacked()
	return n == 0, known
}

// Show decides which pieces the peer is shown now: as many as it needs to keep requesting,
// or one piece while it is choked. The caller sends a have message for each of them. The
// list is valid until the next call. If retry is above 0, the peer is still receiving the
// last blocks that it requested, and the caller calls Retry and Show again after that time.
func (s *Seed) Show(id picker.PeerID, l Link, now time.Time) (pieces []uint32, retry time.Duration) {
	p := s.peer(id)
	s.list = s.list[:0]
	switch {
	case p == nil || !p.on || !p.ready || !p.choking.IsZero():
		return nil, 0
	case l.Choked:
		if len(p.open) == 0 {
			p.repeats = 1
			s.showNext(id, p, false, now)
		}
		return s.list, 0
	}
	ahead := s.ahead(p, &l, now)
	want := max(min(p.window, s.share()), int64(l.Rate/2))
	received, known := false, false
	if ahead == 0 {
		received, known = l.received()
	}
	if received {
		if known && p.delivered {
			p.window = max(p.window, min(2*p.window, maxWindow)) // the link to the peer is idle
		}
		p.delivered = false
		p.repeats = 1 << min(p.starved/2, 8)
		p.starved++
	}
	for ahead < want && len(p.open) < maxShown {
		n, held := s.showNext(id, p, true, now)
		if n == 0 {
			if held && ahead == 0 && known {
				retry = p.retry()
			}
			break
		}
		ahead += n
	}
	return s.list, retry
}

// share limits the bytes that a peer is shown before it needs them. All peers
// together may be shown half of the pieces that nobody was shown, so that the last pieces of
// the first copy do not wait for a slow peer.
func (s *Seed) share() int64 {
	unshown, hiding := s.unshownOfBoth()
	return s.pieces.Length * max(fewPieces, int64(unshown/(2*max(1, hiding))))
}

// retry returns the time until the caller should call Show again, which grows each time. It
// returns 0 if the caller waits already.
func (p *peer) retry() time.Duration {
	if p.retrying {
		return 0
	}
	p.retrying = true
	wait := min(lastRetry, firstRetry<<min(p.retries, 10))
	p.retries++
	return wait
}

// Retry records that the time which Show returned has passed.
func (s *Seed) Retry(id picker.PeerID) {
	if p := s.peer(id); p != nil {
		p.retrying = false
	}
}

// ahead returns the number of bytes that the peer has requested and that are not written
// yet, plus the bytes of shown pieces that it will probably request. A piece that the peer
// does not request for too long does not count any more.
func (s *Seed) ahead(p *peer, l *Link, now time.Time) int64 {
	n := int64(l.Queued+p.writing) * picker.BlockSize
	for i := range p.open {
		w := &p.open[i]
		elsewhere := w.left > 0 && w.expected && now.Sub(w.at) > elsewhereWait && s.available(int(w.piece)) > 0
		if elsewhere || now.Sub(p.asked) > askWait {
			s.expect(w, false)
		}
		if w.expected {
			n += w.left
		}
	}
	return n
}

// showNext shows the peer one more piece, the rarest one that it does not have, and
// returns its length in bytes, or 0 if it shows none. The last pieces of the first copy are
// each expected to reach some peer. showNext shows such a piece to a further peer only if
// that peer has received everything else, and shows more of them each time that this
// happens. held reports that the peer must wait because only such pieces are left.
func (s *Seed) showNext(id picker.PeerID, p *peer, unchoked bool, now time.Time) (n int64, held bool) {
	piece, score := s.rarest(id, p)
	switch {
	case piece < 0:
		return 0, false
	case score < expected:
		if score == 0 {
			s.unshown = max(0, s.unshown-1)
		}
		p.repeats, p.starved = 0, 0
	case s.firstCopyOut():
	case p.repeats == 0:
		return 0, true
	default:
		p.repeats--
	}
	p.told.Set(piece)
	p.asked = now
	p.retries = 0
	s.open(p, uint32(piece), unchoked, now)
	s.list = append(s.list, uint32(piece))
	return s.pieces.Size(piece), false
}

// rarest returns the next piece to show to the peer, and its score. The score is lower the
// fewer peers have the piece or are expected to get it. The piece is -1 if there is none.
func (s *Seed) rarest(id picker.PeerID, p *peer) (piece, score int) {
	piece = -1
	carried := s.carried()
	for range min(s.pieces.Num, showScan) {
		i := s.cursor
		s.cursor = (i + 1) % s.pieces.Num
		if s.swarm.PeerHas(id, i) || p.told.Get(i) {
			continue
		}
		n := s.available(i)*expected + s.keptBy(i) + int(s.shown[i])
		if carried {
			n += s.elsewhere(i)
		}
		if piece < 0 || n < score {
			piece, score = i, n
		}
		if score == 0 {
			break
		}
	}
	return piece, score
}

// firstCopyOut reports whether every piece has reached a peer of this swarm, or of the other swarm
// while peers carry pieces from there.
func (s *Seed) firstCopyOut() bool {
	carried := s.carried()
	if s.wasCarried && !carried {
		s.reached = 0
	}
	s.wasCarried = carried
	for s.reached < s.pieces.Num && (s.available(s.reached) > 0 || carried && s.heldElsewhere(s.reached)) {
		s.reached++
	}
	return s.reached == s.pieces.Num
}

// Spread reports whether every piece has reached a peer, or another seed was seen at any time.
func (s *Seed) Spread() bool {
	return !s.otherSeen.IsZero() || !s.doneSeen.IsZero() || s.firstCopyOut()
}

// Rest returns pieces that were hidden from a peer for which super-seeding has ended: the
// next few thousand at each call. The caller sends a have message for each of them. The
// list is valid until the next call.
func (s *Seed) Rest(id picker.PeerID) []uint32 {
	p := s.peer(id)
	if p == nil || p.on || p.told.Len() == 0 {
		return nil
	}
	s.list = s.list[:0]
	n := p.told.Len()
	for ; p.rest < n && len(s.list) < restAtOnce; p.rest++ {
		if !p.told.Get(p.rest) && !s.swarm.PeerHas(id, p.rest) {
			s.list = append(s.list, uint32(p.rest))
		}
	}
	if p.rest == n {
		s.Leave(id)
	}
	return s.list
}

// peer returns the record of a peer, or nil.
func (s *Seed) peer(id picker.PeerID) *peer {
	if int(id) >= len(s.peers) {
		return nil
	}
	return s.peers[id]
}

// enter returns the record of a peer. It creates one if the peer has none.
func (s *Seed) enter(id picker.PeerID) *peer {
	for int(id) >= len(s.peers) {
		s.peers = append(s.peers, nil)
	}
	if s.peers[id] == nil {
		s.peers[id] = &peer{}
	}
	return s.peers[id]
}

// find returns the index of a piece in p.open, or -1. p may be nil.
func (p *peer) find(piece uint32) int {
	if p == nil {
		return -1
	}
	return slices.IndexFunc(p.open, func(w showing) bool { return w.piece == piece })
}

// open records that the peer was shown a piece that it lacks, and returns its index
// in p.open.
func (s *Seed) open(p *peer, piece uint32, expected bool, now time.Time) int {
	w := showing{piece: piece, left: s.pieces.Size(int(piece)), at: now}
	s.count(piece, 1)
	s.expect(&w, expected)
	p.open = append(p.open, w)
	return len(p.open) - 1
}

// close removes entry i of p.open.
func (s *Seed) close(p *peer, i int) {
	w := p.open[i]
	s.expect(&w, false)
	s.count(w.piece, -1)
	p.open = slices.Delete(p.open, i, i+1)
}

func (s *Seed) closeAll(p *peer) {
	for len(p.open) > 0 {
		s.close(p, 0)
	}
}

// expect sets whether the peer is expected to get the piece from the seed.
func (s *Seed) expect(w *showing, is bool) {
	switch {
	case is && !w.expected:
		s.count(w.piece, expected)
	case !is && w.expected:
		s.count(w.piece, -expected)
	}
	w.expected = is
}

// count adds to the count of a piece in s.shown, within the bounds of its type, and tells the Seed
// of the other swarm.
func (s *Seed) count(piece uint32, n int) {
	s.shown[piece] = uint16(max(0, min(1<<16-1, int(s.shown[piece])+n)))
	s.tellPiece(piece)
}

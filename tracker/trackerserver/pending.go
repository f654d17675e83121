package trackerserver

import (
	"time"

	"spate"
	"spate/tracker/wire"
)

const (
	// offerTime is the time in which an offer can be answered. WebTorrent waits 50 s for it.
	offerTime = time.Minute
	// maxPending bounds the offers of a shard that wait for an answer; each takes about 200 bytes.
	// A swarm can have as many as are free, so that one swarm has at most half of them, but no more
	// than fewerPending and perPeerPending for each of its peers. Above its bound the oldest
	// offer of the same swarm is forgotten for a new one.
	maxPending                   = 1 << 15
	fewerPending, perPeerPending = 64, 16
)

// offerKey identifies an offer.
type offerKey struct {
	hash spate.InfoHash
	id   wire.OfferID
}

// pendingOffer is an offer that was handed to a peer and can be answered.
type pendingOffer struct {
	key      offerKey
	from, to *socket
	fromID   spate.PeerID
	until    time.Time

	before, after *pendingOffer // neighbours in an offerList
}

// offerList lists offers in order of time.
type offerList struct {
	first, last *pendingOffer
	n           int
}

// add adds the newest offer.
func (l *offerList) add(p *pendingOffer) {
	p.before = l.last
	if l.last == nil {
		l.first = p
	} else {
		l.last.after = p
	}
	l.last = p
	l.n++
}

// remove removes an offer of the list.
func (l *offerList) remove(p *pendingOffer) {
	if p.before == nil {
		l.first = p.after
	} else {
		p.before.after = p.after
	}
	if p.after == nil {
		l.last = p.before
	} else {
		p.after.before = p.before
	}
	p.before, p.after = nil, nil
	l.n--
}

// expect notes that the offer with this id was handed to the peer to. It returns false if the id
// is in use, or if other swarms have taken all room. The caller holds mu.
func (s *meetingShard) expect(now time.Time, m *meeting, from, to *attendee, id wire.OfferID) bool {
	s.expire(now, m)
	key := offerKey{from.hash, id}
	if s.pending[key] != nil {
		return false
	}
	bound := fewerPending + perPeerPending*len(m.peers)
	for m.offers.n > 0 && m.offers.n >= min(bound, maxPending-len(s.pending)) {
		s.forgetOffer(m, m.offers.first)
	}
	if len(s.pending) >= maxPending {
		return false
	}
	if s.pending == nil {
		s.pending = map[offerKey]*pendingOffer{}
	}
	p := &pendingOffer{key: key, from: from.socket, to: to.socket, fromID: from.id, until: now.Add(offerTime)}
	s.pending[key] = p
	m.offers.add(p)
	return true
}

// forgetOffer removes an offer of a swarm. The caller holds mu.
func (s *meetingShard) forgetOffer(m *meeting, p *pendingOffer) {
	m.offers.remove(p)
	delete(s.pending, p.key)
	if len(s.pending) == 0 {
		s.pending = nil // a map keeps its largest size
	}
}

// expire forgets the offers of a swarm that were not answered in time. The caller holds mu.
func (s *meetingShard) expire(now time.Time, m *meeting) {
	for m.offers.first != nil && !now.Before(m.offers.first.until) {
		s.forgetOffer(m, m.offers.first)
	}
}

// answered returns the socket that made the offer that r answers, or nil if from was handed no
// such offer, or has answered it. The caller holds mu.
func (s *meetingShard) answered(now time.Time, from *socket, r *wire.WSRequest) *socket {
	m := s.swarms[r.InfoHash]
	if m == nil {
		return nil
	}
	s.expire(now, m)
	p := s.pending[offerKey{r.InfoHash, r.AnswerTo}]
	if p == nil || p.to != from || p.fromID != r.ToPeer {
		return nil
	}
	s.forgetOffer(m, p)
	return p.from
}

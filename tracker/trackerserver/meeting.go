package trackerserver

import (
	"math/rand/v2"
	"sync"
	"time"

	"spate"
	"spate/tracker/wire"
)

const (
	// offerTime is the time in which an offer can be answered. WebTorrent waits 50 s for it.
	offerTime = time.Minute
	// maxPending bounds the offers of a shard that wait for an answer. The oldest one is
	// forgotten for a new one.
	maxPending = 4096
	// maxLooks bounds the peers that are examined to hand out the offers of one announce.
	maxLooks = 64
	// meetingShards is the number of locks of all swarms.
	meetingShards = 16
)

// meetings are the swarms of the peers that are connected over WebSocket. It decides which of
// them get an offer. It has no clock and sends nothing.
type meetings [meetingShards]meetingShard

// meetingShard is a part of the swarms with its own lock.
type meetingShard struct {
	mu      sync.Mutex // guards all fields
	swarms  map[spate.InfoHash]*meeting
	pending map[offerKey]*pendingOffer
	oldest  []*pendingOffer // all of pending, and some that were answered, in order of time
}

// meeting is a swarm.
type meeting struct {
	peers []*attendee // in random order
	byID  map[spate.PeerID]*attendee
	// seeders and leechers are the numbers of peers that count. A peer with twice does not.
	seeders, leechers uint32
	// takers are the numbers of all leechers and all seeds.
	takers [2]int
}

// attendee is a peer of one swarm. The lock of the shard guards it.
type attendee struct {
	socket  *socket
	hash    spate.InfoHash
	id      spate.PeerID
	at      int // position in meeting.peers; -1 after the peer has left
	seed    bool
	twice   bool // it is counted elsewhere
	counted bool // its completed download was counted
}

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
}

func (m *meetings) shard(ih *spate.InfoHash) *meetingShard { return &m[ih[0]%meetingShards] }

// join adds a peer to its swarm. If another socket of the same address has a peer with that id,
// its peer leaves: the client has connected again, and the tracker has not noticed yet that the
// old connection is dead. The caller holds mu.
func (s *meetingShard) join(a *attendee) *meeting {
	m := s.swarms[a.hash]
	if m == nil {
		if s.swarms == nil {
			s.swarms = map[spate.InfoHash]*meeting{}
		}
		m = &meeting{byID: map[spate.PeerID]*attendee{}}
		s.swarms[a.hash] = m
	}
	if old := m.byID[a.id]; old != nil && old.socket.from == a.socket.from {
		m.remove(old)
	}
	if m.byID[a.id] == nil {
		m.byID[a.id] = a
	}
	at := rand.IntN(len(m.peers) + 1)
	m.peers = append(m.peers, a)
	last := len(m.peers) - 1
	m.peers[at], m.peers[last] = a, m.peers[at]
	m.peers[last].at, a.at = last, at
	m.count(a, +1)
	return m
}

// remove removes a peer from the swarm.
func (m *meeting) remove(a *attendee) {
	if a.at < 0 {
		return
	}
	last := len(m.peers) - 1
	moved := m.peers[last]
	m.peers[a.at], moved.at = moved, a.at
	m.peers[last] = nil
	m.peers = m.peers[:last]
	a.at = -1
	if m.byID[a.id] == a {
		delete(m.byID, a.id)
	}
	m.count(a, -1)
}

// role returns the index of a peer's role in meeting.takers.
func (a *attendee) role() int {
	if a.seed {
		return 1
	}
	return 0
}

// count adds d to the counts of the peer's role.
func (m *meeting) count(a *attendee, d int) {
	m.takers[a.role()] += d
	switch {
	case a.twice:
	case a.seed:
		m.seeders += uint32(d)
	default:
		m.leechers += uint32(d)
	}
}

// change sets the role of a peer.
func (m *meeting) change(a *attendee, seed, twice bool) {
	m.count(a, -1)
	a.seed, a.twice = seed, twice
	m.count(a, +1)
}

// forget removes a swarm without peers. The caller holds mu.
func (s *meetingShard) forget(ih spate.InfoHash, m *meeting) {
	if len(m.peers) == 0 {
		delete(s.swarms, ih)
	}
}

// takersFor returns the number of other peers that could take offers of a: seeds do not need
// other seeds.
func (m *meeting) takersFor(a *attendee) int {
	if a.seed {
		return m.takers[0]
	}
	return m.takers[0] + m.takers[1] - 1
}

// delivery is a message for a socket.
type delivery struct {
	to    *socket
	offer *wire.WSOffer
}

// handOut chooses a peer for each offer of a, at random, and appends the deliveries. Offers for
// which there is no peer are left out. The caller holds mu.
func (s *meetingShard) handOut(now time.Time, m *meeting, a *attendee, offers []wire.WSOffer, out []delivery) []delivery {
	n := len(m.peers)
	start := rand.IntN(n)
	for i := 0; i < min(n, maxLooks) && len(offers) > 0; i++ {
		p := m.peers[(start+i)%n]
		if p.socket == a.socket || p.seed && a.seed || !p.socket.accepts(now) {
			continue
		}
		for len(offers) > 0 {
			o := &offers[0]
			offers = offers[1:]
			if s.expect(now, a, p, o.ID) {
				out = append(out, delivery{p.socket, o})
				break
			}
		}
	}
	return out
}

// expect notes that the offer with this id was handed to the peer to. It returns false if the id
// is in use. The caller holds mu.
func (s *meetingShard) expect(now time.Time, from, to *attendee, id wire.OfferID) bool {
	s.expire(now)
	key := offerKey{from.hash, id}
	if s.pending[key] != nil {
		return false
	}
	if s.pending == nil {
		s.pending = map[offerKey]*pendingOffer{}
	}
	p := &pendingOffer{key: key, from: from.socket, to: to.socket, fromID: from.id, until: now.Add(offerTime)}
	s.pending[key] = p
	s.oldest = append(s.oldest, p)
	return true
}

// expire forgets offers that were not answered in time, and the oldest one if there are too many.
// The caller holds mu.
func (s *meetingShard) expire(now time.Time) {
	for len(s.oldest) > 0 && (len(s.oldest) >= maxPending || !now.Before(s.oldest[0].until)) {
		if p := s.oldest[0]; s.pending[p.key] == p {
			delete(s.pending, p.key)
		}
		s.oldest[0] = nil
		s.oldest = s.oldest[1:]
	}
	if len(s.oldest) == 0 {
		s.oldest, s.pending = nil, nil
	}
}

// answered returns the socket that made the offer that r answers, or nil if from was handed no
// such offer, or has answered it. The caller holds mu.
func (s *meetingShard) answered(now time.Time, from *socket, r *wire.WSRequest) *socket {
	s.expire(now)
	key := offerKey{r.InfoHash, r.AnswerTo}
	p := s.pending[key]
	if p == nil || p.to != from || p.fromID != r.ToPeer {
		return nil
	}
	delete(s.pending, key)
	return p.from
}

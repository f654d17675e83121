package trackerserver

import (
	"math/rand/v2"
	"sync"
	"time"

	"spate"
	"spate/internal/fairpool"
	"spate/tracker/wire"
)

const (
	// maxLooks bounds the peers that are examined to hand out the offers of one announce.
	maxLooks = 64
	// meetingShards is the number of locks of all swarms.
	meetingShards = 16
	// minIndexed is the number of peers above which a swarm has an index of peer ids, which takes
	// more memory than a small swarm.
	minIndexed = 8
)

// meetings are the swarms of the peers that are connected over WebSocket. It decides which of
// them get an offer. It has no clock and sends nothing.
type meetings [meetingShards]meetingShard

// meetingShard is a part of the swarms with its own lock.
type meetingShard struct {
	mu      sync.Mutex // guards all fields
	swarms  map[spate.InfoHash]*meeting
	pending map[offerKey]*pendingOffer // the offers of all swarms that wait for an answer
}

// meeting is a swarm.
type meeting struct {
	peers []*attendee                // in random order
	byID  map[spate.PeerID]*attendee // nil if there are few peers
	// offers are those of meetingShard.pending that belong to the swarm.
	offers offerList
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
	own     int // position in joined.list of the socket, whose owner guards it
	at      int // position in meeting.peers; -1 after the peer has left
	seed    bool
	twice   bool // it is counted elsewhere
	counted bool // its completed download was counted
}

func (m *meetings) shard(ih *spate.InfoHash) *meetingShard { return &m[ih[0]%meetingShards] }

// join adds a peer to its swarm. If another socket of the same address has a peer with that id,
// its peer leaves, and join returns that socket: the client has probably connected again, and the
// tracker has not noticed yet that the old connection is dead. The caller holds mu.
func (s *meetingShard) join(a *attendee) (replaced *socket) {
	m := s.swarms[a.hash]
	if m == nil {
		if s.swarms == nil {
			s.swarms = map[spate.InfoHash]*meeting{}
		}
		m = &meeting{}
		s.swarms[a.hash] = m
	}
	if old := m.find(a.id); old != nil && old.socket.from == a.socket.from {
		m.remove(old)
		replaced = old.socket
	}
	at := rand.IntN(len(m.peers) + 1)
	m.peers = append(m.peers, a)
	last := len(m.peers) - 1
	m.peers[at], m.peers[last] = a, m.peers[at]
	m.peers[last].at, a.at = last, at
	m.index(a)
	m.count(a, +1)
	return replaced
}

// find returns a peer with the id, or nil.
func (m *meeting) find(id spate.PeerID) *attendee {
	if m.byID != nil {
		return m.byID[id]
	}
	for _, p := range m.peers {
		if p.id == id {
			return p
		}
	}
	return nil
}

// index adds a peer to the index. It makes one if the swarm has become large.
func (m *meeting) index(a *attendee) {
	switch {
	case m.byID == nil && len(m.peers) > minIndexed:
		m.byID = make(map[spate.PeerID]*attendee, len(m.peers))
		for _, p := range m.peers {
			m.byID[p.id] = p
		}
	case m.byID != nil && m.byID[a.id] == nil:
		m.byID[a.id] = a
	}
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
	if len(m.peers) <= minIndexed/2 {
		m.byID = nil
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
		for m.offers.first != nil {
			s.forgetOffer(m, m.offers.first)
		}
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
	start, from := rand.IntN(n), fairpool.Prefix(a.socket.from)
	for i := 0; i < min(n, maxLooks) && len(offers) > 0; i++ {
		p := m.peers[(start+i)%n]
		if p.socket == a.socket || p.seed && a.seed || !p.socket.taken.take(now, from) {
			continue
		}
		for len(offers) > 0 {
			o := &offers[0]
			offers = offers[1:]
			if s.expect(now, m, a, p, o.ID) {
				out = append(out, delivery{p.socket, o})
				break
			}
		}
	}
	return out
}

package site

import (
	"net/netip"
	"sync"
	"time"

	"spate"
)

// A BitTorrent client that knows the URL of the data, from a torrent or a Metalink, asks for
// ranges of it beside its peers, and often for the whole file before it knows a peer. The site
// shares its uplink with the seed, so it sends such a client only what the swarm does not. A
// program that downloads without peers is never refused.

// Spread says who in the swarm has the pieces of a range, besides the publisher and the client
// that asks.
type Spread struct {
	First int    // index of the first piece
	Have  []bool // for each piece from First on: whether a connected peer has it
	// Client means that a peer at the address of the client is connected to the seed and is not
	// complete. Progress is the number of pieces of the one that has the fewest.
	Client      bool
	Progress    int
	Pieces      int   // of the torrent
	PieceLength int64 // bytes
	// Room is the rate in bytes a second that the uplink could send in addition; 0 if it is full
	// or unknown.
	Room int64
}

// Limits of the refusals.
const (
	connectTime = 10 * time.Second // in which a client may connect to the seed before it is served
	shortRange  = 1 << 20          // most bytes of a range that is served because nobody has it
	stuckAfter  = 20 * time.Second // without a new piece, after which a client is served
	rateTime    = 15 * time.Second // over which the rate of a client is measured at least
	slowSwarm   = perDownload      // rate of new data in bytes a second below which a client is served
	sentFor     = 30 * time.Second // how long a piece that was sent over HTTP counts as held by the swarm
	forgetAfter = 5 * time.Minute  // without a request, after which a client is forgotten
	maxClients  = 10_000           // clients and pieces that are remembered
)

// swarmFirst decides which ranges BitTorrent clients get. The zero value is ready for use. It is
// safe for concurrent use.
type swarmFirst struct {
	mu      sync.Mutex
	clients map[clientKey]*swarmClient
	sent    map[sentKey]sentPiece
}

// clientKey identifies the clients at one address.
type clientKey struct {
	release spate.InfoHash
	addr    netip.Addr
}

// swarmClient is what is known of the clients at one address since their first request.
type swarmClient struct {
	connected bool      // a peer at the address was connected to the seed at the last request
	since     time.Time // of the first request; if connected, the time since which the rate is measured
	moved     time.Time // of the last new piece
	asked     time.Time // of the last request
	began     int       // number of pieces at since
	progress  int       // number of pieces at the last request
	rate      float64   // bytes a second before since; 0 if measured is not set
	measured  bool      // whether the rate is known
}

type sentKey struct {
	release spate.InfoHash
	piece   int
}

// sentPiece records to whom a piece was sent over HTTP, and when.
type sentPiece struct {
	to netip.Addr
	at time.Time
}

// serve reports whether a client gets a range of n bytes that it asks for now. It does if
//
//   - no peer at its address has connected to the seed in the [connectTime] since its first
//     request, because the site cannot know then whom it reaches, or
//   - the range has at most [shortRange] bytes, and more than half of its pieces are nowhere else
//     in the swarm, or
//   - it lacks at most one piece, or a hundredth of them, because aria2 and Transmission ask no
//     peer for the last pieces that they have asked a web seed for, or
//   - it has got no new piece from anybody for [stuckAfter], or
//   - it got less than [slowSwarm] in the last [rateTime], or less than half of what the uplink
//     could send in addition, because what the swarm saves then costs the client time.
func (s *swarmFirst) serve(key clientKey, n int64, sp Spread, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trimLocked(now)
	c := s.clients[key]
	if c == nil || now.Sub(c.asked) > forgetAfter {
		c = &swarmClient{since: now}
		s.clients[key] = c
	}
	c.asked = now
	var needs bool
	switch {
	case !sp.Client:
		c.connected = false
		needs = now.Sub(c.since) >= connectTime
	case !c.connected:
		*c = swarmClient{connected: true, since: now, moved: now, asked: now, began: sp.Progress, progress: sp.Progress}
		fallthrough
	default:
		needs = c.needs(sp, now)
	}
	if !needs && (n > shortRange || s.swarmHasLocked(key, sp, now)) {
		return false
	}
	for i := range sp.Have {
		s.sent[sentKey{key.release, sp.First + i}] = sentPiece{key.addr, now}
	}
	return true
}

// swarmHasLocked reports whether the swarm has at least half of the pieces. A piece that was
// just sent to another client counts.
func (s *swarmFirst) swarmHasLocked(key clientKey, sp Spread, now time.Time) bool {
	held := 0
	for i, have := range sp.Have {
		p := s.sent[sentKey{key.release, sp.First + i}]
		if have || now.Sub(p.at) < sentFor && p.to != key.addr {
			held++
		}
	}
	return 2*held >= len(sp.Have)
}

// needs reports whether the swarm serves a connected client too slowly.
func (c *swarmClient) needs(sp Spread, now time.Time) bool {
	if sp.Progress != c.progress {
		c.progress, c.moved = sp.Progress, now
	}
	if took := now.Sub(c.since); took >= rateTime {
		pieces := c.progress - c.began + 1 // the client may have almost the whole next piece
		c.rate, c.measured = float64(int64(pieces)*sp.PieceLength)/took.Seconds(), true
		c.since, c.began = now, c.progress
	}
	switch {
	case sp.Pieces-sp.Progress <= max(1, sp.Pieces/100):
		return true
	case now.Sub(c.moved) >= stuckAfter:
		c.moved = now // one range for each pause
		return true
	}
	return c.measured && c.rate < max(slowSwarm, float64(sp.Room)/2)
}

// trimLocked forgets old clients and pieces when there are many.
func (s *swarmFirst) trimLocked(now time.Time) {
	if s.clients == nil {
		s.clients, s.sent = map[clientKey]*swarmClient{}, map[sentKey]sentPiece{}
	}
	if len(s.clients) >= maxClients {
		for k, c := range s.clients {
			if now.Sub(c.asked) > forgetAfter {
				delete(s.clients, k)
			}
		}
		if len(s.clients) >= maxClients {
			clear(s.clients)
		}
	}
	if len(s.sent) >= maxClients {
		for k, p := range s.sent {
			if now.Sub(p.at) >= sentFor {
				delete(s.sent, k)
			}
		}
		if len(s.sent) >= maxClients {
			clear(s.sent)
		}
	}
}

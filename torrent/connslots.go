package torrent

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"spate/internal/fairpool"
)

// PoolStats is the state of one bounded number of places of a session.
type PoolStats struct {
	Places, Held int
	// Refused connections got no place, MadeRoom ones lost theirs to others.
	Refused, MadeRoom uint64
}

// Pools returns the state of the places for connections whose handshake has not come, and
// of those for connections to peers.
func (s *Session) Pools() (handshakes, peers PoolStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	handshakes = PoolStats{Places: maxGreetings, Held: s.greetings.pool.Len(), MadeRoom: s.greetings.madeRoom}
	return handshakes, PoolStats{s.opt.MaxConns, s.conns, s.room.refused.Load(), s.room.madeRoom.Load()}
}

// roomCounts count what became of connections that wanted a place when there was none.
type roomCounts struct{ refused, madeRoom atomic.Uint64 }

// maxGreetings bounds the connections whose handshake has not come. Beyond it the oldest
// goes, of the network that has the most of them: a peer is done within a moment.
const maxGreetings = 200

// greetings are the incoming connections of which nothing is known yet; guarded by
// Session.mu.
type greetings struct {
	pool     *fairpool.Pool[func() error] // a value closes its connection
	madeRoom uint64                       // connections that were closed for others
}

// greeting is one of them.
type greeting = fairpool.Member[func() error]

func newGreetings() greetings {
	return greetings{pool: fairpool.New[func() error](fairpool.Options{Slots: maxGreetings})}
}

// beginGreeting enters a connection, and closes another if they are too many.
func (s *Session) beginGreeting(from netip.AddrPort, close func() error) *greeting {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, out := s.greetings.pool.Enter(time.Now(), fairpool.NetworkOf(from.Addr()), close)
	if out != nil {
		s.greetings.madeRoom++
		out.Value()
	}
	return g
}

func (s *Session) endGreeting(g *greeting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.Leave(time.Now())
}

// enter takes a place for an incoming connection after its handshake, in place of
// a useless one if there is none left: of the torrent that it is for, or else of another.
func (s *Session) enter(t *Torrent, from netip.AddrPort) bool {
	if s.reserve(false) {
		return true
	}
	now := time.Now()
	if s.isShunned(from, now) || !s.makeRoom(t, now, from) {
		s.room.refused.Add(1)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns++ // one too many until the other has left
	return !s.closed
}

// barrenFor is how long all torrents are not searched again for a peer that makes room.
const barrenFor = time.Second

// makeRoom lets go of a peer of t, or else of another torrent.
func (s *Session) makeRoom(t *Torrent, now time.Time, from netip.AddrPort) bool {
	if t != nil && t.makeRoom(now, from) {
		return true
	}
	s.mu.Lock()
	barren := now.Sub(s.barren) < barrenFor
	s.mu.Unlock()
	if barren {
		return false
	}
	all := s.Torrents()
	for _, o := range all {
		if o != t && o.makeRoom(now, from) {
			return true
		}
	}
	if s.thinOut(all, now, from) {
		return true
	}
	s.mu.Lock()
	s.barren = now
	s.mu.Unlock()
	return false
}

// thinOut does for the connections of all torrents together what thinOutLocked does for
// those of one.
func (s *Session) thinOut(all []*Torrent, now time.Time, from netip.AddrPort) bool {
	var peers []*conn
	var holders []fairpool.Holder
	for _, t := range all {
		t.mu.Lock()
		peers, holders = t.holdersLocked(peers, holders, now)
		t.mu.Unlock()
	}
	i := fairpool.Choose(holders, fairpool.NetworkOf(from.Addr()))
	if i < 0 {
		return false
	}
	t := peers[i].t
	t.mu.Lock()
	defer t.mu.Unlock()
	return peers[i].crowdsLocked()
}

func (t *Torrent) makeRoom(now time.Time, from netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.makeRoomLocked(now, from)
}

// errCrowded ends a connection for the sake of another network.
var errCrowded = errors.New("its network has many places, and another has fewer")

// servedRate is the rate in bytes a second, either way, that keeps a peer its place.
const servedRate = 1 << 10

// thinOutLocked lets go of a peer with which nothing is exchanged, for a newcomer from a
// network that has no more connections to the torrent afterwards: so one network does not
// keep out all others.
func (t *Torrent) thinOutLocked(now time.Time, from netip.AddrPort) bool {
	peers, holders := t.holdersLocked(nil, nil, now)
	i := fairpool.Choose(holders, fairpool.NetworkOf(from.Addr()))
	return i >= 0 && peers[i].crowdsLocked()
}

// holdersLocked appends the peers of the torrent, and what they make of their places.
func (t *Torrent) holdersLocked(peers []*conn, holders []fairpool.Holder, now time.Time) ([]*conn, []fairpool.Holder) {
	for _, c := range t.conns {
		if c == nil || c.gone || c.closing.Load() {
			continue
		}
		standing := fairpool.Good
		if now.Sub(c.since) > silentAfter && c.upMeter.rate+c.downMeter.rate < servedRate {
			standing = fairpool.Waiting
		}
		peers = append(peers, c)
		holders = append(holders, fairpool.Holder{Network: fairpool.NetworkOf(c.addr.Addr()), Standing: standing, Since: c.since})
	}
	return peers, holders
}

// crowdsLocked ends the connection for the sake of another network, unless it ends already.
func (c *conn) crowdsLocked() bool {
	if c.gone || c.closing.Load() {
		return false
	}
	c.dropLocked(errCrowded)
	c.t.s.room.madeRoom.Add(1)
	return true
}

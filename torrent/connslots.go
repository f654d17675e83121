package torrent

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"spate/internal/fairpool"
)

// PoolStats is the state of a pool of slots for the connections of a [Session].
type PoolStats struct {
	Slots   int    // number of slots
	Held    int    // number of slots in use
	Refused uint64 // connections that got no slot
	Evicted uint64 // connections that were closed so that another one got the slot
}

// Pools returns the state of the slots for incoming connections before their handshake,
// and of the slots for connections to peers.
func (s *Session) Pools() (handshakes, peers PoolStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	handshakes = PoolStats{Slots: maxHandshakes, Held: s.handshakes.pool.Len(), Evicted: s.handshakes.evicted}
	return handshakes, PoolStats{Slots: s.opt.MaxConns, Held: s.conns, Refused: s.connSlots.refused.Load(), Evicted: s.connSlots.evicted.Load()}
}

// connSlots counts the connections that were refused or closed because no slot was free.
type connSlots struct {
	refused atomic.Uint64 // connections that got no slot
	evicted atomic.Uint64 // connections that were closed so that another one got the slot
}

// maxHandshakes bounds the incoming connections that have not sent their handshake. Above
// it the session closes the oldest such connection of the network that has the most. An
// honest peer sends its handshake at once.
const maxHandshakes = 200

// handshakes holds the incoming connections that have not sent their handshake. Session.mu
// guards it.
type handshakes struct {
	pool    *fairpool.Pool[func() error] // a value closes its connection
	evicted uint64                       // connections that were closed so that another one got the slot
}

// awaitedHandshake is an incoming connection that has not sent its handshake.
type awaitedHandshake = fairpool.Member[func() error]

func newHandshakes() handshakes {
	return handshakes{pool: fairpool.New[func() error](fairpool.Options{Slots: maxHandshakes})}
}

// beginHandshake adds a connection, and closes another one if there are too many.
func (s *Session) beginHandshake(from netip.AddrPort, close func() error) *awaitedHandshake {
	s.mu.Lock()
	h, out := s.handshakes.pool.Enter(time.Now(), fairpool.NetworkOf(from.Addr()), close)
	if out != nil {
		s.handshakes.evicted++
	}
	s.mu.Unlock()
	if out != nil {
		out.Value() // can send packets
	}
	return h
}

// endHandshake removes a connection whose handshake has arrived or failed.
func (s *Session) endHandshake(h *awaitedHandshake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.Leave(time.Now())
}

// takeSlot takes a connection slot for an incoming connection after its handshake. If no
// slot is free, it drops a useless peer of the torrent that the connection is for, or else
// of another torrent. It reports whether the connection has a slot.
func (s *Session) takeSlot(t *Torrent, from netip.AddrPort) bool {
	if s.reserve(false) {
		return true
	}
	now := time.Now()
	if !s.mayReplace(from, now) || !s.dropFor(t, now, from) {
		s.turnAway(from, now)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns++ // this is one above the limit until the dropped connection has ended
	return !s.closed
}

// dropSearchPause is the time between two searches of all torrents for a peer to drop, if
// the first one found none.
const dropSearchPause = time.Second

// dropFor drops a peer of t, or else of another torrent, to give its connection slot to a
// new peer at the address from. It reports whether it dropped a peer. t may be nil.
func (s *Session) dropFor(t *Torrent, now time.Time, from netip.AddrPort) bool {
	if t != nil && t.dropFor(now, from) {
		return true
	}
	s.mu.Lock()
	pause := now.Sub(s.noneDropped) < dropSearchPause
	s.mu.Unlock()
	if pause {
		return false
	}
	all := s.Torrents()
	for _, o := range all {
		if o != t && o.dropFor(now, from) {
			return true
		}
	}
	if s.dropForNetwork(all, now, from) {
		return true
	}
	s.mu.Lock()
	s.noneDropped = now
	s.mu.Unlock()
	return false
}

func (t *Torrent) dropFor(now time.Time, from netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropForLocked(now, from)
}

// errNetworkFull is the reason for closing a connection to give its slot to a peer of
// another network.
var errNetworkFull = errors.New("its network has many connections, and the slot goes to a network that has fewer")

// activeRate is the rate in bytes a second, the sum of both directions, from which a peer
// keeps its slot.
const activeRate = 1 << 10

// dropForNetworkLocked drops a peer that exchanges almost no data, to give its slot to a
// new peer at the address from, unless the network of the new peer then has more
// connections to the torrent than the network of the dropped one. So one network cannot
// keep out all others. It reports whether it dropped a peer.
func (t *Torrent) dropForNetworkLocked(now time.Time, from netip.AddrPort) bool {
	peers, holders := t.holdersLocked(nil, nil, now)
	i := fairpool.Choose(holders, fairpool.NetworkOf(from.Addr()))
	return i >= 0 && peers[i].dropForNetworkLocked()
}

// dropForNetwork drops a peer as Torrent.dropForNetworkLocked does, but counts and compares
// the connections to all torrents.
func (s *Session) dropForNetwork(all []*Torrent, now time.Time, from netip.AddrPort) bool {
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
	return peers[i].dropForNetworkLocked()
}

// holdersLocked appends the connections of the torrent to peers, and to holders how each of
// them uses its slot.
func (t *Torrent) holdersLocked(peers []*conn, holders []fairpool.Holder, now time.Time) ([]*conn, []fairpool.Holder) {
	for _, c := range t.peerConns.byID {
		if c == nil || c.end.gone || c.closing.Load() {
			continue
		}
		standing := fairpool.Good
		if now.Sub(c.peer.since) > silentAfter && c.tx.meter.rate+c.req.meter.rate < activeRate {
			standing = fairpool.Waiting
		}
		peers = append(peers, c)
		holders = append(holders, fairpool.Holder{Network: fairpool.NetworkOf(c.peer.source().Addr()), Standing: standing, Since: c.peer.since})
	}
	return peers, holders
}

// dropForNetworkLocked ends the connection to give its slot to a peer of another network.
// It returns false if the connection is ending already.
func (c *conn) dropForNetworkLocked() bool {
	if c.end.gone || c.closing.Load() {
		return false
	}
	c.dropLocked(errNetworkFull)
	c.t.s.connSlots.evicted.Add(1)
	return true
}

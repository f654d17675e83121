package cli

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"spate"
	"spate/internal/fairpool"
	"spate/torrent"
)

// callback dials peers that came to the own tracker for something that is seeded
// here, and are not connected a while later: who cannot dial us, such as
// Transmission 3, which tries uTP and then waits to be dialled.
type callback struct {
	session *torrent.Session
	after   time.Duration
	waiting chan caller

	mu      sync.Mutex
	places  *fairpool.Pool[struct{}] // in waiting; guarded by mu
	refused uint64                   // guarded by mu
}

// caller is a peer that should be connected soon.
type caller struct {
	hash spate.InfoHash
	addr netip.AddrPort
	at   time.Time

	place *fairpool.Member[struct{}]
}

const (
	callAfter  = 5 * time.Second // most have dialled and shaken hands by then
	maxCallers = 1024            // in that time; a peer for which there is no place is not dialled
)

func newCallback(s *torrent.Session) *callback {
	return &callback{
		session: s, after: callAfter, waiting: make(chan caller, maxCallers),
		places: fairpool.New[struct{}](fairpool.Options{Slots: maxCallers, Grace: callAfter}),
	}
}

// came tells of a peer that has announced for the first time. It does not wait.
func (c *callback) came(ih spate.InfoHash, addr netip.AddrPort) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	place, _ := c.places.Enter(now, fairpool.NetworkOf(addr.Addr()), struct{}{})
	if place == nil {
		c.refused++
		return
	}
	c.waiting <- caller{ih, addr, now, place} // has room for all who have a place
}

// pool returns how many wait to be dialled.
func (c *callback) pool() poolState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return poolState{Places: maxCallers, Held: c.places.Len(), Refused: c.refused}
}

// Run dials until ctx ends.
func (c *callback) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case next := <-c.waiting:
			c.mu.Lock()
			next.place.Leave(time.Now())
			c.mu.Unlock()
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(c.after - time.Since(next.at)):
			}
			if t := c.session.Torrent(next.hash); t != nil && !connected(t, next.addr.Addr()) {
				t.AddPeers([]netip.AddrPort{next.addr})
			}
		}
	}
}

// connected reports whether t has a connection with anybody at addr.
func connected(t *torrent.Torrent, addr netip.Addr) bool {
	for _, p := range t.PeerStats() {
		if at, err := netip.ParseAddrPort(p.Addr); err == nil && at.Addr().Unmap() == addr.Unmap() {
			return true
		}
	}
	return false
}

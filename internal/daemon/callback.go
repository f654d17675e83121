package daemon

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"spate"
	"spate/internal/fairpool"
	"spate/torrent"
)

// callback dials peers that have announced a torrent that this process seeds, but have not
// connected after a while. Some clients never connect themselves: Transmission 3 tries uTP and
// then waits to be dialled. If nobody can connect to this process, it dials all peers at once.
type callback struct {
	session *torrent.Session
	after   time.Duration
	shut    func() bool // reports whether nobody can connect to this process
	waiting chan caller

	mu      sync.Mutex               // guards the fields below
	slots   *fairpool.Pool[struct{}] // bounds the peers in waiting
	refused uint64                   // number of peers that found no free slot
}

// caller is a peer that is dialled if it does not connect.
type caller struct {
	hash spate.InfoHash
	addr netip.AddrPort
	at   time.Time // time of the announce
	slot *fairpool.Member[struct{}]
}

const (
	callAfter  = 5 * time.Second // time in which most clients connect themselves
	maxCallers = 1024            // maximum number of waiting peers; further peers are not dialled
)

func newCallback(s *torrent.Session, shut func() bool) *callback {
	return &callback{
		session: s, after: callAfter, shut: shut, waiting: make(chan caller, maxCallers),
		slots: fairpool.New[struct{}](fairpool.Options{Slots: maxCallers, Grace: callAfter}),
	}
}

// announced records a peer that has announced for the first time. It does not block.
func (c *callback) announced(ih spate.InfoHash, addr netip.AddrPort) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	slot, _ := c.slots.Enter(now, fairpool.NetworkOf(addr.Addr()), struct{}{})
	if slot == nil {
		c.refused++
		return
	}
	c.waiting <- caller{ih, addr, now, slot} // does not block: the channel has the capacity of the pool
}

// pool returns the state of the pool of slots.
func (c *callback) pool() poolState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return poolState{Slots: maxCallers, Held: c.slots.Len(), Refused: c.refused}
}

// Run dials peers until ctx ends.
func (c *callback) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case next := <-c.waiting:
			c.mu.Lock()
			next.slot.Leave(time.Now())
			c.mu.Unlock()
			wait := c.after - time.Since(next.at)
			if c.shut() {
				wait = 0
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(wait):
			}
			if t := c.session.Torrent(next.hash); t == nil || !connected(t, next.addr.Addr()) {
				c.session.AddPeers(next.hash, []netip.AddrPort{next.addr}) // fails if the torrent is removed meanwhile
			}
		}
	}
}

// connected reports whether t has a connection with a peer at addr.
func connected(t *torrent.Torrent, addr netip.Addr) bool {
	for _, p := range t.PeerStats() {
		if p.Key.Addr().Addr().Unmap() == addr.Unmap() {
			return true
		}
	}
	return false
}

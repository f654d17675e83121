package cli

import (
	"context"
	"net/netip"
	"time"

	"spate"
	"spate/torrent"
)

// callback dials peers that came to the own tracker for something that is seeded
// here, and are not connected a while later: who cannot dial us, such as
// Transmission 3, which tries uTP and then waits to be dialled.
type callback struct {
	session *torrent.Session
	after   time.Duration
	waiting chan caller
}

// caller is a peer that should be connected soon.
type caller struct {
	hash spate.InfoHash
	addr netip.AddrPort
	at   time.Time
}

const (
	callAfter  = 5 * time.Second // most have dialled and shaken hands by then
	maxCallers = 1024            // in that time; who comes when it is full is not dialled
)

func newCallback(s *torrent.Session) *callback {
	return &callback{session: s, after: callAfter, waiting: make(chan caller, maxCallers)}
}

// came tells of a peer that has announced for the first time. It does not wait.
func (c *callback) came(ih spate.InfoHash, addr netip.AddrPort) {
	select {
	case c.waiting <- caller{ih, addr, time.Now()}:
	default:
	}
}

// Run dials until ctx ends.
func (c *callback) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case next := <-c.waiting:
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

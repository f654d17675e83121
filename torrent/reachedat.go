package torrent

import (
	"net/netip"
	"sync"
	"time"

	"spate/internal/netguard"
)

// maxReachedAddrs bounds the addresses that are remembered. The oldest makes room for a new one.
const maxReachedAddrs = 8

// reachedAddrs remembers the addresses at which peers of the internet reached this session. A peer
// that connects names the address that it connected to in its extension handshake (yourip, BEP 10).
type reachedAddrs struct {
	mu sync.Mutex
	at map[netip.Addr]time.Time // when a peer last named the address
}

// add records that the peer at address from connected to the address own.
func (r *reachedAddrs) add(own, from netip.Addr, now time.Time) {
	if own.Is4() != from.Is4() || own == from || netguard.KindOf(own) != netguard.Public {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.at[own]; !known && len(r.at) >= maxReachedAddrs {
		oldest := own
		for a, t := range r.at {
			if oldest == own || t.Before(r.at[oldest]) {
				oldest = a
			}
		}
		delete(r.at, oldest)
	}
	if r.at == nil {
		r.at = map[netip.Addr]time.Time{}
	}
	r.at[own] = now
}

// ReachedAt returns when a peer with a public address that connected to this session last said that
// it connected to the address own, or the zero Time. Only connections that count for
// [Session.LastIncoming] and belong to a torrent do. A peer can lie, so that this proves an address
// only if others name it too.
func (s *Session) ReachedAt(own netip.Addr) time.Time {
	s.reachedAt.mu.Lock()
	defer s.reachedAt.mu.Unlock()
	return s.reachedAt.at[own]
}

package torrent

import (
	"net/netip"
	"time"

	"spate"
	"spate/torrent/internal/peerlist"
)

// LocalSwarms returns the swarms that may be told to the local network (BEP 14):
// those of torrents that run, that sleep, or whose metadata is looked for, and of
// no private one (BEP 27). With FoundLocal it makes the session what package lsd
// finds peers for.
func (s *Session) LocalSwarms() []spate.InfoHash {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.port == 0 {
		return nil
	}
	all := make([]spate.InfoHash, 0, len(s.torrents)+len(s.fetches)+len(s.dormant.by))
	for ih, t := range s.torrents {
		if t.local.Load() && s.dormant.by[ih] == nil {
			all = append(all, ih)
		}
	}
	for ih, d := range s.dormant.by {
		if !d.private {
			all = append(all, ih)
		}
	}
	for ih := range s.fetches {
		all = append(all, ih)
	}
	return all
}

// FoundLocal takes the address of a peer of a swarm on the local network, and
// reports whether the swarm is one of [Session.LocalSwarms].
func (s *Session) FoundLocal(ih spate.InfoHash, peer netip.AddrPort) bool {
	s.mu.Lock()
	t, f, d := s.torrents[ih], s.fetches[ih], s.dormant.by[ih]
	s.mu.Unlock()
	switch {
	case t != nil && t.local.Load():
		t.mu.Lock()
		t.peers.Add([]netip.AddrPort{peer}, peerlist.SourceLSD)
		t.peers.Heard(peer, time.Now())
		t.mu.Unlock()
		t.dialMore(time.Now())
		return true
	case t != nil:
		return false
	case f != nil:
		f.mu.Lock()
		f.peers.Add([]netip.AddrPort{peer}, peerlist.SourceLSD)
		f.peers.Heard(peer, time.Now())
		f.mu.Unlock()
		f.nudge()
		return true
	}
	return d != nil && !d.private // a seed that sleeps wakes when the peer comes
}

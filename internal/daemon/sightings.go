package daemon

import (
	"context"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"spate/internal/netguard"
	"spate/torrent"
	"spate/tracker"
)

// observedAddr is the address of this machine as others on the internet see it.
type observedAddr struct {
	by   string     // who sees it
	addr netip.Addr // the zero Addr if nobody has said
}

// sighting is an address of this machine that somebody on the internet has seen.
type sighting struct {
	addr netip.Addr
	at   time.Time // when it was seen; for the DHT, when the vote of its nodes became this address
}

const (
	// maxSightings bounds the trackers whose last sightings are kept. The oldest makes room for a
	// new one.
	maxSightings = 32
	// sightingHolds is the time for which what a tracker has seen counts: two of the longest usual
	// intervals of announces.
	sightingHolds = 2 * time.Hour
)

// sightings remembers which IPv4 address of this machine others on the internet see. They correct
// the address that a router names, because some routers name a false one.
type sightings struct {
	mu       sync.Mutex          // guards the fields below
	trackers map[string]sighting // by the host of the tracker
	last     sighting            // what a tracker saw last
	nodes    sighting            // the vote of the nodes of the DHT
	router   netip.Addr          // what the router names
	since    time.Time           // when the router began to name another address than before; zero: it never did
}

// tracker records the address that a tracker has seen.
func (s *sightings) tracker(host string, addr netip.Addr, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = sighting{addr, now}
	if s.trackers == nil {
		s.trackers = map[string]sighting{}
	}
	if _, known := s.trackers[host]; !known && len(s.trackers) >= maxSightings {
		s.dropOldestLocked()
	}
	s.trackers[host] = sighting{addr, now}
}

// dropOldestLocked forgets the sighting of the tracker that has been silent for the longest time.
func (s *sightings) dropOldestLocked() {
	var oldest string
	for host, one := range s.trackers {
		if oldest == "" || one.at.Before(s.trackers[oldest].at) {
			oldest = host
		}
	}
	delete(s.trackers, oldest)
}

// lastByTracker returns the address that a tracker saw last, or the zero Addr if that is too long
// ago.
func (s *sightings) lastByTracker(now time.Time) netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.last.at) > sightingHolds {
		return netip.Addr{}
	}
	return s.last.addr
}

// externalAddr is the external IPv4 address of this machine as far as it is known.
type externalAddr struct {
	use netip.Addr // the address to use
	// other is an address that somebody has seen although the router names use, so that use is a
	// guess. It is the zero Addr if there is no doubt.
	other netip.Addr
}

// judge returns the external address of this machine if the router names the address router and the
// nodes of the DHT vote for nodes, which may be the zero Addr. reachedAt returns when a peer that
// connected to this process last named an address as the one that it connected to.
//
// The router's word counts as long as nobody contradicts it, or if a source, the DHT or a tracker in
// the last two hours, has seen its address, or if peers connect to its address, unless they connect to
// another one that two sources have seen too. Otherwise another
// address replaces it if all sources have seen that one, and there are two of them or peers connect
// to that address. Without such proof the router's address is a guess. What sources have seen before
// the router began to name its address does not count.
func (s *sightings) judge(router, nodes netip.Addr, reachedAt func(netip.Addr) time.Time, now time.Time) externalAddr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if router != s.router {
		if s.router.IsValid() {
			s.since = now
		}
		s.router = router
	}
	if nodes != s.nodes.addr {
		s.nodes = sighting{nodes, now}
	}
	proved := func(a netip.Addr) bool { return reachedAt(a).After(s.since) }
	seen := s.seenLocked(now)
	last, agree := sighting{}, true
	for _, one := range seen {
		if one.addr == router {
			return externalAddr{use: router}
		}
		agree = agree && one.addr == seen[0].addr
		if last.at.Before(one.at) {
			last = one
		}
	}
	several := agree && len(seen) > 1
	switch {
	case len(seen) == 0 || proved(router) && !(several && proved(last.addr)): // a single peer may lie
		return externalAddr{use: router}
	case several || agree && proved(last.addr):
		return externalAddr{use: last.addr}
	}
	return externalAddr{use: router, other: last.addr}
}

// seenLocked returns what the DHT and each tracker have seen since the router began to name its
// address. It forgets what trackers saw too long ago.
func (s *sightings) seenLocked(now time.Time) (seen []sighting) {
	if s.nodes.addr.IsValid() && s.nodes.at.After(s.since) {
		seen = append(seen, s.nodes)
	}
	for host, one := range s.trackers {
		switch {
		case now.Sub(one.at) > sightingHolds:
			delete(s.trackers, host)
		case one.at.After(s.since):
			seen = append(seen, one)
		}
	}
	return seen
}

// seenAddr is an announcer that remembers the address that trackers of the internet see.
type seenAddr struct {
	torrent.Announcer
	now func() time.Time
	sightings
}

// Announce implements [torrent.Announcer].
func (a *seenAddr) Announce(ctx context.Context, trackerURL string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	resp, err := a.Announcer.Announce(ctx, trackerURL, req)
	if err == nil && resp.ExternalIP.Is4() && netguard.KindOf(resp.ExternalIP) == netguard.Public {
		if u, err := url.Parse(trackerURL); err == nil {
			a.tracker(u.Hostname(), resp.ExternalIP, a.now())
		}
	}
	return resp, err
}

// AnnounceSignals implements [torrent.SignalAnnouncer].
func (a *seenAddr) AnnounceSignals(ctx context.Context, trackerURL string, req *tracker.AnnounceRequest, signals tracker.Signals) (*tracker.AnnounceResponse, error) {
	return announceSignals(ctx, a.Announcer, trackerURL, req, signals)
}

// announceSignals announces to a WebSocket tracker by next, which may not be able to.
func announceSignals(ctx context.Context, next torrent.Announcer, trackerURL string, req *tracker.AnnounceRequest, signals tracker.Signals) (*tracker.AnnounceResponse, error) {
	s, ok := next.(torrent.SignalAnnouncer)
	if !ok {
		return next.Announce(ctx, trackerURL, req)
	}
	return s.AnnounceSignals(ctx, trackerURL, req, signals)
}

// seenAddress returns the IPv4 address that trackers see or, if none has said, the nodes of the
// DHT.
func (s *Session) seenAddress() observedAddr {
	if a := s.seen.lastByTracker(s.env.Now()); a.IsValid() {
		return observedAddr{"trackers", a}
	}
	if a := s.seenByNodes(); a.IsValid() {
		return observedAddr{"DHT nodes", a}
	}
	return observedAddr{}
}

// seenByNodes returns the public IPv4 address for which the nodes of the DHT vote, or the zero Addr.
func (s *Session) seenByNodes() netip.Addr {
	if s.nodes == nil {
		return netip.Addr{}
	}
	for _, f := range s.nodes.node.Status().Families {
		if a := f.External.Addr(); !f.IPv6 && netguard.KindOf(a) == netguard.Public {
			return a
		}
	}
	return netip.Addr{}
}

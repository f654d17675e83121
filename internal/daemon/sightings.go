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

// maxSightings bounds the trackers whose last sightings are kept.
const maxSightings = 32

// sightings remembers which IPv4 address of this machine others on the internet see. They correct
// the address that a router names, because some routers name a false one.
type sightings struct {
	mu       sync.Mutex          // guards the fields below
	trackers map[string]sighting // by the host of the tracker
	last     netip.Addr          // what a tracker saw last
	nodes    sighting            // the vote of the nodes of the DHT
	router   netip.Addr          // what the router names
	since    time.Time           // when the router began to name another address than before; zero: it never did
}

// tracker records the address that a tracker has seen.
func (s *sightings) tracker(host string, addr netip.Addr, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = addr
	if s.trackers == nil {
		s.trackers = map[string]sighting{}
	}
	if _, known := s.trackers[host]; known || len(s.trackers) < maxSightings {
		s.trackers[host] = sighting{addr, now}
	}
}

// lastByTracker returns the address that a tracker saw last.
func (s *sightings) lastByTracker() netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// correct returns the address of this machine if the router names the address router and the nodes
// of the DHT vote for nodes, which may be the zero Addr. It returns another address than the router's
// if two sources or more, trackers or the DHT, have seen that address and none has seen another
// since the router began to name its address.
func (s *sightings) correct(router, nodes netip.Addr, now time.Time) netip.Addr {
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
	var seen netip.Addr
	sources := 0
	count := func(one sighting) {
		switch {
		case !one.addr.IsValid() || !one.at.After(s.since):
		case !seen.IsValid() || one.addr == seen:
			seen = one.addr
			sources++
		default:
			sources = -len(s.trackers) - 1 // they do not agree
		}
	}
	count(s.nodes)
	for _, one := range s.trackers {
		count(one)
	}
	if sources < 2 {
		return router
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
	if a := s.seen.lastByTracker(); a.IsValid() {
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

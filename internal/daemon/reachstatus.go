package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"spate/internal/netguard"
	"spate/internal/reach"
	"spate/portmap"
	"spate/torrent"
	"spate/tracker"
)

// Reach returns what the process knows about whether others on the internet can connect.
func (s *Session) Reach() reach.Status {
	if !s.askable() {
		return reach.Status{}
	}
	var st reach.Status
	f := s.mapped()
	if s.ports != nil {
		st = reachOf(f, s.PeerPort(), s.site, s.seen.address())
	}
	addDialBack(&st, s.asks.known(s.reachedNow()), forwardAdvice(f, s.PeerPort(), s.site))
	st.Confirmed = !s.LastIncoming().IsZero()
	return st
}

// forwardAdvice says how to let others reach the ports through a router. site is 0 without a site.
func forwardAdvice(f portmap.Family, peers, site uint16) string {
	to := "this machine"
	if f.Local.IsValid() {
		to = f.Local.String()
	}
	if site != 0 {
		return fmt.Sprintf("turn on UPnP in the settings of the router, or forward the ports %d and %d (TCP and UDP) to %s there and name the router's address with --public-url", peers, site, to)
	}
	return fmt.Sprintf("turn on UPnP in the settings of the router, or forward port %d (TCP and UDP) to %s there", peers, to)
}

// reachOf describes the mappings of IPv4. site is the port of the site, or 0. seen is the
// address that trackers see, or the zero Addr.
func reachOf(f portmap.Family, peers, site uint16, seen netip.Addr) reach.Status {
	var st reach.Status
	forward := forwardAdvice(f, peers, site)
	if a := f.Reached(portmap.TCP, peers); a.IsValid() {
		st.Peers, st.How = a.String(), "opened by the router, "+f.Way.String()
	}
	if a := f.Reached(portmap.TCP, site); site != 0 && a.IsValid() {
		st.Site, st.How = a.String(), "opened by the router, "+f.Way.String()
	}
	const carrier = "ask the provider for a public IPv4 address"
	switch public := seen.IsValid() && netguard.KindOf(seen) == netguard.Public; {
	case f.BehindNAT():
		st.Problem = fmt.Sprintf("the router itself has the private address %v behind another router", f.External)
		if carrierRange.Contains(f.External) {
			st.Problem = fmt.Sprintf("the provider shares one address among its customers (carrier-grade NAT: the router has %v)", f.External)
		}
		st.Advice = carrier
	case st.Peers != "" && public && seen != f.External:
		st.Problem = fmt.Sprintf("trackers see the address %v, not that of the router, so that another router, perhaps the provider's, is between", seen)
		st.Advice = carrier
	case errors.Is(f.Err, portmap.ErrNotNeeded):
		st.Peers, st.How = netip.AddrPortFrom(f.Local, peers).String(), "this machine has a public address"
	case errors.Is(f.Err, portmap.ErrNoExternal):
		st.Problem, st.Advice = f.Err.Error(), carrier
	case errors.Is(f.Err, portmap.ErrNoGateway), f.Err == nil && f.Way == portmap.None:
		// nothing is known
	case f.Err != nil && st.Peers == "":
		st.Problem, st.Advice = f.Err.Error(), forward
	case f.Err != nil:
		st.Problem = f.Err.Error()
	}
	return st
}

// carrierRange contains the addresses that carriers give to customers behind their NAT (RFC
// 6598).
var carrierRange = netip.MustParsePrefix("100.64.0.0/10")

// watchReach tells the engine its external port, and calls told with the first status and each
// change, until ctx ends. told may be nil.
func (s *Session) watchReach(ctx context.Context, told func(reach.Status)) {
	var changed chan struct{} // nil without mappings
	if s.ports != nil {
		changed = s.ports.changed
		s.ports.settle(ctx, time.Minute)
	}
	tick := time.NewTicker(reachEvery)
	defer tick.Stop()
	var before reach.Status
	var external netip.Addr
	for {
		f := s.mapped()
		s.advertise()
		if f.External.IsValid() && external.IsValid() && f.External != external {
			s.AnnounceAgain()
		}
		if f.External.IsValid() {
			external = f.External
		}
		if now := s.Reach(); now != before && ctx.Err() == nil {
			before = now
			if told != nil {
				told(now)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// reachEvery is the interval in which incoming connections and the answers of trackers are looked
// at.
const reachEvery = 5 * time.Second

// seenAddr is an announcer that remembers the address that trackers of the internet see.
type seenAddr struct {
	torrent.Announcer

	mu   sync.Mutex
	addr netip.Addr // guarded by mu
}

// Announce implements [torrent.Announcer].
func (a *seenAddr) Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	resp, err := a.Announcer.Announce(ctx, url, req)
	if err == nil && resp.ExternalIP.Is4() && netguard.KindOf(resp.ExternalIP) == netguard.Public {
		a.mu.Lock()
		a.addr = resp.ExternalIP
		a.mu.Unlock()
	}
	return resp, err
}

func (a *seenAddr) address() netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.addr
}

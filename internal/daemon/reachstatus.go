package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"spate/internal/netguard"
	"spate/internal/reach"
	"spate/portmap"
)

// Reach returns what the process knows about whether others on the internet can connect.
func (s *Session) Reach() reach.Status {
	if at := s.env.Proxy(); at != "" {
		return throughProxy(at)
	}
	if !s.askable() {
		return reach.Status{}
	}
	var st reach.Status
	f, named := s.mapped(), s.namedByRouter()
	if s.ports != nil {
		seen := s.seenAddress()
		if f.External != named {
			seen = observedAddr{"others", f.External}
		}
		st = reachOf(f, named, s.peerProtocol(), s.PeerPort(), s.site, seen)
		st.IPv6, st.HowIPv6 = reachOf6(s.ports.Status().IPv6, s.peerProtocol(), s.PeerPort())
	}
	addDialBack(&st, s.asks.known(s.reachedNow()), forwardAdvice(f, s.PeerPort(), s.site))
	st.Confirmed = !s.LastIncoming().IsZero()
	return st
}

// mayReach reports whether others can connect to a session for all that is known. s is nil until the
// session is open.
func mayReach(s *Session) bool {
	if s == nil {
		return true
	}
	st := s.Reach()
	return st.Problem == "" || st.Confirmed || st.IPv6 != ""
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

// reachOf describes the mappings of IPv4. named is the address that the router names, which may be
// another than the corrected one in f. Peers connect by protocol to the port peers. site is the
// port of the site, or 0.
func reachOf(f portmap.Family, named netip.Addr, protocol portmap.Protocol, peers, site uint16, seen observedAddr) reach.Status {
	var st reach.Status
	forward := forwardAdvice(f, peers, site)
	if a := f.Reached(protocol, peers); a.IsValid() {
		st.Peers, st.How = a.String(), "opened by the router, "+f.Way.String()
	}
	if a := f.Reached(portmap.TCP, site); site != 0 && a.IsValid() {
		st.Site, st.How = a.String(), "opened by the router, "+f.Way.String()
	}
	if st.How != "" && named != f.External {
		st.How += fmt.Sprintf("; it names %v, but others see this address: if nobody can connect, another NAT is between", named)
	}
	const carrier = "ask the provider for a public IPv4 address"
	switch {
	case f.BehindNAT():
		st.Problem = fmt.Sprintf("the router itself has the private address %v behind another router", f.External)
		if carrierRange.Contains(f.External) {
			st.Problem = fmt.Sprintf("the provider shares one address among its customers (carrier-grade NAT: the router has %v)", f.External)
		}
		st.Advice = carrier
	case st.Peers != "" && seen.addr.IsValid() && seen.addr != f.External:
		st.Problem = fmt.Sprintf("%s see the address %v, not that of the router, so that another NAT, perhaps the provider's (carrier-grade NAT), is between", seen.by, seen.addr)
		st.Advice = carrier
		if st.Site != "" {
			st.Problem += "; links with the router's address are a guess"
			st.Advice += fmt.Sprintf("; or, if others reach this machine at %v, name that address with --public-url", seen.addr)
		}
	case errors.Is(f.Err, portmap.ErrNotNeeded):
		st.Peers, st.How = netip.AddrPortFrom(f.Local, peers).String(), "this machine has a public address"
	case errors.Is(f.Err, portmap.ErrNoExternal) && seen.addr.IsValid(): // so the router is not offline
		st.Problem = fmt.Sprintf("the router has no public address: another NAT, most likely the provider's (carrier-grade NAT), is between it and the address %v that %s see", seen.addr, seen.by)
		st.Advice = carrier
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

// reachOf6 returns the address of the port for peers over IPv6, and why it is reached or what it
// takes. The address is "" if this machine has no public IPv6 address. Nothing is translated, but
// most routers refuse connections that they were not asked to let in.
func reachOf6(f portmap.Family, protocol portmap.Protocol, peers uint16) (addr, how string) {
	if !f.Local.IsValid() || netguard.KindOf(f.Local) != netguard.Public {
		return "", ""
	}
	if a := f.Reached(protocol, peers); a.IsValid() {
		return a.String(), "opened by the router, " + f.Way.String()
	}
	return netip.AddrPortFrom(f.Local, peers).String(), "unless a firewall refuses connections"
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

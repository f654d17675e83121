package portmap

import (
	"context"
	"net"
	"net/netip"

	"spate/internal/netguard"
)

// waysOf returns the functions that find the ways to ask a router, the preferred one first.
func (m *Mapper) waysOf(n network) []func(context.Context) (way, error) {
	return []func(context.Context) (way, error){
		func(ctx context.Context) (way, error) { return m.detectPMP(ctx, n) },
		func(ctx context.Context) (way, error) { return m.detectUPnP(ctx, n) },
	}
}

// route is a default route.
type route struct {
	gateway netip.Addr
	device  string // name of the interface
}

// findRoute returns the router of an address family and the address of this machine. It returns
// an error if no request may be sent to the router.
func (m *Mapper) findRoute(v6 bool) (n network, err error) {
	bind := m.opt.Bind.Unmap()
	if bind.IsValid() && bind.Is6() != v6 {
		return n, ErrNoGateway
	}
	n.gateway, n.local = m.opt.Gateway.Unmap(), bind
	if !n.gateway.IsValid() {
		if n.gateway, err = defaultGateway(v6, bind); err != nil {
			return n, err
		}
	} else if n.gateway.Is6() != v6 {
		return network{}, ErrNoGateway
	}
	if !bind.IsValid() {
		if n.local, err = localAddr(n.gateway); err != nil {
			return n, err
		}
	}
	switch kind := netguard.KindOf(n.local); {
	case !v6 && kind == netguard.Public:
		return n, ErrNotNeeded
	case v6 && kind != netguard.Public && !n.gateway.IsLoopback():
		return n, ErrNoGateway // nobody outside can have this address as a destination
	}
	return n, checkGateway(n.gateway)
}

// defaultGateway returns the router of the first default route. If bind is valid, the route's
// interface must have that address.
func defaultGateway(v6 bool, bind netip.Addr) (netip.Addr, error) {
	routes, err := defaultRoutes(v6)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, r := range routes {
		if !bind.IsValid() || deviceHas(r.device, bind) {
			return r.gateway, nil
		}
	}
	return netip.Addr{}, ErrNoGateway
}

// deviceHas reports whether an interface has an address.
func deviceHas(device string, a netip.Addr) bool {
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return false
	}
	addrs, err := dev.Addrs()
	if err != nil {
		return false
	}
	for _, ia := range addrs {
		if p, err := netip.ParsePrefix(ia.String()); err == nil && p.Addr().Unmap() == a.WithZone("") {
			return true
		}
	}
	return false
}

// localAddr returns the address from which this machine sends packets to the internet through a
// gateway. It sends no packet.
func localAddr(gateway netip.Addr) (netip.Addr, error) {
	to := netip.AddrPortFrom(gateway, 9)
	if gateway.Is6() && !gateway.IsLoopback() {
		// The address for a link-local gateway is link-local, so the route to the internet
		// decides. 2001:db8::/32 is for documentation.
		to = netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), 9)
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

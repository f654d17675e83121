//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package portmap

import (
	"net"
	"net/netip"
	"syscall"

	xroute "golang.org/x/net/route"
)

// defaultRoutes returns the default routes through a router.
func defaultRoutes(v6 bool) ([]route, error) {
	family := syscall.AF_INET
	if v6 {
		family = syscall.AF_INET6
	}
	b, err := xroute.FetchRIB(family, xroute.RIBTypeRoute, 0)
	if err != nil {
		return nil, err
	}
	messages, err := xroute.ParseRIB(xroute.RIBTypeRoute, b)
	if err != nil {
		return nil, err
	}
	var out []route
	for _, msg := range messages {
		m, ok := msg.(*xroute.RouteMessage)
		if !ok || m.Flags&(syscall.RTF_UP|syscall.RTF_GATEWAY) != syscall.RTF_UP|syscall.RTF_GATEWAY || len(m.Addrs) <= syscall.RTAX_NETMASK {
			continue
		}
		dev, err := net.InterfaceByIndex(m.Index)
		if err != nil || !isZero(m.Addrs[syscall.RTAX_DST]) || !isZero(m.Addrs[syscall.RTAX_NETMASK]) {
			continue
		}
		switch a := m.Addrs[syscall.RTAX_GATEWAY].(type) {
		case *xroute.Inet4Addr:
			out = append(out, route{netip.AddrFrom4(a.IP), dev.Name})
		case *xroute.Inet6Addr:
			gateway := netip.AddrFrom16(a.IP)
			if gateway.IsLinkLocalUnicast() {
				gateway = gateway.WithZone(dev.Name)
			}
			out = append(out, route{gateway, dev.Name})
		}
	}
	return out, nil
}

// isZero reports whether an address or a mask is missing or consists of zeros.
func isZero(a xroute.Addr) bool {
	switch a := a.(type) {
	case nil:
		return true
	case *xroute.Inet4Addr:
		return a.IP == [4]byte{}
	case *xroute.Inet6Addr:
		return a.IP == [16]byte{}
	}
	return false
}

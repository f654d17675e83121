package portmap

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"
)

// defaultRoutes returns the routers of the interfaces, that of the preferred interface first.
func defaultRoutes(v6 bool) ([]route, error) {
	family, metric := uint32(windows.AF_INET), func(a *windows.IpAdapterAddresses) uint32 { return a.Ipv4Metric }
	if v6 {
		family, metric = windows.AF_INET6, func(a *windows.IpAdapterAddresses) uint32 { return a.Ipv6Metric }
	}
	size := uint32(32 << 10)
	for range 4 {
		buf := make([]byte, size)
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(&buf[0]))
		err := windows.GetAdaptersAddresses(family, windows.GAA_FLAG_INCLUDE_GATEWAYS, 0, first, &size)
		if errors.Is(err, windows.ERROR_BUFFER_OVERFLOW) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var up []*windows.IpAdapterAddresses
		for a := first; a != nil; a = a.Next {
			if a.OperStatus == windows.IfOperStatusUp {
				up = append(up, a)
			}
		}
		slices.SortStableFunc(up, func(a, b *windows.IpAdapterAddresses) int { return cmp.Compare(metric(a), metric(b)) })
		var out []route
		for _, a := range up {
			for g := a.FirstGatewayAddress; g != nil; g = g.Next {
				gateway, ok := netip.AddrFromSlice(g.Address.IP())
				if !ok {
					continue
				}
				name := windows.UTF16PtrToString(a.FriendlyName)
				if gateway = gateway.Unmap(); gateway.IsLinkLocalUnicast() && gateway.Is6() {
					gateway = gateway.WithZone(name)
				}
				out = append(out, route{gateway, name})
			}
		}
		return out, nil
	}
	return nil, windows.ERROR_BUFFER_OVERFLOW
}

package portmap

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// maxRoutes bounds the bytes that are read of the table of routes.
const maxRoutes = 1 << 20

// defaultRoutes returns the default routes through a router, the preferred ones first. It reads
// them below /proc/self, because a service that sees only its own processes (ProcSubset=pid of
// systemd) has no /proc/net.
func defaultRoutes(v6 bool) ([]route, error) {
	path, parse := "/proc/self/net/route", parseRoute4
	if v6 {
		path, parse = "/proc/self/net/ipv6_route", parseRoute6
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readRoutes(io.LimitReader(f, maxRoutes), parse)
}

// metricRoute is a route with its metric; smaller metrics are preferred.
type metricRoute struct {
	route
	metric uint64
}

// readRoutes returns the routes for which parse returns true.
func readRoutes(in io.Reader, parse func(fields []string) (metricRoute, bool)) ([]route, error) {
	var all []metricRoute
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if r, ok := parse(strings.Fields(lines.Text())); ok {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b metricRoute) int { return cmp.Compare(a.metric, b.metric) })
	var out []route
	for _, r := range all {
		out = append(out, r.route)
	}
	return out, lines.Err()
}

const (
	routeUp      = 1 // RTF_UP
	routeGateway = 2 // RTF_GATEWAY
)

// parseRoute4 parses a line of /proc/self/net/route: Iface Destination Gateway Flags RefCnt Use
// Metric Mask. Addresses are hexadecimal, in the byte order of the machine.
func parseRoute4(f []string) (r metricRoute, ok bool) {
	if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
		return r, false
	}
	flags, err := strconv.ParseUint(f[3], 16, 32)
	gateway, err2 := strconv.ParseUint(f[2], 16, 32)
	metric, err3 := strconv.ParseUint(f[6], 10, 32)
	if err != nil || err2 != nil || err3 != nil || flags&(routeUp|routeGateway) != routeUp|routeGateway {
		return r, false
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(gateway))
	return metricRoute{route{netip.AddrFrom4(b), f[0]}, metric}, true
}

// parseRoute6 parses a line of /proc/self/net/ipv6_route: destination, its prefix length, source,
// its prefix length, next hop, metric, reference count, use count, flags, interface.
func parseRoute6(f []string) (r metricRoute, ok bool) {
	if len(f) < 10 || f[0] != strings.Repeat("0", 32) || f[1] != "00" {
		return r, false
	}
	flags, err := strconv.ParseUint(f[8], 16, 32)
	metric, err2 := strconv.ParseUint(f[5], 16, 32)
	gateway, err3 := hex.DecodeString(f[4])
	if err != nil || err2 != nil || err3 != nil || len(gateway) != 16 || flags&(routeUp|routeGateway) != routeUp|routeGateway {
		return r, false
	}
	a := netip.AddrFrom16([16]byte(gateway))
	if a.IsLinkLocalUnicast() {
		a = a.WithZone(f[9])
	}
	return metricRoute{route{a, f[9]}, metric}, true
}

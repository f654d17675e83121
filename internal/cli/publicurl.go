package cli

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"spate/internal/fault"
	"spate/internal/netguard"
)

// publicURL is how others reach the listener at addr: given, when it is not
// empty, else guessed from the address itself or from the interface that leads
// outside. guessed says which. No packet is sent.
func publicURL(given string, addr netip.AddrPort) (u *url.URL, guessed bool, err error) {
	if given != "" {
		u, err := url.Parse(given)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return nil, false, fault.UsageHint("write it as http://files.example.org:6969", "--public-url %s is not an http or https URL of a host", given)
		}
		u.Path = strings.TrimRight(u.Path, "/")
		u.RawPath = ""
		return u, false, nil
	}
	host := addr.Addr()
	if host.IsUnspecified() || !host.IsValid() {
		host, guessed = outwardAddrs()[0], true
	}
	u = &url.URL{Scheme: "http", Host: net.JoinHostPort(host.WithZone("").String(), strconv.Itoa(int(addr.Port())))}
	return u, guessed, nil
}

// outwardAddrs are the local addresses that packets to the internet would carry,
// one of each family, or else the first address of an interface, or else
// loopback. There is at least one.
func outwardAddrs() []netip.Addr {
	var out []netip.Addr
	// Connecting a UDP socket chooses a route and sends nothing.
	for _, to := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		c, err := net.Dial("udp", to)
		if err != nil {
			continue
		}
		a := addrPortOf(c.LocalAddr()).Addr()
		c.Close()
		if a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() {
			out = append(out, a)
		}
	}
	if len(out) > 0 {
		return out
	}
	addrs, _ := net.InterfaceAddrs()
	for _, ia := range addrs {
		p, err := netip.ParsePrefix(ia.String())
		if err == nil && p.Addr().IsGlobalUnicast() {
			return append(out, p.Addr())
		}
	}
	return append(out, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

// announceURLs are the announce URLs of the tracker that is reached at base, by
// tier: HTTP first, because it passes where UDP is blocked and a client waits
// long for UDP. udp is the UDP tracker's address, "" when it is off; behind an
// https URL that is not served here it is not announced, for that is a proxy's.
func announceURLs(base *url.URL, udp string, served bool) [][]string {
	tiers := [][]string{{base.JoinPath("announce").String()}}
	if udp == "" || base.Scheme != "http" && !served {
		return tiers
	}
	_, port, err := net.SplitHostPort(udp)
	if err != nil {
		return tiers
	}
	u := url.URL{Scheme: "udp", Host: net.JoinHostPort(base.Hostname(), port), Path: "/announce"}
	return append(tiers, []string{u.String()})
}

// reachOf says in words who can use an address.
func reachOf(host string) string {
	if host == "localhost" {
		return "this machine only"
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	switch netguard.KindOf(a) {
	case netguard.Loopback, netguard.Unspecified:
		return "this machine only"
	case netguard.Private, netguard.LinkLocal:
		return "this network only"
	}
	return ""
}

package daemon

import (
	"net"
	"net/netip"
	"net/url"

	"spate/internal/fault"
	"spate/internal/netguard"
	"spate/internal/weburl"
	"spate/publish"
)

// ParsePublicURL parses the URL under which clients reach a site or a tracker, and returns it in
// the form of [weburl.Base].
func ParsePublicURL(s string) (*url.URL, error) {
	u, err := weburl.Parse(s)
	if err != nil {
		return nil, fault.UsageHint("write it as http://files.example.org:6969", "the public URL %s cannot be used: %v", s, err)
	}
	return u, nil
}

// publicURL returns the URL under which clients reach the listener at addr. It is given or, if
// given is nil, a URL with the address itself. If the listener has all addresses, the URL is a
// guess with the address of the interface that leads to the internet. publicURL sends no
// packet. secure selects https.
func publicURL(given *url.URL, addr netip.AddrPort, secure bool) (u *url.URL, guessed bool) {
	if given != nil {
		return given, false
	}
	host := addr.Addr()
	if host.IsUnspecified() || !host.IsValid() {
		host, guessed = outwardAddrs()[0], true
	}
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return weburl.FromAddr(scheme, netip.AddrPortFrom(host, addr.Port())), guessed
}

// RouteAddr returns the local address of packets to the internet, for IPv6 or IPv4. It is not valid
// if no route leads there. RouteAddr sends no packet.
func RouteAddr(ipv6 bool) netip.Addr {
	to := "192.0.2.1:9"
	if ipv6 {
		to = "[2001:db8::1]:9"
	}
	c, err := net.Dial("udp", to) // connecting a UDP socket selects a route and sends nothing
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	if a := addrPortOf(c.LocalAddr()).Addr(); !a.IsUnspecified() && !a.IsLoopback() {
		return a
	}
	return netip.Addr{}
}

// outwardAddrs returns the local addresses of packets to the internet, one of each family.
// Without a route it returns the first address of an interface, or loopback. It returns at
// least one address.
func outwardAddrs() []netip.Addr {
	var out []netip.Addr
	for _, ipv6 := range []bool{false, true} {
		if a := RouteAddr(ipv6); a.IsValid() {
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

// announceURLs returns the announce URLs of the tracker at base, by tier. HTTP comes first,
// because it passes where UDP is blocked, and clients wait long for UDP. udp is the address
// of the UDP tracker, or "". If base is an https URL and this process does not serve
// HTTPS itself, base is a proxy's, and UDP is not announced.
func announceURLs(base *url.URL, udp string, served bool) [][]string {
	tiers := [][]string{{publish.Absolute(base, "/announce")}}
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

// Reach describes which machines can connect to host: "this machine only", "this network only",
// or "" if unknown.
func Reach(host string) string {
	if netguard.LocalHost(host) {
		return "this machine only"
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	switch netguard.KindOf(a) {
	case netguard.Unspecified:
		return "this machine only"
	case netguard.Private, netguard.LinkLocal:
		return "this network only"
	}
	return ""
}

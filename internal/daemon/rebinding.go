package daemon

import (
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"spate/internal/netguard"
	"spate/internal/weburl"
)

// hostNames are the names under which a site answers the browsers of its own network.
//
// A page of a stranger can make its own name resolve to an address of the visitor's network (DNS
// rebinding). For the browser, the site is then part of that page, which reads what only this network
// should reach. A site for everybody loses nothing in this way, and programs other than browsers run no
// pages. So a name must be known if a browser asks that is on this machine or on a private network.
type hostNames []string

// hostNamesOf returns the names in the settings and those of this machine.
func hostNamesOf(given ...string) (all hostNames) {
	if h, err := os.Hostname(); err == nil && h != "" {
		first, _, _ := strings.Cut(h, ".")
		given = append(given, h, h+".local", first)
	}
	for _, h := range given {
		if h = strings.ToLower(strings.TrimSuffix(h, ".")); h != "" {
			all = append(all, h)
		}
	}
	return all
}

// localZones are domains in which no stranger can have a name: RFC 2606, 6762, 8375, and the ones of
// private networks that are reserved or blocked at the top of the DNS.
var localZones = []string{"test", "local", "home.arpa", "internal", "localdomain", "home", "corp", "lan", "mail"}

// knows reports whether a Host header is one that no page of a stranger can have as its own site.
func (n hostNames) knows(header string) bool {
	name := strings.TrimSuffix(weburl.HeaderName(header), ".")
	if weburl.OnlyOwn(name) || !strings.Contains(name, ".") || slices.Contains(n, name) {
		return true
	}
	return slices.ContainsFunc(localZones, func(zone string) bool { return strings.HasSuffix(name, "."+zone) })
}

// strange reports whether r may come from a page of a stranger whose name resolves to this machine. from
// is the address of the visitor.
func (n hostNames) strange(r *http.Request, from netip.Addr) bool {
	switch netguard.KindOf(from) {
	case netguard.Loopback, netguard.Private, netguard.LinkLocal:
	default:
		return false
	}
	_, browser := r.Header["Accept-Language"] // of each request of a browser; scripts cannot remove it
	return browser && !n.knows(r.Host)
}

// refuseStrange answers a request for which strange returns true.
func refuseStrange(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "This machine is not known under the name in the address. Use its IP address, or start spate with --public-url and this name.", http.StatusMisdirectedRequest)
}

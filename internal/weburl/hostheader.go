package weburl

import (
	"net"
	"net/netip"
	"strings"
)

// HeaderName returns the host of a Host header without its port, in lower case and without brackets.
func HeaderName(header string) string {
	name := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		name = h
	}
	return strings.ToLower(strings.Trim(name, "[]"))
}

// OnlyOwn reports whether no page of a stranger can have the host of a Host header as that of its own
// site: it is an address, or localhost. Any other name may be one that its owner makes resolve to this
// machine (DNS rebinding).
func OnlyOwn(header string) bool {
	name := HeaderName(header)
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost")
}

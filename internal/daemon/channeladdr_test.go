package daemon

import (
	"net/netip"
	"testing"

	"spate/internal/reach"
)

// TestChannelAddrNamesReachedAddresses checks which addresses descriptions name, that private ones
// stay hidden, and that this side counts as reachable only if it is over each address family.
func TestChannelAddrNamesReachedAddresses(t *testing.T) {
	t.Parallel()
	addr, addrPort := netip.MustParseAddr, netip.MustParseAddrPort
	all := func(list ...string) (out []netip.Addr) {
		for _, s := range list {
			out = append(out, addr(s))
		}
		return out
	}
	for _, c := range []struct {
		name string
		f    channelFacts
		want string
		open bool
	}{
		{"loopback", channelFacts{bind: addr("127.0.0.1")}, "[127.0.0.1:6881]", true},
		{"a server", channelFacts{local: all("203.0.113.9", "2a00::1"), seen: addr("203.0.113.9")}, "[203.0.113.9:6881 [2a00::1]:6881]", true},
		{"mapped", channelFacts{local: all("192.168.1.2"), mapped4: addrPort("198.51.100.1:7000")}, "[198.51.100.1:7000]", true},
		{"mapped, but peers do not reach it", channelFacts{local: all("192.168.1.2"), mapped4: addrPort("198.51.100.1:7000"), udp4: reach.Unreachable}, "[198.51.100.1:7000]", false},
		{"behind a router", channelFacts{local: all("192.168.1.2"), seen: addr("198.51.100.1")}, "[198.51.100.1:6881]", false},
		{"behind a router that peers pass", channelFacts{local: all("192.168.1.2"), seen: addr("198.51.100.1"), udp4: reach.Reachable}, "[198.51.100.1:6881]", true},
		{"a network of its own", channelFacts{local: all("192.168.1.2")}, "[192.168.1.2:6881]", false},
		{"IPv6 beside a private IPv4", channelFacts{local: all("192.168.1.2", "2a00::1")}, "[[2a00::1]:6881]", false},
		{"a home with IPv6", channelFacts{local: all("192.168.1.2", "2a00::1"), seen: addr("198.51.100.1")}, "[198.51.100.1:6881 [2a00::1]:6881]", false},
		{"a home that maps IPv4", channelFacts{local: all("192.168.1.2", "2a00::1"), mapped4: addrPort("198.51.100.1:7000")}, "[198.51.100.1:7000 [2a00::1]:6881]", false},
		{"a home that maps both", channelFacts{local: all("192.168.1.2", "2a00::1"), mapped4: addrPort("198.51.100.1:7000"), mapped6: addrPort("[2a00::1]:6881")}, "[198.51.100.1:7000 [2a00::1]:6881]", true},
		{"a home whose IPv6 peers reach", channelFacts{local: all("192.168.1.2", "2a00::1"), mapped4: addrPort("198.51.100.1:7000"), udp6: reach.Reachable}, "[198.51.100.1:7000 [2a00::1]:6881]", true},
		{"bound to one of several", channelFacts{bind: addr("10.0.0.5"), local: all("192.168.1.2")}, "[10.0.0.5:6881]", false},
		{"bound to IPv6", channelFacts{bind: addr("2a00::1"), local: all("192.168.1.2", "2a00::1"), seen: addr("198.51.100.1"), udp6: reach.Reachable}, "[[2a00::1]:6881]", true},
	} {
		c.f.port = 6881
		found, open := c.f.choose()
		if got := joined(found); got != c.want || open != c.open {
			t.Errorf("%s: %s, open: %v; want %s, %v", c.name, got, open, c.want, c.open)
		}
	}
}

func joined(list []netip.AddrPort) string {
	s := "["
	for i, a := range list {
		if i > 0 {
			s += " "
		}
		s += a.String()
	}
	return s + "]"
}

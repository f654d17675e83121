package trackerserver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestClaimedAddresses checks which addresses peers at addresses of each kind may claim with
// ip=, because other peers and NATCheck connect to the claimed address.
func TestClaimedAddresses(t *testing.T) {
	groups := map[string]string{
		"public":   "198.51.100.7 2001:db8::7",
		"private":  "10.7.7.7 192.168.1.1 100.64.1.1 fd00::7",
		"link":     "169.254.7.7 fe80::7",
		"loopback": "127.0.0.1 ::1",
		"none":     "0.0.0.0 :: 224.0.0.1 ff02::1 255.255.255.255 240.0.0.1 192.0.0.1 169.254.169.254 fd00:ec2::254 100.100.100.200",
	}
	for from, allowed := range map[string]string{
		"203.0.113.1": "", "2001:db8::1": "", "100.64.0.1": "",
		"10.0.0.1": "public private", "192.168.1.9": "public private", "fd00::1": "public private",
		"169.254.1.1": "public private link", "127.0.0.1": "public private link loopback", "::1": "public private link loopback",
	} {
		for group, text := range groups {
			for _, ip := range strings.Fields(text) {
				s := newServer(t, Options{})
				req := peer(1)
				req.IP = netip.MustParseAddr(ip)
				if _, err := announce(t, s, netip.AddrPortFrom(netip.MustParseAddr(from), 9).String(), req); err != nil {
					t.Fatal(err)
				}
				want := netip.MustParseAddr(from)
				if slices.Contains(strings.Fields(allowed), group) {
					want = req.IP
				}
				reply, err := announce(t, s, "203.0.113.99:9", peer(2))
				if err != nil || len(reply.Peers) != 1 || reply.Peers[0].Addr() != want {
					t.Errorf("%s claims %s: others get %v, %v, want %v", from, ip, reply.Peers, err, want)
				}
			}
		}
	}
}

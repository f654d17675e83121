package swarm

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"spate"
)

// TestPrivateOriginIsToldToItsNetworkOnly checks which origins a peer is told: a private one only if the
// peer has a private address, or the public address of an origin.
func TestPrivateOriginIsToldToItsNetworkOnly(t *testing.T) {
	t.Parallel()
	const lan, public, public6, unique6 = "192.168.1.5:6881", "203.0.113.9:6881", "[2001:db8::9]:6881", "[fd00::5]:6881"
	all := []string{lan, public, unique6, public6}
	for from, want := range map[string][]string{
		"198.51.100.1:1":       {public, public6},
		"[2001:db8:ffff::1]:1": {public, public6},
		"192.168.1.77:1":       all,
		"10.2.3.4:1":           all,
		"127.0.0.1:1":          all,
		"[fe80::1]:1":          all,
		"203.0.113.9:4":        all,
		"[2001:db8::9]:4":      all,
	} {
		table, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		ih := spate.InfoHash{1}
		var pins []netip.AddrPort
		for _, a := range all {
			pins = append(pins, netip.MustParseAddrPort(a))
		}
		if err := table.Pin(ih, pins...); err != nil {
			t.Fatal(err)
		}
		var rep Reply
		req := Request{InfoHash: ih, Addr: netip.MustParseAddrPort(from), PeerID: spate.PeerID{1}, NumWant: 50, Want4: true, Want6: true}
		if err := table.Announce(time.Now(), &req, &rep); err != nil {
			t.Fatal(err)
		}
		var got []string
		for a := range slices.Chunk(rep.Peers4, 6) {
			got = append(got, netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[:4])), uint16(a[4])<<8|uint16(a[5])).String())
		}
		for a := range slices.Chunk(rep.Peers6, 18) {
			got = append(got, netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[:16])), uint16(a[16])<<8|uint16(a[17])).String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("a peer at %s is told %v, want %v", from, got, want)
		}
		table.Close()
	}
}

package swarm_test

import (
	"net/netip"
	"testing"
	"time"

	"spate"
	"spate/tracker/swarm"
)

// TestCommon checks how many peers of two swarms have the same address and port, in small swarms and
// in large ones that are compared in part.
func TestCommon(t *testing.T) {
	t.Parallel()
	for _, n := range []int{4, 400, 40_000} {
		table, err := swarm.New(swarm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		now := time.Unix(1e9, 0)
		a, b := spate.InfoHash{1}, spate.InfoHash{2}
		var rep swarm.Reply
		announce := func(ih spate.InfoHash, i int, v6, seed bool) {
			addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			if v6 {
				addr = netip.AddrFrom16([16]byte{0x20, 1, 0, byte(i >> 16), byte(i >> 8), byte(i)})
			}
			req := swarm.Request{InfoHash: ih, Addr: netip.AddrPortFrom(addr, 6881), Seed: seed, PeerID: spate.PeerID{byte(i >> 16), byte(i >> 8), byte(i)}}
			if err := table.Announce(now, &req, &rep); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			announce(a, i, i%4 == 3, i%2 == 1)
			if i%4 >= 2 { // of these, the odd ones are seeds with IPv6 addresses in a; b has all as leechers
				announce(b, i, i%4 == 3, false)
			}
			announce(b, n+i, false, true)
		}
		if err := table.Pin(b, netip.MustParseAddrPort("192.0.2.1:6881")); err != nil {
			t.Fatal(err)
		}
		pinned, _ := table.Common(now, a, b)
		if err := table.Pin(a, netip.MustParseAddrPort("192.0.2.1:6881"), netip.MustParseAddrPort("[2001:db8::1]:6881")); err != nil {
			t.Fatal(err)
		}
		if other, _ := table.Common(now, a, b); other != pinned {
			t.Errorf("%d seeders are in both swarms, %d after other origins were pinned to one of them", pinned, other)
		}
		if err := table.Pin(a, netip.MustParseAddrPort("192.0.2.1:6881")); err != nil {
			t.Fatal(err)
		}
		if both, _ := table.Common(now, a, b); both != pinned+1 {
			t.Errorf("%d seeders are in both swarms, %d after the same origin was pinned to both", pinned, both)
		}
		table.Unpin(a)
		seeders, leechers := table.Common(now, a, b)
		if want := float64(n) / 4; float64(seeders) < 0.95*want || float64(seeders) > 1.05*want || float64(leechers) < 0.95*want || float64(leechers) > 1.05*want {
			t.Errorf("%d peers: %d seeders and %d leechers are in both swarms, want about %.0f of each", n, seeders, leechers, want)
		}
		if s, l := table.Common(now, a, spate.InfoHash{3}); s+l != 0 {
			t.Errorf("%d and %d peers are in an unknown swarm", s, l)
		}
	}
}

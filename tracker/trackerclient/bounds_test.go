package trackerclient

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
)

// manyPeers returns n different addresses.
func manyPeers(n int) []netip.AddrPort {
	all := make([]netip.AddrPort, n)
	for i := range all {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], 0x0a000000+uint32(i))
		all[i] = netip.AddrPortFrom(netip.AddrFrom4(ip), 6881)
	}
	return all
}

// TestSomeOf checks that an answer keeps a bounded number of its peers, chosen from all of them.
func TestSomeOf(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, MaxPeers - 1, MaxPeers, MaxPeers + 1, 150_000} {
		got := someOf(manyPeers(n), MaxPeers)
		seen, late := map[netip.AddrPort]bool{}, 0
		for _, p := range got {
			seen[p] = true
			if ip := p.Addr().As4(); int(binary.BigEndian.Uint32(ip[:])-0x0a000000) >= n/2 {
				late++
			}
		}
		if len(got) != min(n, MaxPeers) || len(seen) != len(got) {
			t.Errorf("%d peers: got %d, %d of them different", n, len(got), len(seen))
		}
		if n == 150_000 && (late < MaxPeers/4 || late > 3*MaxPeers/4) {
			t.Errorf("%d of %d peers are from the second half of the answer", late, len(got))
		}
	}
}

// TestNewTiersIsBounded checks that a huge announce list is cut, however it is divided.
func TestNewTiersIsBounded(t *testing.T) {
	t.Parallel()
	const n = 100_000
	for _, size := range []int{1, 7, n} {
		var tiers [][]string
		for i := range n {
			if i%size == 0 {
				tiers = append(tiers, nil)
			}
			last := len(tiers) - 1
			tiers[last] = append(tiers[last], fmt.Sprintf("http://tracker.example/%d/announce", i))
		}
		if got := len(NewTiers(tiers, nil).URLs()); got != MaxTrackers {
			t.Errorf("%d trackers from tiers of %d, want %d", got, size, MaxTrackers)
		}
	}
}

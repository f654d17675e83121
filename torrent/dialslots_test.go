package torrent

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"spate/storage"
)

// TestDownloadKeepsSlotsForPeersThatItDials checks that peers that connect to a download leave free
// as many connection slots as it knows peers that it can dial, up to a quarter of all, and that
// they get all slots if it knows none.
func TestDownloadKeepsSlotsForPeersThatItDials(t *testing.T) {
	t.Parallel()
	for known, want := range map[int]int{0: 8, 1: 7, 5: 6} {
		t.Run(fmt.Sprint(known), func(t *testing.T) {
			withSimSession(t, Options{MaxConnsPerTorrent: 8}, func(sim *simSession) {
				_, mi := noiseTorrent(t, 1<<18, 16<<10)
				var others []netip.AddrPort
				for i := range known { // no host has these addresses
					others = append(others, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i), 1}), 6881))
				}
				tor := added(t, sim.s, mi, AddOptions{Storage: storage.NewMemory(1 << 18), Peers: others})
				for range 8 {
					sim.dial(mi.Hash())
				}
				time.Sleep(time.Second)
				if n := tor.Stats().Peers; n != want {
					t.Errorf("%d of 8 peers that connect to a download that knows %d others have a slot, want %d", n, known, want)
				}
			})
		})
	}
}

// TestTurnedAwayAddressesAreFew checks for how long, and of how many addresses, a session remembers that
// their peers found no slot.
func TestTurnedAwayAddressesAreFew(t *testing.T) {
	t.Parallel()
	withSimSession(t, Options{}, func(sim *simSession) {
		old, other, now := netip.MustParseAddrPort("10.8.0.1:6881"), netip.MustParseAddrPort("10.8.1.1:6881"), time.Now()
		sim.s.turnAway(old, now)
		for _, c := range []struct {
			at   netip.AddrPort
			when time.Time
			want bool
		}{{old, now, true}, {other, now, false}, {old, now.Add(turnedAwayFor), false}} {
			if got := sim.s.turnedAwayLately(c.at, c.when); got != c.want {
				t.Errorf("%v was turned away lately: %t, want %t", c.at, got, c.want)
			}
		}
		for i := range maxUselessAddrs + 100 {
			sim.s.turnAway(netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 6881), now)
		}
		if n := len(sim.s.turnedAway); n > maxUselessAddrs {
			t.Errorf("%d addresses are remembered, want at most %d", n, maxUselessAddrs)
		}
	})
}

package torrent

import (
	"net/netip"
	"testing"

	"spate/torrent/internal/peerlist"
)

// TestTrackerPeersAreBounded checks that one answer of a tracker adds a bounded number of
// candidates, because it is handled under the lock of the torrent.
func TestTrackerPeersAreBounded(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, maxTrackerPeers, maxTrackerPeers + 1, 150_000} {
		addrs := make([]netip.AddrPort, n)
		for i := range addrs {
			addrs[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{45, byte(i >> 16), byte(i >> 8), byte(i)}), 6881)
		}
		l := peerlist.New(peerlist.Options{})
		addTrackerPeers(l, "http://tracker.example/announce", addrs)
		if got, want := l.Len(), min(n, maxTrackerPeers); got != want {
			t.Errorf("%d addresses: %d candidates, want %d", n, got, want)
		}
	}
}

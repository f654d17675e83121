package trackerserver

import (
	"net/netip"
	"testing"
	"time"

	"spate/internal/fairpool"
)

// TestOneNetworkLeavesOffersToOthers checks that a client which is flooded with offers from one
// network still takes those of others.
func TestOneNetworkLeavesOffersToOthers(t *testing.T) {
	t.Parallel()
	var o takenOffers
	now := time.Unix(1e9, 0)
	flood := fairpool.Prefix(netip.MustParseAddr("192.0.2.1"))
	flooded := 0
	for range 100 { // ten seconds
		for range 50 {
			if o.take(now, flood) {
				flooded++
			}
		}
		now = now.Add(100 * time.Millisecond)
	}
	if rate := int(10*time.Second/takeStep) + takeBurst; flooded > rate || flooded < rate/2 {
		t.Errorf("%d offers of one network were taken, want at most %d", flooded, rate)
	}
	for i := range 20 {
		other := fairpool.Prefix(netip.AddrFrom4([4]byte{198, 51, byte(i), 1}))
		if !o.take(now, other) {
			t.Fatalf("the offer of network %d was refused", i)
		}
	}
	now = now.Add(time.Minute)
	for i := range takeBurst {
		if !o.take(now, fairpool.Prefix(netip.AddrFrom4([4]byte{198, 51, byte(i), 1}))) {
			t.Fatalf("offer %d of %d at once was refused", i, takeBurst)
		}
	}
	if o.take(now, fairpool.Prefix(netip.MustParseAddr("203.0.113.1"))) {
		t.Error("there is no limit for all networks")
	}
}

package torrent

import (
	"testing"
	"time"
)

// TestWebSeedsAreUsedWhilePeersAreSlow checks that web seeds are used only after the
// peers have been slow for some time, and until the peers have been fast for some
// time.
func TestWebSeedsAreUsedWhilePeersAreSlow(t *testing.T) {
	var b webSeedUse
	now := time.Unix(1e9, 0)
	for i, step := range []struct {
		secs  int     // seconds that the step lasts
		rate  float64 // bytes/s from the peers; below 100 they are slow
		conns int     // connected peers
		on    bool    // web seeds are used at the end of the step
	}{
		{2, 0, 0, false},   // no peer is connected yet
		{13, 50, 3, false}, // slow peers are connected
		{1, 50, 3, true},
		{60, 199, 3, true}, // the peers must send twice the slow rate
		{30, 300, 3, false},
		{100, 110, 3, false},
		{30, 100, 3, false}, // the rate is not below the slow rate
		{2, 0, 3, false},
		{2, 500, 3, false}, // the peers send a burst after a short pause
		{15, 0, 3, false},
		{20, 0, 3, true},
		{5, 5000, 3, true}, // the peers are fast, but not for long enough
		{5, 5000, 3, false},
		{3, 5000, 0, false}, // the last peer has disconnected
		{1, 5000, 0, true},
	} {
		for range step.secs {
			now = now.Add(time.Second)
			b.decide(now, step.rate, 100, step.conns, false)
		}
		if b.on != step.on {
			t.Fatalf("after step %d %+v, web seeds are used: %v, want %v", i, step, b.on, step.on)
		}
	}
	b = webSeedUse{}
	if !b.decide(now, 0, 100, 0, true) {
		t.Error("web seeds are not used at once although no peers can be expected")
	}
}

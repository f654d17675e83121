package torrent_test

import (
	"testing"
	"time"
)

// TestPassersOnAreServedFirst checks a swarm in which half of the peers pass on nothing and the
// upload limit of the origin is the bottleneck. Without the preference for the others, the swarm
// takes more than twice the lower bound.
func TestPassersOnAreServedFirst(t *testing.T) {
	t.Parallel()
	eachSeed(t, func(t *testing.T, seed uint64) {
		members := membersWith(8, fastLink(10, 25))
		for i := range 4 {
			members[2*i].freeRide = true
		}
		sw := &swarm{size: 32 << 20, piece: 32 << 10, origin: fastLink(5, 100), originUp: 4.75 * mbit, members: members, seed: seed}
		sw.run(t)
		times, copies := sw.report(t)
		var riders, others time.Duration
		for _, m := range members {
			if m.freeRide {
				riders = max(riders, m.done)
			} else {
				others = max(others, m.done)
			}
		}
		t.Logf("the last free rider completed after %v, the last other after %v", riders, others)
		if times > 1.7 || copies > 1.6 {
			t.Errorf("took %.3f times the bound and %.3f copies, want at most 1.7 and 1.6", times, copies)
		}
	})
}

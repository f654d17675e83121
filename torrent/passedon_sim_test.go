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

// TestSlowRelayIsServedLast checks an origin and two getters that have one peer beside them which
// transfers 20 kB/s, as the relay of peers behind routers may. The getters do not wait until the
// relay has its share of the origin's line: without the preference for them they need 21.7 seconds.
func TestSlowRelayIsServedLast(t *testing.T) {
	t.Parallel()
	eachSeed(t, func(t *testing.T, seed uint64) {
		members := membersWith(3, fastLink(20, 100))
		relay := members[0]
		relay.link.Up = 20_000
		sw := &swarm{size: 32 << 20, piece: 64 << 10, origin: fastLink(20, 100), originUp: 19 * mbit, members: members, seed: seed}
		sw.run(t)
		_, copies := sw.report(t)
		took := max(members[1].done, members[2].done)
		t.Logf("the getters completed after %v, the relay after %v", took, relay.done)
		if took > 19*time.Second || copies > 1.35 {
			t.Errorf("the getters needed %v and %.3f copies, want at most 19 s and 1.35", took, copies)
		}
	})
}

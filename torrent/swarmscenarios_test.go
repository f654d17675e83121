package torrent_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"spate/internal/simnet"
)

// seeds is the number of random seeds with which each scenario is played, in swarms of
// fifty peers. Without it the swarms have twenty peers and one seed.
var seeds = flag.Uint64("seeds", 0, "play the simulated swarms with fifty peers and this many random seeds; 0 means twenty peers and one seed")

// swarmSize returns the number of peers in a simulated swarm.
func swarmSize() int {
	if *seeds == 0 {
		return 20
	}
	return 50
}

// eachSeed plays a scenario with every random seed.
func eachSeed(t *testing.T, f func(t *testing.T, seed uint64)) {
	for seed := uint64(1); seed <= max(1, *seeds); seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			f(t, seed)
		})
	}
}

// membersWith returns n members with that link.
func membersWith(n int, link simnet.Link) []*member {
	var all []*member
	for range n {
		all = append(all, &member{link: link})
	}
	return all
}

// link returns a link with these rates in KiB a second; 0 is unlimited.
func link(up, down int64) simnet.Link {
	return simnet.Link{Up: up << 10, Down: down << 10, Latency: 20 * time.Millisecond}
}

// TestFlashCrowd checks a swarm in which many peers come to one origin at once. All complete
// within 1.25 times the least time that the links need. The origin sends at most 1.2 copies
// until every piece has reached a peer. In total it sends no more than that if its own link
// is the limit, and otherwise little more than its share of the upload rate of the swarm.
func TestFlashCrowd(t *testing.T) {
	n := swarmSize()
	for name, c := range map[string]struct {
		size    int
		origin  simnet.Link
		members func() []*member
		copies  float64 // most copies that the origin may send
	}{
		"the origin is the limit": {4 << 20, link(64, 0), func() []*member { return membersWith(n, link(128, 0)) }, 1.2},
		"all are alike":           {8 << 20, link(64, 512), func() []*member { return membersWith(n, link(64, 512)) }, 1.2},
		"the peers are the limit": {4 << 20, link(160, 0), func() []*member { return membersWith(n, link(32, 1024)) }, 1.2 * 5 * float64(n) / float64(n+5)},
		"a slow one is the limit": {4 << 20, link(128, 0), func() []*member {
			return append(membersWith(n*4/5, link(192, 1024)), membersWith(n/5, link(32, 40))...)
		}, 1.4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachSeed(t, func(t *testing.T, seed uint64) {
				sw := &swarm{size: c.size, piece: 32 << 10, origin: c.origin, members: c.members(), seed: seed}
				sw.run(t)
				sw.checkBounds(t, c.copies)
			})
		})
	}
}

// checkBounds checks the time that the swarm took, and the copies that the origin sent.
func (sw *swarm) checkBounds(t *testing.T, maxCopies float64) {
	t.Helper()
	times, copies := sw.report(t)
	if times > 1.25 {
		t.Errorf("took %.3f times the bound, want 1.25", times)
	}
	if copies > maxCopies {
		t.Errorf("the origin sent %.3f copies, want %.2f", copies, maxCopies)
	}
	if first := float64(sw.firstCopy) / float64(sw.size); first > 1.2 {
		t.Errorf("the first copy cost %.3f uploads, want 1.2", first)
	}
}

// TestChurn checks a swarm in which peers come late, leave half way, or leave as soon as they
// are complete. The peers that stay complete within the same bounds as in TestFlashCrowd.
func TestChurn(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) {
		n := swarmSize()
		rng := rand.New(rand.NewPCG(1, seed))
		members := membersWith(n, link(64, 512))
		for i, m := range members {
			if i >= n*3/5 {
				m.join = time.Duration(rng.Int64N(int64(20 * time.Second)))
			}
			switch i % 5 {
			case 0:
				m.leave = m.join + 15*time.Second + time.Duration(rng.Int64N(int64(60*time.Second)))
			case 1, 2:
				m.leavesWhenDone = true
			}
		}
		sw := &swarm{size: 8 << 20, piece: 32 << 10, origin: link(96, 0), members: members, seed: seed}
		sw.run(t)
		sw.checkBounds(t, 2)
		for i, m := range members {
			if m.leave == 0 && m.done == 0 {
				t.Errorf("member %d did not complete", i)
			}
		}
	})
}

// TestFreeRidersGetLess checks that the first free rider completes after half of the other
// peers, and the median free rider after four in five of them.
func TestFreeRidersGetLess(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) {
		members := membersWith(20, link(64, 1024))
		for i := range 5 {
			members[4*i].freeRide = true
		}
		sw := &swarm{size: 4 << 20, piece: 32 << 10, origin: link(96, 0), members: members, seed: seed}
		sw.run(t)
		sw.report(t)
		var riders, others []time.Duration
		for _, m := range members {
			if m.freeRide {
				riders = append(riders, m.done)
			} else {
				others = append(others, m.done)
			}
		}
		slices.Sort(riders)
		slices.Sort(others)
		t.Logf("free riders %v", riders)
		t.Logf("others %v", others)
		if riders[0] <= others[len(others)/2] || riders[len(riders)/2] <= others[len(others)*4/5] {
			t.Error("free riders completed too early")
		}
	})
}

// TestSameSeedSameSwarm checks that a scenario has equal results with the same random seed.
func TestSameSeedSameSwarm(t *testing.T) {
	t.Parallel()
	play := func(seed uint64) (all []string) {
		sw := &swarm{size: 1 << 20, piece: 32 << 10, origin: link(64, 0), members: membersWith(12, link(64, 512)), seed: seed}
		sw.members[3].leave = 10 * time.Second
		sw.members[5].join = 7 * time.Second
		sw.run(t)
		for _, m := range sw.members {
			all = append(all, fmt.Sprint(m.done, m.left, m.stats.Downloaded, m.stats.Uploaded, m.stats.Wasted))
		}
		return append(all, fmt.Sprint(sw.originStats.Uploaded))
	}
	first := play(1)
	if second := play(1); !slices.Equal(first, second) {
		t.Errorf("the same seed gave\n%v\nand\n%v", first, second)
	}
	if other := play(2); slices.Equal(first, other) {
		t.Error("another seed gave the same")
	}
}

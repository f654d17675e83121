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

// peers makes the largest simulations smaller, for everyday runs.
var peers = flag.Int("peers", 20, "downloaders in the simulated swarms that are large when there is time; 50 is what is promised")

var seed = flag.Uint64("seed", 1, "of the simulated swarms")

// crowd returns n members with that link.
func crowd(n int, link simnet.Link) []*member {
	var all []*member
	for range n {
		all = append(all, &member{link: link})
	}
	return all
}

// link returns a link of so many KiB a second.
func link(up, down int64) simnet.Link {
	return simnet.Link{Up: up << 10, Down: down << 10, Latency: 20 * time.Millisecond}
}

// TestFlashCrowd has many peers come to one origin at once: all have the file
// soon after the time in which a fluid could be everywhere, and where the origin
// is what everybody waits for it hardly sends anything twice.
func TestFlashCrowd(t *testing.T) {
	n := *peers
	for name, c := range map[string]struct {
		origin  simnet.Link
		members []*member
		copies  float64
	}{
		"the origin is the limit": {link(64, 0), crowd(50, link(128, 0)), 1.2},
		"the peers are the limit": {link(160, 0), crowd(n, link(32, 1024)), 10},
		"a slow one is the limit": {link(128, 0), append(crowd(n*4/5, link(192, 1024)), crowd(n/5, link(32, 40))...), 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sw := &swarm{size: 4 << 20, piece: 32 << 10, origin: c.origin, members: c.members, seed: *seed}
			sw.run(t)
			times, copies := sw.report(t)
			if times > 1.25 {
				t.Errorf("took %.3f times the bound, want 1.25", times)
			}
			if copies > c.copies {
				t.Errorf("the origin sent %.3f copies, want %.1f", copies, c.copies)
			}
			if first := float64(sw.firstCopy) / float64(sw.size); first > 1.2 {
				t.Errorf("the first copy cost %.3f uploads", first)
			}
		})
	}
}

// TestChurn has peers come late, leave half way, and leave as soon as they have
// everything.
func TestChurn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	members := crowd(*peers, link(64, 512))
	for i, m := range members {
		if i >= *peers*3/5 {
			m.join = time.Duration(rng.Int64N(int64(20 * time.Second)))
		}
		switch i % 5 {
		case 0:
			m.leave = m.join + 15*time.Second + time.Duration(rng.Int64N(int64(20*time.Second)))
		case 1, 2:
			m.quits = true
		}
	}
	sw := &swarm{size: 4 << 20, piece: 32 << 10, origin: link(96, 0), members: members, seed: *seed}
	sw.run(t)
	if times, _ := sw.report(t); times > 1.25 {
		t.Errorf("took %.3f times the bound, want 1.25", times)
	}
	for i, m := range members {
		if m.leave == 0 && m.done == 0 {
			t.Errorf("member %d was never done", i)
		}
	}
}

// TestFreeRidersGetLess: who gives nothing waits for those who give.
func TestFreeRidersGetLess(t *testing.T) {
	members := crowd(20, link(64, 1024))
	for i := range 5 {
		members[4*i].freeRide = true
	}
	sw := &swarm{size: 4 << 20, piece: 32 << 10, origin: link(96, 0), members: members, seed: *seed}
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
	if riders[0] <= others[len(others)/2] || riders[len(riders)/2] <= others[len(others)-1] {
		t.Error("free riders did not wait for the others")
	}
}

// TestSameSeedSameSwarm plays a scenario twice: nothing in it is left to chance.
func TestSameSeedSameSwarm(t *testing.T) {
	play := func(seed uint64) (all []string) {
		sw := &swarm{size: 2 << 20, piece: 32 << 10, origin: link(64, 0), members: crowd(12, link(64, 512)), seed: seed}
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

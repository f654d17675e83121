package choker

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// start is the time of the first decision.
var start = time.Unix(1_800_000_000, 0)

// newRand returns a random number generator that seed determines.
func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// interestedPeers returns n interested peers that connected an hour before start.
func interestedPeers(n int) []Peer {
	ps := make([]Peer, n)
	for i := range ps {
		ps[i] = Peer{ID: uint32(i), Interested: true, Joined: start.Add(-time.Hour)}
	}
	return ps
}

// apply updates the peers as the engine does after the decision s.
func apply(now time.Time, ps []Peer, s Set) {
	for i := range ps {
		p := &ps[i]
		if s.Has(p.ID) && !p.Unchoked {
			p.UnchokedAt = now
		}
		p.Unchoked = s.Has(p.ID)
	}
}

// members returns the IDs of the peers that are in s.
func members(ps []Peer, s Set) (ids []uint32) {
	for _, p := range ps {
		if s.Has(p.ID) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// TestRegularSlotsGoToTheFastestPeers checks that a leecher unchokes the interested
// peers that send it most. Faster peers without interest are unchoked in addition,
// and snubbing peers are not unchoked.
func TestRegularSlotsGoToTheFastestPeers(t *testing.T) {
	ps := interestedPeers(10)
	for i := range ps {
		ps[i].Down = float64(i) * 1000
	}
	ps[9].Snubbed = true
	ps[8].Interested = false // faster than all interested peers that get a slot
	ps[1].Interested = false // slower than the peers that get a slot
	k := New(Config{Optimistic: -1})
	got := members(ps, k.Decide(start, ps, false, newRand(1)))
	if want := []uint32{4, 5, 6, 7, 8}; !slices.Equal(got, want) {
		t.Errorf("unchoked %v, want %v", got, want)
	}
	if k.Optimistic().Len() != 0 {
		t.Errorf("%d peers have an optimistic slot, want 0", k.Optimistic().Len())
	}
}

// TestSpareSlotsAreOptimistic checks that regular slots for which no peer qualifies
// go to random peers, so that the first peers of a swarm begin to exchange data.
func TestSpareSlotsAreOptimistic(t *testing.T) {
	ps := interestedPeers(20)
	ps[3].Down = 1
	k := New(Config{})
	s := k.Decide(start, ps, false, newRand(1))
	if s.Len() != 5 || k.Optimistic().Len() != 4 || k.Optimistic().Has(3) || !s.Has(3) {
		t.Errorf("unchoked %v, optimistic %v; want 5 with peer 3, and 4 optimistic without peer 3", members(ps, s), members(ps, k.Optimistic()))
	}
	few := interestedPeers(3)
	if s := New(Config{}).Decide(start, few, false, newRand(1)); s.Len() != 3 {
		t.Errorf("%d of 3 peers are unchoked, want all", s.Len())
	}
	if s := New(Config{}).Decide(start, nil, true, newRand(1)); s.Len() != 0 || s.Has(7) {
		t.Errorf("%d peers are unchoked, but there are none", s.Len())
	}
}

// TestOptimisticSlotRotates checks that a peer keeps the optimistic slot for 30
// seconds, and that the slot goes to another peer then, or when the first peer
// loses interest.
func TestOptimisticSlotRotates(t *testing.T) {
	ps := interestedPeers(10)
	for i := range 4 {
		ps[i].Down = 1000
	}
	k := New(Config{})
	rng := newRand(1)
	var last uint32
	for step := range 60 {
		now := start.Add(time.Duration(step) * 10 * time.Second)
		apply(now, ps, k.Decide(now, ps, false, rng))
		o := members(ps, k.Optimistic())
		if len(o) != 1 || o[0] < 4 {
			t.Fatalf("step %d: the peers %v have optimistic slots, want one peer from 4 to 9", step, o)
		}
		if step > 0 && (o[0] != last) != (step%3 == 0) {
			t.Fatalf("step %d: peer %d has the optimistic slot after peer %d; it must change every third step", step, o[0], last)
		}
		last = o[0]
	}
	ps[last].Interested = false
	now := start.Add(591 * time.Second)
	k.Decide(now, ps, false, rng)
	if k.Optimistic().Has(last) || k.Optimistic().Len() != 1 {
		t.Errorf("optimistic %v, want one peer other than %d, which lost interest", members(ps, k.Optimistic()), last)
	}
}

// TestNewcomersAreThreeTimesAsLikely checks how often a peer that has just
// connected gets the optimistic slot.
func TestNewcomersAreThreeTimesAsLikely(t *testing.T) {
	count := [2]int{}
	for seed := range uint64(4000) {
		ps := interestedPeers(2)
		ps[1].Joined = start.Add(-10 * time.Second)
		k := New(Config{Slots: 1})
		ps = append(ps, Peer{ID: 7, Interested: true, Down: 1})
		k.Decide(start, ps, false, newRand(seed))
		count[members(ps, k.Optimistic())[0]]++
	}
	if ratio := float64(count[1]) / float64(count[0]); ratio < 2.6 || ratio > 3.5 {
		t.Errorf("a newcomer got the slot %.2f times as often as the other peer, want about 3", ratio)
	}
}

// TestRateBasedSlots checks that RateBased adds slots only while the peers receive
// data fast.
func TestRateBasedSlots(t *testing.T) {
	k := New(Config{Slots: 2, RateBased: true, RateStep: 100, SeedStep: 25, MaxSlots: 6})
	for _, c := range []struct {
		rates       []float64
		want        int
		whenSeeding int
	}{
		{nil, 2, 2}, {[]float64{1000}, 2, 2}, {[]float64{1000, 1000}, 3, 3}, {[]float64{150, 150, 150}, 2, 4}, {[]float64{1000, 250, 300}, 3, 4},
		{[]float64{30, 30, 30, 30}, 2, 2}, {[]float64{1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6}, 6, 6},
	} {
		ps := interestedPeers(len(c.rates) + 10)
		for i, r := range c.rates {
			ps[i].Up, ps[i].Unchoked = r, true
		}
		for seeding, want := range map[bool]int{false: c.want, true: c.whenSeeding} {
			if got := k.Slots(ps, seeding); got != want {
				t.Errorf("Slots for the rates %v is %d, want %d (seeding %v)", c.rates, got, want, seeding)
			}
		}
	}
}

// simulateSeed simulates a seed for an hour. The unchoked peers share its upload of
// rate bytes/s equally. It calls each before every decision.
func simulateSeed(k *Choker, ps []Peer, rng *rand.Rand, rate float64, each func(step int, now time.Time)) {
	for step := range 360 {
		now := start.Add(time.Duration(step) * 10 * time.Second)
		each(step, now)
		apply(now, ps, k.Decide(now, ps, true, rng))
		n := 0.0
		for i := range ps {
			if ps[i].Unchoked {
				n++
			}
		}
		for i := range ps {
			ps[i].Up = 0
			if ps[i].Unchoked {
				ps[i].Up = rate / n
				ps[i].UpBytes += int64(ps[i].Up * 10)
			}
		}
	}
}

// TestRoundRobinServesAll checks that RoundRobin sends similar amounts of data to
// all peers, and that no peer waits longer than the turns of all others.
func TestRoundRobinServesAll(t *testing.T) {
	ps := interestedPeers(20)
	var longestWait time.Duration
	simulateSeed(New(Config{}), ps, newRand(1), 1e6, func(_ int, now time.Time) {
		for i := range ps {
			if !ps[i].Unchoked && now.Sub(start) > 10*time.Minute {
				longestWait = max(longestWait, now.Sub(ps[i].UnchokedAt))
			}
		}
	})
	least, most := ps[0].UpBytes, ps[0].UpBytes
	for _, p := range ps {
		least, most = min(least, p.UpBytes), max(most, p.UpBytes)
	}
	if float64(most) > 1.6*float64(least) || longestWait > 7*time.Minute {
		t.Errorf("the peers received %d to %d bytes, and one waited for %v", least, most, longestWait)
	}
}

// TestIdleTurnEnds checks that a peer that takes no data loses its slot before its
// turn is over, and that peers keep their slots if no peer waits.
func TestIdleTurnEnds(t *testing.T) {
	ps := interestedPeers(6)
	k := New(Config{Slots: 4, Optimistic: -1, Quantum: time.Hour})
	rng := newRand(1)
	apply(start, ps, k.Decide(start, ps, true, rng))
	first := members(ps, k.chosen)
	for i := range ps {
		ps[i].Up = 1000
	}
	ps[first[0]].Up = 0
	now := start.Add(idleGrace)
	apply(now, ps, k.Decide(now, ps, true, rng))
	if ps[first[0]].Unchoked || !ps[first[1]].Unchoked || !ps[first[3]].Unchoked {
		t.Errorf("unchoked %v, then %v; only peer %d should have lost its slot", first, members(ps, k.chosen), first[0])
	}
	few := ps[:3]
	now = now.Add(2 * time.Hour)
	if s := k.Decide(now, few, true, rng); s.Len() != 3 {
		t.Errorf("%d of 3 peers are unchoked, want all", s.Len())
	}
}

// TestTurnEndsAfterServing checks that a turn ends when Config.Serving bytes are
// sent.
func TestTurnEndsAfterServing(t *testing.T) {
	ps := interestedPeers(2)
	k := New(Config{Slots: 1, Optimistic: -1, Serving: 1000})
	rng := newRand(1)
	apply(start, ps, k.Decide(start, ps, true, rng))
	was := members(ps, k.chosen)[0]
	ps[was].Up, ps[was].UpBytes = 100, 999
	if s := k.Decide(start.Add(10*time.Second), ps, true, rng); !s.Has(was) {
		t.Error("the turn ended after 999 of 1000 bytes")
	}
	ps[was].UpBytes = 1000
	if s := k.Decide(start.Add(20*time.Second), ps, true, rng); s.Has(was) || s.Len() != 1 {
		t.Errorf("unchoked %v after 1000 bytes, want the other peer only", members(ps, s))
	}
}

// TestAntiLeechPrefersPeersWithFewestBytes checks that a peer that becomes
// interested late receives as much as the others, and that a peer that reports no
// progress receives much less.
func TestAntiLeechPrefersPeersWithFewestBytes(t *testing.T) {
	const total = 1 << 30
	ps := interestedPeers(12)
	late := &ps[11]
	late.Interested = false
	underreporter := &ps[0]
	simulateSeed(New(Config{Seed: AntiLeech, Total: total, Serving: 1 << 20, Optimistic: -1}), ps, newRand(1), 1e6, func(step int, _ time.Time) {
		late.Interested = step > 180
		for i := range ps {
			ps[i].Progress = float64(ps[i].UpBytes) / total
			if &ps[i] == underreporter {
				ps[i].Progress = 0
			}
		}
	})
	var least int64 = 1 << 62
	for _, p := range ps[1:11] {
		least = min(least, p.UpBytes)
	}
	if float64(late.UpBytes) < 0.8*float64(least) {
		t.Errorf("the late peer received %d bytes, the others at least %d", late.UpBytes, least)
	}
	if underreporter.UpBytes > 20<<20 || underreporter.UpBytes > least/4 {
		t.Errorf("the peer that reports no progress received %d bytes, the others at least %d", underreporter.UpBytes, least)
	}
}

// TestUploadersAreUnchokedMoreOften checks that a leecher unchokes peers that send
// data in return more often than peers that send none.
func TestUploadersAreUnchokedMoreOften(t *testing.T) {
	ps := interestedPeers(16)
	k := New(Config{})
	rng := newRand(1)
	unchoked := make([]int, len(ps))
	for step := range 720 {
		now := start.Add(time.Duration(step) * 10 * time.Second)
		apply(now, ps, k.Decide(now, ps, false, rng))
		for i := range ps {
			if ps[i].Unchoked {
				unchoked[i]++
			}
			ps[i].Down = 0
			if i < 8 && ps[i].Unchoked {
				ps[i].Down = 1000 + float64(rng.IntN(1000))
			}
		}
	}
	uploaders, others := 0, 0
	for i, n := range unchoked {
		if i < 8 {
			uploaders += n
		} else {
			others += n
		}
	}
	if others*4 > uploaders {
		t.Errorf("uploaders were unchoked %d times, the other peers %d times, want at most a quarter", uploaders, others)
	}
}

// drawPeers returns up to 30 peers with random properties.
func drawPeers(t *rapid.T) []Peer {
	n := rapid.IntRange(0, 30).Draw(t, "peers")
	ps := make([]Peer, n)
	for i := range ps {
		ps[i] = Peer{
			ID: uint32(3 * i), Interested: rapid.IntRange(0, 3).Draw(t, "interested") > 0, Snubbed: rapid.IntRange(0, 5).Draw(t, "snubbed") == 0,
			Unchoked: rapid.Bool().Draw(t, "unchoked"), Joined: start.Add(-time.Duration(rapid.IntRange(0, 500).Draw(t, "joined")) * time.Second),
			Down: float64(rapid.IntRange(0, 3).Draw(t, "down")) * 1e5, Up: float64(rapid.IntRange(0, 3).Draw(t, "up")) * 1e5,
			UpBytes: int64(rapid.IntRange(0, 1<<30).Draw(t, "bytes")), Progress: rapid.Float64Range(0, 1).Draw(t, "progress"),
		}
	}
	return ps
}

// TestDecideFillsTheSlots checks rules that hold for all peers: interested peers
// fill the slots exactly, only peers that send data are unchoked without interest,
// and equal arguments give equal decisions.
func TestDecideFillsTheSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{
			Slots: rapid.IntRange(0, 6).Draw(t, "slots"), Optimistic: rapid.IntRange(-1, 2).Draw(t, "optimistic"),
			RateBased: rapid.Bool().Draw(t, "rate based"), Seed: SeedMode(rapid.IntRange(0, 1).Draw(t, "mode")), Total: 1 << 30,
		}
		a, b := New(c), New(c)
		ra, rb := newRand(7), newRand(7)
		for step := range rapid.IntRange(1, 6).Draw(t, "steps") {
			now := start.Add(time.Duration(step) * 10 * time.Second)
			ps, seeding := drawPeers(t), rapid.Bool().Draw(t, "seeding")
			for i := range ps {
				if ps[i].Unchoked {
					ps[i].UnchokedAt = ps[i].Joined
				}
			}
			slots := a.Slots(ps, seeding) + a.config.Optimistic
			s := a.Decide(now, ps, seeding, ra)
			if got := b.Decide(now, ps, seeding, rb); !slices.Equal(members(ps, got), members(ps, s)) {
				t.Fatal("two decisions with equal arguments differ")
			}
			unchoked, interested := 0, 0
			for _, p := range ps {
				if p.Interested {
					interested++
				}
				if s.Has(p.ID) && p.Interested {
					unchoked++
				}
				if s.Has(p.ID) && !p.Interested && (seeding || p.Down == 0 || p.Snubbed) {
					t.Fatalf("%+v is unchoked without interest; seeding is %v", p, seeding)
				}
				if a.Optimistic().Has(p.ID) && !s.Has(p.ID) {
					t.Fatalf("%+v has an optimistic slot but is not unchoked", p)
				}
			}
			if unchoked != min(interested, slots) {
				t.Fatalf("%d of %d interested peers are unchoked, want all or %d", unchoked, interested, slots)
			}
			if s.Len() != len(members(ps, s)) {
				t.Fatal("the decision contains a peer that has left")
			}
		}
	})
}

// BenchmarkDecide measures a decision of a leecher with 100 peers.
func BenchmarkDecide(b *testing.B) {
	ps := interestedPeers(100)
	for i := range ps {
		ps[i].Down = float64(i % 7)
	}
	k := New(Config{})
	rng := newRand(1)
	b.ReportAllocs()
	for b.Loop() {
		k.Decide(start, ps, false, rng)
	}
}

// TestSeedUnchokesPeersWithoutSlotInAddition checks that a peer that uses its slot
// keeps it after its turn is over, until another peer takes data.
func TestSeedUnchokesPeersWithoutSlotInAddition(t *testing.T) {
	ps := interestedPeers(3)
	ps[0].UsesSlot, ps[0].Unchoked, ps[0].UnchokedAt, ps[0].Up, ps[0].UpBytes = true, true, start.Add(-2*DefaultQuantum), 1000, 1
	for i := range ps[1:] {
		ps[1+i].UnchokedAt = start.Add(-time.Hour) // so that they get no optimistic slot
	}
	k := New(Config{Slots: 1, Optimistic: -1})
	s := k.Decide(start, ps, true, newRand(1))
	if !s.Has(0) || s.Len() != 2 {
		t.Fatalf("unchoked %v, want peer 0, which uses its slot, and another one", members(ps, s))
	}
	apply(start, ps, s)
	for i := range ps[1:] {
		ps[1+i].UsesSlot = ps[1+i].Unchoked
		ps[1+i].Interested = ps[1+i].Unchoked
	}
	next := start.Add(10 * time.Second)
	if s := k.Decide(next, ps, true, newRand(1)); s.Has(0) || s.Len() != 1 {
		t.Errorf("unchoked %v, want only the peer that now uses its slot", members(ps, s))
	}
	ps[1].UsesSlot, ps[2].UsesSlot = false, false
	if s := k.Decide(next, ps, true, newRand(1)); !s.Has(0) {
		t.Errorf("unchoked %v, want also peer 0, which uses its slot", members(ps, s))
	}
}

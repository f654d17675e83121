package choker

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Unix(1_800_000_000, 0)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// crowd returns n interested peers that have been here for an hour.
func crowd(n int) []Peer {
	ps := make([]Peer, n)
	for i := range ps {
		ps[i] = Peer{ID: uint32(i), Interested: true, Joined: start.Add(-time.Hour)}
	}
	return ps
}

// apply does what the engine does after a decision.
func apply(now time.Time, ps []Peer, s Set) {
	for i := range ps {
		p := &ps[i]
		if s.Has(p.ID) && !p.Unchoked {
			p.UnchokedAt = now
		}
		p.Unchoked = s.Has(p.ID)
	}
}

func members(ps []Peer, s Set) (ids []uint32) {
	for _, p := range ps {
		if s.Has(p.ID) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func TestTitForTat(t *testing.T) {
	ps := crowd(10)
	for i := range ps {
		ps[i].Down = float64(i) * 1000
	}
	ps[9].Snubbed = true     // fast once
	ps[8].Interested = false // faster than all who are
	ps[1].Interested = false // slower than they
	k := New(Config{Optimistic: -1})
	got := members(ps, k.Decide(start, ps, false, newRand(1)))
	if want := []uint32{4, 5, 6, 7, 8}; !slices.Equal(got, want) {
		t.Errorf("unchoked %v, want %v", got, want)
	}
	if k.Optimistic().Len() != 0 {
		t.Error("an optimistic slot, though there is none")
	}
}

// Slots for which nobody qualifies are drawn at random: a swarm can begin, and a
// peer that is snubbed by all looks for better ones (BEP 3).
func TestSpareSlotsAreOptimistic(t *testing.T) {
	ps := crowd(20)
	ps[3].Down = 1
	k := New(Config{})
	s := k.Decide(start, ps, false, newRand(1))
	if s.Len() != 5 || k.Optimistic().Len() != 4 || k.Optimistic().Has(3) || !s.Has(3) {
		t.Errorf("unchoked %v, optimistic %v", members(ps, s), members(ps, k.Optimistic()))
	}
	few := crowd(3)
	if s := New(Config{}).Decide(start, few, false, newRand(1)); s.Len() != 3 {
		t.Errorf("%d of 3 peers are served", s.Len())
	}
	if s := New(Config{}).Decide(start, nil, true, newRand(1)); s.Len() != 0 || s.Has(7) {
		t.Error("nobody is served")
	}
}

// The optimistic slot stays for 30 seconds, goes to another then, and to the
// next at once when its peer leaves.
func TestOptimisticRotates(t *testing.T) {
	ps := crowd(10)
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
			t.Fatalf("optimistic %v", o)
		}
		if step > 0 && (o[0] != last) != (step%3 == 0) {
			t.Fatalf("step %d: optimistic %d after %d", step, o[0], last)
		}
		last = o[0]
	}
	ps[last].Interested = false
	now := start.Add(591 * time.Second)
	if k.Decide(now, ps, false, rng); k.Optimistic().Has(last) || k.Optimistic().Len() != 1 {
		t.Error("the slot of a peer that lost interest is lost")
	}
}

func TestNewcomersAreLikelier(t *testing.T) {
	count := [2]int{}
	for seed := range uint64(4000) {
		ps := crowd(2)
		ps[1].Joined = start.Add(-10 * time.Second)
		k := New(Config{Slots: 1})
		ps = append(ps, Peer{ID: 7, Interested: true, Down: 1})
		k.Decide(start, ps, false, newRand(seed))
		count[members(ps, k.Optimistic())[0]]++
	}
	if ratio := float64(count[1]) / float64(count[0]); ratio < 2.6 || ratio > 3.5 {
		t.Errorf("newcomers %.2f times as likely, want 3", ratio)
	}
}

func TestRateBased(t *testing.T) {
	k := New(Config{Slots: 2, RateBased: true, RateStep: 100, MaxSlots: 6})
	for _, c := range []struct {
		rates []float64
		want  int
	}{
		{nil, 2}, {[]float64{1000}, 2}, {[]float64{1000, 1000}, 3}, {[]float64{150, 150, 150}, 2}, {[]float64{1000, 250, 300}, 3},
		{[]float64{1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6}, 6},
	} {
		ps := crowd(len(c.rates) + 10)
		for i, r := range c.rates {
			ps[i].Up, ps[i].Unchoked = r, true
		}
		if got := k.Slots(ps); got != c.want {
			t.Errorf("slots for %v: %d, want %d", c.rates, got, c.want)
		}
	}
}

// serve simulates a seed for an hour: what is unchoked shares the upload.
func serve(k *Choker, ps []Peer, rng *rand.Rand, rate float64, each func(step int, now time.Time)) {
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

// In round robin everybody gets a similar share, and nobody waits for longer
// than it takes to go round.
func TestRoundRobinServesAll(t *testing.T) {
	ps := crowd(20)
	var gap time.Duration
	serve(New(Config{}), ps, newRand(1), 1e6, func(_ int, now time.Time) {
		for i := range ps {
			if !ps[i].Unchoked && now.Sub(start) > 10*time.Minute {
				gap = max(gap, now.Sub(ps[i].UnchokedAt))
			}
		}
	})
	least, most := ps[0].UpBytes, ps[0].UpBytes
	for _, p := range ps {
		least, most = min(least, p.UpBytes), max(most, p.UpBytes)
	}
	if float64(most) > 1.6*float64(least) || gap > 7*time.Minute {
		t.Errorf("%d to %d bytes, longest wait %v", least, most, gap)
	}
}

// A peer that takes nothing while it is served does not keep its slot for a
// whole turn, and the slots of peers that nobody waits for stay theirs.
func TestIdleTurnEnds(t *testing.T) {
	ps := crowd(6)
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
		t.Errorf("%v, then %v", first, members(ps, k.chosen))
	}
	alone := ps[:3]
	now = now.Add(2 * time.Hour)
	if s := k.Decide(now, alone, true, rng); s.Len() != 3 {
		t.Errorf("%d of 3 are served", s.Len())
	}
}

// A turn ends after so many bytes too.
func TestTurnEndsByBytes(t *testing.T) {
	ps := crowd(2)
	k := New(Config{Slots: 1, Optimistic: -1, Serving: 1000})
	rng := newRand(1)
	apply(start, ps, k.Decide(start, ps, true, rng))
	was := members(ps, k.chosen)[0]
	ps[was].Up, ps[was].UpBytes = 100, 999
	if s := k.Decide(start.Add(10*time.Second), ps, true, rng); !s.Has(was) {
		t.Error("its turn ended too early")
	}
	ps[was].UpBytes = 1000
	if s := k.Decide(start.Add(20*time.Second), ps, true, rng); s.Has(was) || s.Len() != 1 {
		t.Error("its turn has no end")
	}
}

// With AntiLeech the peers that have had least go first: one that comes late
// catches up, and one that hides what it has goes last.
func TestAntiLeech(t *testing.T) {
	const total = 1 << 30
	ps := crowd(12)
	late := &ps[11]
	late.Interested = false
	liar := &ps[0]
	serve(New(Config{Seed: AntiLeech, Total: total, Serving: 1 << 20, Optimistic: -1}), ps, newRand(1), 1e6, func(step int, _ time.Time) {
		late.Interested = step > 180
		for i := range ps {
			if ps[i].Progress = float64(ps[i].UpBytes) / total; &ps[i] == liar {
				ps[i].Progress = 0
			}
		}
	})
	var least int64 = 1 << 62
	for _, p := range ps[1:11] {
		least = min(least, p.UpBytes)
	}
	if float64(late.UpBytes) < 0.8*float64(least) {
		t.Errorf("the late one had %d, others %d", late.UpBytes, least)
	}
	if liar.UpBytes > 20<<20 || liar.UpBytes > least/4 {
		t.Errorf("the one that hides what it has had %d, others %d", liar.UpBytes, least)
	}
}

// Peers that give nothing get less than those that give, while we leech.
func TestFreeRidersGetLess(t *testing.T) {
	ps := crowd(16)
	k := New(Config{})
	rng := newRand(1)
	got := make([]int, len(ps))
	for step := range 720 {
		now := start.Add(time.Duration(step) * 10 * time.Second)
		apply(now, ps, k.Decide(now, ps, false, rng))
		for i := range ps {
			if ps[i].Unchoked {
				got[i]++
			}
			ps[i].Down = 0
			if i < 8 && ps[i].Unchoked { // reciprocates
				ps[i].Down = 1000 + float64(rng.IntN(1000))
			}
		}
	}
	givers, riders := 0, 0
	for i, n := range got {
		if i < 8 {
			givers += n
		} else {
			riders += n
		}
	}
	if riders*4 > givers {
		t.Errorf("givers were served %d times, free riders %d", givers, riders)
	}
}

func draw(t *rapid.T) []Peer {
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

// Whatever the peers: no slot is empty while an interested peer is choked, no
// more interested ones are served than there are slots, only peers that send
// are served without interest, and the same inputs give the same decision.
func TestAlways(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{
			Slots: rapid.IntRange(0, 6).Draw(t, "slots"), Optimistic: rapid.IntRange(-1, 2).Draw(t, "optimistic"),
			RateBased: rapid.Bool().Draw(t, "rate based"), Seed: SeedMode(rapid.IntRange(0, 1).Draw(t, "mode")), Total: 1 << 30,
		}
		a, b := New(c), New(c)
		ra, rb := newRand(7), newRand(7)
		for step := range rapid.IntRange(1, 6).Draw(t, "steps") {
			now := start.Add(time.Duration(step) * 10 * time.Second)
			ps, seeding := draw(t), rapid.Bool().Draw(t, "seeding")
			for i := range ps {
				if ps[i].Unchoked {
					ps[i].UnchokedAt = ps[i].Joined
				}
			}
			slots := a.Slots(ps) + a.c.Optimistic
			s := a.Decide(now, ps, seeding, ra)
			if got := b.Decide(now, ps, seeding, rb); !slices.Equal(members(ps, got), members(ps, s)) {
				t.Fatal("two decisions on the same inputs differ")
			}
			served, interested := 0, 0
			for _, p := range ps {
				if p.Interested {
					interested++
				}
				if s.Has(p.ID) && p.Interested {
					served++
				}
				if s.Has(p.ID) && !p.Interested && (seeding || p.Down == 0 || p.Snubbed) {
					t.Fatalf("%+v is served", p)
				}
				if a.Optimistic().Has(p.ID) && !s.Has(p.ID) {
					t.Fatalf("%+v is optimistic and not served", p)
				}
			}
			if served != min(interested, slots) {
				t.Fatalf("%d of %d interested peers are served, %d slots", served, interested, slots)
			}
			if s.Len() != len(members(ps, s)) {
				t.Fatal("a peer that left is served")
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	ps := crowd(100)
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

// TestSeedTriesPeersBesideThoseThatUseSlots checks that a seed keeps serving a peer whose
// turn is over until a peer that is tried beside it takes the data that it requests.
func TestSeedTriesPeersBesideThoseThatUseSlots(t *testing.T) {
	ps := crowd(3)
	ps[0].UsesSlot, ps[0].Unchoked, ps[0].UnchokedAt, ps[0].Up, ps[0].UpBytes = true, true, start.Add(-2*DefaultQuantum), 1000, 1
	for i := range ps[1:] {
		ps[1+i].UnchokedAt = start.Add(-time.Hour) // no newcomers, who have a slot of their own
	}
	k := New(Config{Slots: 1, Optimistic: -1})
	s := k.Decide(start, ps, true, newRand(1))
	if !s.Has(0) || s.Len() != 2 {
		t.Fatalf("unchoked %v, want the peer that uses its slot and one to be tried", members(ps, s))
	}
	apply(start, ps, s)
	for i := range ps[1:] {
		ps[1+i].UsesSlot = ps[1+i].Unchoked
		ps[1+i].Interested = ps[1+i].Unchoked
	}
	next := start.Add(10 * time.Second)
	if s := k.Decide(next, ps, true, newRand(1)); s.Has(0) || s.Len() != 1 {
		t.Errorf("unchoked %v, want only the peer that takes data", members(ps, s))
	}
	ps[1].UsesSlot, ps[2].UsesSlot = false, false
	if s := k.Decide(next, ps, true, newRand(1)); !s.Has(0) {
		t.Errorf("unchoked %v, want the peer that uses its slot too", members(ps, s))
	}
}

package fairpool

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// readers are the options of a pool of downloads.
var readers = Options{Slots: 10, Grace: 4 * time.Second, Floor: 16 << 10, Pause: 10 * time.Second, Quick: 100 * time.Millisecond, Proof: 512 << 10}

// world is a pool with a simulated clock. The value of a member is its name.
type world struct {
	t    *testing.T
	now  time.Time
	pool *Pool[string]
}

func newWorld(t *testing.T, opt Options) *world {
	return &world{t, time.Unix(1e9, 0), New[string](opt)}
}

// wait advances the clock.
func (w *world) wait(d time.Duration) { w.now = w.now.Add(d) }

// enter gives a slot to a newcomer and returns its member and the name of the evicted
// member, if any. It fails the test if there is no slot.
func (w *world) enter(network Network, name string) (*Member[string], string) {
	w.t.Helper()
	m, evicted := w.pool.Enter(w.now, network, name)
	w.wait(time.Millisecond)
	if m == nil {
		w.t.Fatalf("%s got no slot", name)
	}
	if evicted == nil {
		return m, ""
	}
	return m, evicted.Value
}

// silent gives a slot to a newcomer that takes nothing of its offer.
func (w *world) silent(network Network, name string) *Member[string] {
	w.t.Helper()
	m, _ := w.enter(network, name)
	m.Offer(w.now)
	return m
}

// refused fails the test if a newcomer gets a slot.
func (w *world) refused(network Network, name string) {
	w.t.Helper()
	if m, evicted := w.pool.Enter(w.now, network, name); m != nil {
		w.t.Fatalf("%s got a slot and evicted %+v", name, evicted)
	}
}

// reads advances the clock by d, while each member takes data at a rate in bytes per second,
// in steps of 64 KiB.
func (w *world) reads(rate int64, d time.Duration, members ...*Member[string]) {
	const step = 64 << 10
	each := time.Duration(step * int64(time.Second) / rate)
	for end := w.now.Add(d); w.now.Before(end); {
		for _, m := range members {
			m.Offer(w.now)
		}
		w.wait(each)
		for _, m := range members {
			m.Took(w.now, step)
		}
	}
	for _, m := range members {
		m.Offer(w.now)
	}
}

// TestNetworkOf checks which addresses belong to one network, and that loopback and the
// invalid address belong to no network.
func TestNetworkOf(t *testing.T) {
	of := func(s string) Network { return NetworkOf(netip.MustParseAddr(s)) }
	for _, same := range [][2]string{
		{"192.0.2.1", "192.0.2.255"}, {"192.0.2.1", "::ffff:192.0.2.9"}, {"2001:db8:1::1", "2001:db8:1:ffff::2"},
	} {
		if of(same[0]) != of(same[1]) || of(same[0]) == 0 {
			t.Errorf("%v are not one network", same)
		}
	}
	for _, two := range [][2]string{{"192.0.2.1", "192.0.3.1"}, {"2001:db8:1::1", "2001:db8:2::1"}, {"0.0.0.1", "::1:0:0:1"}} {
		if of(two[0]) == of(two[1]) {
			t.Errorf("%v belong to one network, want two", two)
		}
	}
	for _, alone := range []string{"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"} {
		if of(alone) != 0 || Prefix(netip.MustParseAddr(alone)) == 0 {
			t.Errorf("NetworkOf gives %s a network, or Prefix gives it none", alone)
		}
	}
	if NetworkOf(netip.Addr{}) != 0 {
		t.Error("the invalid address belongs to a network")
	}
}

// TestOneNetworkMayHoldAllSlots checks that one network gets all slots while no other network
// wants one.
func TestOneNetworkMayHoldAllSlots(t *testing.T) {
	w := newWorld(t, readers)
	for range readers.Slots {
		w.enter(7, "office")
	}
	w.refused(7, "one too many")
}

// TestShareBesideOtherNetworks checks that a network gets at most eight times as many slots
// as are free beside another network, so that a third network gets one.
func TestShareBesideOtherNetworks(t *testing.T) {
	opt := readers
	opt.Slots = 90
	w := newWorld(t, opt)
	w.enter(1, "other")
	n := 0
	for {
		if m, _ := w.pool.Enter(w.now, 7, "office"); m == nil {
			break
		}
		n++
	}
	if n != 80 {
		t.Errorf("a network got %d of 90 slots beside another network, want 80", n)
	}
	w.enter(2, "newcomer")
	w.enter(0, "newcomer without a network")
}

// TestFreeSlotIsKeptForRefusedNetwork checks that a network with many slots does not get the
// next free slot while a network without one wants it.
func TestFreeSlotIsKeptForRefusedNetwork(t *testing.T) {
	w := newWorld(t, readers)
	var last *Member[string]
	for range readers.Slots {
		last, _ = w.enter(7, "office")
	}
	w.refused(9, "newcomer")
	last.Leave(w.now)
	w.refused(7, "office again")
	w.wait(30 * time.Second)
	w.enter(9, "newcomer")
}

// TestEvictionOrder checks that silent holders are evicted before slow ones, and that among
// equal ones those of the network with the most slots are evicted first. New holders, and
// holders that read at a sufficient rate, are never evicted.
func TestEvictionOrder(t *testing.T) {
	w := newWorld(t, readers)
	slow1, _ := w.enter(1, "slow, of one")
	slow2, _ := w.enter(2, "slow, of two")
	good, _ := w.enter(2, "phone")
	w.silent(3, "silent, of one")
	for i := range 3 {
		w.silent(4, fmt.Sprint("silent ", i, ", of three"))
	}
	good2, _ := w.enter(4, "decent, of three")
	w.reads(50_000, 30*time.Second, good, good2)
	// The slow holders take one step in 30 s.
	for _, m := range []*Member[string]{slow1, slow2} {
		m.Offer(w.now.Add(-30 * time.Second))
		m.Took(w.now, 64<<10)
		m.Offer(w.now)
	}
	w.wait(3 * time.Second)
	good.Took(w.now, 150_000)
	good2.Took(w.now, 150_000)
	w.wait(5 * time.Second)
	for range 2 { // fill the last two slots
		w.enter(0, "newcomer")
	}
	for i, want := range []string{
		"silent 0, of three", "silent 1, of three", "silent 2, of three", // the network holds four slots: three silent holders and "decent"
		"silent, of one", "slow, of two", "slow, of one",
	} {
		if _, got := w.enter(0, "newcomer"); got != want {
			t.Fatalf("newcomer %d evicted %q, want %q", i, got, want)
		}
	}
	w.refused(0, "newcomer")
}

// TestSlowHolderIsEvictedForNetworkWithoutSlot checks that a slow holder with the only slot
// of its network is evicted for a network without a slot, but not for one with a slot.
func TestSlowHolderIsEvictedForNetworkWithoutSlot(t *testing.T) {
	opt := readers
	opt.Slots = 3
	w := newWorld(t, opt)
	slow, _ := w.enter(1, "slow")
	slow.Offer(w.now)
	w.wait(30 * time.Second)
	slow.Took(w.now, 1000)
	two, _ := w.enter(2, "decent")
	three, _ := w.enter(3, "decent")
	w.reads(50_000, 20*time.Second, two, three)
	w.refused(2, "second of a network")
	if _, out := w.enter(4, "newcomer"); out != "slow" {
		t.Errorf("the newcomer evicted %q, want \"slow\"", out)
	}
}

// TestFloor checks the rates at which the only holder of a full pool keeps its slot.
func TestFloor(t *testing.T) {
	for _, c := range []struct {
		rate  int64
		keeps bool
	}{{100_000, true}, {50_000, true}, {20_000, true}, {10_000, false}, {1000, false}} {
		opt := readers
		opt.Slots = 1
		w := newWorld(t, opt)
		m, _ := w.enter(1, "reader")
		w.reads(c.rate, 2*time.Minute, m)
		if out, _ := w.pool.Enter(w.now.Add(time.Second), 2, "newcomer"); (out == nil) != c.keeps {
			t.Errorf("the holder with %d bytes per second keeps its slot: %v, want %v", c.rate, out == nil, c.keeps)
		}
	}
}

// TestPause checks that a fast holder may pause, but that a holder may not if its bytes
// only filled buffers.
func TestPause(t *testing.T) {
	w := newWorld(t, readers)
	well, _ := w.enter(1, "reader")
	w.reads(1_000_000, 20*time.Second, well)
	never, _ := w.enter(2, "buffers")
	for range 7 {
		never.Offer(w.now)
		never.Took(w.now, 64<<10) // at once
	}
	never.Offer(w.now)
	for _, c := range []struct {
		m     *Member[string]
		after time.Duration
		want  Standing
	}{
		{well, 9 * time.Second, Good}, {well, 11 * time.Second, Slow}, {well, 62 * time.Second, Silent},
		{never, 3900 * time.Millisecond, Good}, {never, 4 * time.Second, Silent},
	} {
		if got := c.m.Standing(w.now.Add(c.after)); got != c.want {
			t.Errorf("%s after %v has the standing %d, want %d", c.m.Value, c.after, got, c.want)
		}
	}
}

// TestTimeWithoutOfferDoesNotCount checks that a holder stays good while the caller has
// nothing for it, for example because of a rate limit.
func TestTimeWithoutOfferDoesNotCount(t *testing.T) {
	w := newWorld(t, readers)
	m, _ := w.enter(1, "reader")
	for range 100 {
		w.wait(time.Minute)
		m.Offer(w.now)
		w.wait(200 * time.Millisecond)
		m.Took(w.now, 4<<10)
	}
	w.wait(time.Hour)
	if got := m.Standing(w.now); got != Good {
		t.Errorf("the standing is %d, want Good", got)
	}
}

// TestSuspect checks that a newcomer of an unmarked network can evict a new holder of a marked
// network until that holder has proved that it reads, and that marks expire.
func TestSuspect(t *testing.T) {
	opt := readers
	opt.Slots = 2
	w := newWorld(t, opt)
	w.silent(1, "silent")
	w.silent(2, "silent")
	w.wait(4 * time.Second)
	w.enter(3, "newcomer")
	again, _ := w.enter(1, "silent again")
	if got := again.Standing(w.now); got != Suspect {
		t.Fatalf("the standing is %d, want Suspect", got)
	}
	w.refused(2, "silent too") // both networks are marked
	if _, out := w.enter(4, "newcomer"); out != "silent again" {
		t.Errorf("the newcomer evicted %q, want \"silent again\"", out)
	}
	w.wait(markFor)
	if w.pool.marks.has(w.now, 1) {
		t.Error("the mark has not expired")
	}
	proved := newWorld(t, opt)
	proved.silent(1, "silent").Leave(proved.now)
	proved.wait(4 * time.Second)
	proved.silent(1, "silent")
	proved.wait(4 * time.Second)
	proved.pool.members[0].Leave(proved.now)
	m, _ := proved.enter(1, "honest, in the same network")
	for range 8 {
		m.Offer(proved.now)
		m.Took(proved.now, 64<<10)
	}
	if got := m.Standing(proved.now); got != Good {
		t.Errorf("the standing after half a MiB is %d, want Good", got)
	}
}

// TestMarksAreBounded checks that the oldest marks above maxMarks are removed.
func TestMarksAreBounded(t *testing.T) {
	k := marks{until: map[Network]time.Time{}}
	now := time.Unix(1e9, 0)
	k.add(now, 1)
	for n := range Network(maxMarks) {
		now = now.Add(time.Millisecond)
		k.add(now, 2+n)
		k.add(now, 1) // renew this mark each time
	}
	if len(k.until) > maxMarks || len(k.queue) > maxMarks || !k.has(now, 1) || !k.has(now, maxMarks+1) || k.has(now, 2) {
		t.Errorf("there are %d marks and %d in the queue, want at most maxMarks, without the oldest", len(k.until), len(k.queue))
	}
	k.add(now.Add(markFor), 5)
	if len(k.until) != 1 || len(k.queue) != 1 {
		t.Errorf("%d marks are left after the others expired, want 1", len(k.until))
	}
}

// TestEnterNext checks that the next slot goes to the waiting newcomer whose network holds
// the fewest slots, and among equal ones to the last. In a full pool, networks without a
// mark come first.
func TestEnterNext(t *testing.T) {
	for _, c := range []struct {
		free    int
		silent  bool // one holder is silent
		waiting []Network
		want    int
	}{
		{1, false, nil, -1}, {1, false, []Network{1}, 0}, {1, false, []Network{1, 2, 1}, 2}, {1, false, []Network{4, 1, 4, 2}, 2},
		{1, false, []Network{3, 1, 2}, 0}, // network 3 is marked
		{0, false, []Network{4, 1, 2}, -1},
		{0, true, []Network{1, 2, 4, 3}, 2}, {0, true, []Network{3, 1}, 1}, {0, true, []Network{3, 3}, 1}, {0, true, []Network{0, 3, 1}, 0},
	} {
		opt := readers
		opt.Slots = 5
		w := newWorld(t, opt)
		w.silent(3, "").wait(w)
		w.enter(1, "")
		w.enter(1, "")
		w.enter(2, "")
		w.enter(2, "")
		if c.silent {
			w.silent(2, "")
		} else if c.free == 0 {
			w.enter(2, "")
		}
		w.wait(opt.Grace)
		i, m, _ := w.pool.EnterNext(w.now, c.waiting, func(i int) string { return fmt.Sprint(i) })
		if i != c.want || (m != nil) != (i >= 0) || m != nil && m.Value != fmt.Sprint(i) {
			t.Errorf("%+v: EnterNext returned %d, %v", c, i, m)
		}
	}
}

// TestEnterNextTriesOthers checks that another waiting newcomer gets a slot if the first
// one in the order may evict no holder.
func TestEnterNextTriesOthers(t *testing.T) {
	opt := readers
	opt.Slots = 2
	w := newWorld(t, opt)
	w.silent(3, "").wait(w)
	slow, _ := w.enter(1, "slow")
	slow.Offer(w.now)
	w.wait(20 * time.Second)
	slow.Took(w.now, 1)
	w.enter(2, "")
	i, _, out := w.pool.EnterNext(w.now, []Network{3, 2}, func(int) string { return "" })
	if i != 0 || out != slow {
		t.Errorf("EnterNext returned %d and evicted %v, want 0 and the slow holder", i, out)
	}
}

// wait lets the grace of a silent member pass and removes the member.
func (m *Member[T]) wait(w *world) {
	w.wait(m.pool.opt.Grace)
	m.Leave(w.now)
}

// TestWithoutGraceOldestOfLargestNetworkIsEvicted checks that a pool without grace always has
// a slot for a newcomer, and evicts the oldest holder of the network with the most slots.
func TestWithoutGraceOldestOfLargestNetworkIsEvicted(t *testing.T) {
	w := newWorld(t, Options{Slots: 5})
	w.enter(1, "other")
	for i := range 3 {
		w.enter(2, fmt.Sprint("flood ", i))
	}
	for i := range 20 {
		network := []Network{2, 2, 2, 3}[min(i, 3)]
		_, out := w.enter(network, fmt.Sprint("flood ", i+3))
		if out == "other" && i < 10 {
			t.Fatalf("newcomer %d evicted the holder of another network", i)
		}
		if i == 1 && out != "flood 0" {
			t.Errorf("evicted %q, want the oldest", out)
		}
	}
}

// TestMove checks that the slot of a moved holder is counted only for its new network.
func TestMove(t *testing.T) {
	w := newWorld(t, readers)
	m, _ := w.enter(0, "")
	m.Move(5)
	if w.pool.held[5] != 1 {
		t.Error("the slot of the moved holder is not counted for its new network")
	}
	m.Leave(w.now)
	m.Move(6)
	m.Leave(w.now)
	if len(w.pool.held) != 0 || w.pool.Len() != 0 {
		t.Errorf("the pool has no holders, but counts slots for %v", w.pool.held)
	}
}

// TestAgain checks that a refused newcomer gets a slot at the time of Again.
func TestAgain(t *testing.T) {
	opt := readers
	opt.Slots = 2
	w := newWorld(t, opt)
	w.silent(1, "")
	w.wait(time.Second)
	w.silent(2, "")
	w.refused(3, "")
	if at := w.pool.Again(); at.After(w.now.Add(3*time.Second)) || at.Before(w.now) {
		t.Errorf("Again returns %v from now, want at most 3s", at.Sub(w.now))
	}
	w.now = w.pool.Again()
	w.enter(3, "")
}

// TestLargePool checks that a large pool is searched in batches until a holder is found, and
// that the result of a failed search is used for failedFor.
func TestLargePool(t *testing.T) {
	opt := readers
	opt.Slots = 3 * searchBatch
	w := newWorld(t, opt)
	var members []*Member[string]
	for i := range opt.Slots {
		m, _ := w.enter(Network(1+i), fmt.Sprint(i))
		members = append(members, m)
	}
	w.refused(9999, "newcomer")
	members[2*searchBatch+7].Offer(w.now.Add(-opt.Grace))
	w.refused(9999, "newcomer")
	w.wait(failedFor)
	if _, out := w.enter(9999, "newcomer"); out != fmt.Sprint(2*searchBatch+7) {
		t.Errorf("the newcomer evicted %q, want the only silent holder", out)
	}
	for i := range searchBatch {
		members[i].Offer(w.now.Add(-opt.Grace))
	}
	for i := range searchBatch {
		w.wait(failedFor)
		w.enter(Network(10_000+i), "newcomer")
	}
	w.refused(9998, "newcomer")
}

// FuzzNetworkOf compares NetworkOf with the prefixes of package netip.
func FuzzNetworkOf(f *testing.F) {
	f.Add([]byte{192, 0, 2, 1}, []byte{192, 0, 2, 2})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		x, ok1 := netip.AddrFromSlice(a)
		y, ok2 := netip.AddrFromSlice(b)
		if !ok1 || !ok2 || x.Unmap().IsLoopback() || y.Unmap().IsLoopback() {
			return
		}
		x, y = x.Unmap(), y.Unmap()
		bits := 48
		if x.Is4() {
			bits = 24
		}
		p, _ := x.Prefix(bits)
		if same := p.Contains(y); (NetworkOf(x) == NetworkOf(y)) != same {
			t.Errorf("NetworkOf is wrong about whether %v and %v belong to one network", x, y)
		}
	})
}

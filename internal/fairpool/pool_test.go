package fairpool

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// readers are the options of a pool of downloads.
var readers = Options{Places: 10, Grace: 4 * time.Second, Floor: 16 << 10, Pause: 10 * time.Second, Quick: 100 * time.Millisecond, Proof: 512 << 10}

// world is a pool and the time in it.
type world struct {
	t    *testing.T
	now  time.Time
	pool *Pool[string]
}

func newWorld(t *testing.T, opt Options) *world {
	return &world{t, time.Unix(1e9, 0), New[string](opt)}
}

func (w *world) wait(d time.Duration) { w.now = w.now.Add(d) }

// enter lets somebody in, who has to get a place, and returns who made room for that.
func (w *world) enter(network Network, name string) (*Member[string], string) {
	w.t.Helper()
	m, out := w.pool.Enter(w.now, network, name)
	w.wait(time.Millisecond)
	if m == nil {
		w.t.Fatalf("%s finds no place", name)
	}
	if out == nil {
		return m, ""
	}
	return m, out.Value
}

// silent lets somebody in who takes nothing.
func (w *world) silent(network Network, name string) *Member[string] {
	w.t.Helper()
	m, _ := w.enter(network, name)
	m.Offer(w.now)
	return m
}

// refused lets somebody in who must not get a place.
func (w *world) refused(network Network, name string) {
	w.t.Helper()
	if m, out := w.pool.Enter(w.now, network, name); m != nil {
		w.t.Fatalf("%s got a place, in place of %+v", name, out)
	}
}

// reads has members take what they are offered at a rate, each a step every time that it
// has taken one, for d.
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
			t.Errorf("%v are one network", two)
		}
	}
	for _, alone := range []string{"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"} {
		if of(alone) != 0 || Prefix(netip.MustParseAddr(alone)) == 0 {
			t.Errorf("%s counts for a network", alone)
		}
	}
	if NetworkOf(netip.Addr{}) != 0 {
		t.Error("no address counts for a network")
	}
}

// An office gets all places while nobody else wants one.
func TestOneNetworkTakesAllWhileThereIsRoom(t *testing.T) {
	w := newWorld(t, readers)
	for range readers.Places {
		w.enter(7, "office")
	}
	w.refused(7, "one too many")
}

// Once others are there a network gets no more than eight times what is free, so that there
// is a place for the next network.
func TestShareWhileOthersAreThere(t *testing.T) {
	opt := readers
	opt.Places = 90
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
		t.Errorf("a network got %d of 90 places beside another, want 80", n)
	}
	w.enter(2, "newcomer")
	w.enter(0, "newcomer without a network")
}

// A network that was refused finds a place once one is free: those who hold many do not
// take it again.
func TestPlacesAreKeptForWhoWasRefused(t *testing.T) {
	w := newWorld(t, readers)
	var last *Member[string]
	for range readers.Places {
		last, _ = w.enter(7, "office")
	}
	w.refused(9, "newcomer")
	last.Leave(w.now)
	w.refused(7, "office again")
	w.wait(30 * time.Second)
	w.enter(9, "newcomer")
}

// Silent holders make room before slow ones, and of equals the network that holds the most
// first; nobody does who reads at a decent rate, or is new.
func TestWhoMakesRoom(t *testing.T) {
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
	// The slow ones get a step in 30 s.
	for _, m := range []*Member[string]{slow1, slow2} {
		m.Offer(w.now.Add(-30 * time.Second))
		m.Took(w.now, 64<<10)
		m.Offer(w.now)
	}
	w.wait(3 * time.Second)
	good.Took(w.now, 150_000)
	good2.Took(w.now, 150_000)
	w.wait(5 * time.Second)
	for range 2 { // the last two places
		w.enter(0, "newcomer")
	}
	for i, want := range []string{
		"silent 0, of three", "silent 1, of three", "silent 2, of three", // the network holds four with the decent one
		"silent, of one", "slow, of two", "slow, of one",
	} {
		if _, got := w.enter(0, "newcomer"); got != want {
			t.Fatalf("newcomer %d took the place of %q, want %q", i, got, want)
		}
	}
	w.refused(0, "newcomer")
}

// A slow reader that is alone in its network does not make room for networks that have a
// place already, but for one that has none.
func TestSlowReaderMakesRoomForNetworksWithoutPlace(t *testing.T) {
	opt := readers
	opt.Places = 3
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
		t.Errorf("%q made room", out)
	}
}

// What a rate means for a reader, in a pool that is full of nothing else.
func TestFloor(t *testing.T) {
	for _, c := range []struct {
		rate  int64
		keeps bool
	}{{100_000, true}, {50_000, true}, {20_000, true}, {10_000, false}, {1000, false}} {
		opt := readers
		opt.Places = 1
		w := newWorld(t, opt)
		m, _ := w.enter(1, "reader")
		w.reads(c.rate, 2*time.Minute, m)
		if out, _ := w.pool.Enter(w.now.Add(time.Second), 2, "newcomer"); (out == nil) != c.keeps {
			t.Errorf("at %d bytes a second: keeps its place: %v", c.rate, out == nil)
		}
	}
}

// A reader that read well may pause; one that never did may not, whatever its buffers took.
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
			t.Errorf("%s after %v: %d, want %d", c.m.Value, c.after, got, c.want)
		}
	}
}

// Time in which nothing is offered, for a limit holds us back, does not count.
func TestOurOwnPausesDoNotCount(t *testing.T) {
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
		t.Errorf("%d", got)
	}
}

// Who was silent comes again without the time that is given to newcomers, and makes room
// for networks of which nothing bad is known, until it has proved that it reads.
func TestSuspect(t *testing.T) {
	opt := readers
	opt.Places = 2
	w := newWorld(t, opt)
	w.silent(1, "silent")
	w.silent(2, "silent")
	w.wait(4 * time.Second)
	w.enter(3, "newcomer")
	again, _ := w.enter(1, "silent again")
	if got := again.Standing(w.now); got != Suspect {
		t.Fatalf("it is %d", got)
	}
	w.refused(2, "silent too") // 1 makes no room for its equal
	if _, out := w.enter(4, "newcomer"); out != "silent again" {
		t.Errorf("%q made room", out)
	}
	w.wait(markFor)
	if w.pool.marks.has(w.now, 1) {
		t.Error("the mark stays for ever")
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
		t.Errorf("after half a MiB it is %d", got)
	}
}

// The marks are bounded, and the oldest go.
func TestMarksAreBounded(t *testing.T) {
	k := marks{until: map[Network]time.Time{}}
	now := time.Unix(1e9, 0)
	k.add(now, 1)
	for n := range Network(maxMarks) {
		now = now.Add(time.Millisecond)
		k.add(now, 2+n)
		k.add(now, 1) // over and over
	}
	if len(k.until) > maxMarks || len(k.queue) > maxMarks || !k.has(now, 1) || !k.has(now, maxMarks+1) || k.has(now, 2) {
		t.Errorf("%d marks, %d in the queue", len(k.until), len(k.queue))
	}
	k.add(now.Add(markFor), 5)
	if len(k.until) != 1 || len(k.queue) != 1 {
		t.Errorf("%d marks stay that have expired", len(k.until))
	}
}

// Of those who wait, the next place is for the network that holds the fewest, and of these
// for the last who came; in a full pool first for networks of which nothing bad is known.
func TestEnterNext(t *testing.T) {
	for _, c := range []struct {
		free    int
		silent  bool // one of the holders makes room
		waiting []Network
		want    int
	}{
		{1, false, nil, -1}, {1, false, []Network{1}, 0}, {1, false, []Network{1, 2, 1}, 2}, {1, false, []Network{4, 1, 4, 2}, 2},
		{1, false, []Network{3, 1, 2}, 0}, // which had silent holders
		{0, false, []Network{4, 1, 2}, -1},
		{0, true, []Network{1, 2, 4, 3}, 2}, {0, true, []Network{3, 1}, 1}, {0, true, []Network{3, 3}, 1}, {0, true, []Network{0, 3, 1}, 0},
	} {
		opt := readers
		opt.Places = 5
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
			t.Errorf("%+v: %d, %v", c, i, m)
		}
	}
}

// One who waits and finds nothing does not keep out another for whom somebody makes room.
func TestEnterNextTriesOthers(t *testing.T) {
	opt := readers
	opt.Places = 2
	w := newWorld(t, opt)
	w.silent(3, "").wait(w)
	slow, _ := w.enter(1, "slow")
	slow.Offer(w.now)
	w.wait(20 * time.Second)
	slow.Took(w.now, 1)
	w.enter(2, "")
	i, _, out := w.pool.EnterNext(w.now, []Network{3, 2}, func(int) string { return "" })
	if i != 0 || out != slow {
		t.Errorf("%d, for %v", i, out)
	}
}

// wait has a silent member leave when its time is over.
func (m *Member[T]) wait(w *world) {
	w.wait(m.pool.opt.Grace)
	m.Leave(w.now)
}

// A pool without a grace is for holders that never do anything: the oldest of the network
// with the most goes, and there is always a place.
func TestOldestOfTheLargestNetworkGoes(t *testing.T) {
	w := newWorld(t, Options{Places: 5})
	w.enter(1, "other")
	for i := range 3 {
		w.enter(2, fmt.Sprint("flood ", i))
	}
	for i := range 20 {
		network := []Network{2, 2, 2, 3}[min(i, 3)]
		_, out := w.enter(network, fmt.Sprint("flood ", i+3))
		if out == "other" && i < 10 {
			t.Fatalf("newcomer %d pushed out another network", i)
		}
		if i == 1 && out != "flood 0" {
			t.Errorf("%q made room, not the oldest", out)
		}
	}
}

// Move has a holder count for another network.
func TestMove(t *testing.T) {
	w := newWorld(t, readers)
	m, _ := w.enter(0, "")
	m.Move(5)
	if w.pool.held[5] != 1 {
		t.Error("it does not count for its network")
	}
	m.Leave(w.now)
	m.Move(6)
	m.Leave(w.now)
	if len(w.pool.held) != 0 || w.pool.Len() != 0 {
		t.Errorf("%v is held by nobody", w.pool.held)
	}
}

// Again says when somebody who was refused may come again.
func TestAgain(t *testing.T) {
	opt := readers
	opt.Places = 2
	w := newWorld(t, opt)
	w.silent(1, "")
	w.wait(time.Second)
	w.silent(2, "")
	w.refused(3, "")
	if at := w.pool.Again(); at.After(w.now.Add(3*time.Second)) || at.Before(w.now) {
		t.Errorf("again in %v", at.Sub(w.now))
	}
	w.now = w.pool.Again()
	w.enter(3, "")
}

// A large pool is searched in parts until somebody is found, and not again at once when
// nobody is.
func TestLargePool(t *testing.T) {
	opt := readers
	opt.Places = 3 * look
	w := newWorld(t, opt)
	var members []*Member[string]
	for i := range opt.Places {
		m, _ := w.enter(Network(1+i), fmt.Sprint(i))
		members = append(members, m)
	}
	w.refused(9999, "newcomer")
	members[2*look+7].Offer(w.now.Add(-opt.Grace))
	w.refused(9999, "newcomer")
	w.wait(barrenFor)
	if _, out := w.enter(9999, "newcomer"); out != fmt.Sprint(2*look+7) {
		t.Errorf("%q made room", out)
	}
	for i := range look {
		members[i].Offer(w.now.Add(-opt.Grace))
	}
	for i := range look {
		w.wait(barrenFor)
		w.enter(Network(10_000+i), "newcomer")
	}
	w.refused(9998, "newcomer")
}

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
			t.Errorf("%v and %v", x, y)
		}
	})
}

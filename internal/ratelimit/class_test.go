package ratelimit

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// caller is a model of a connection: it waits for n bytes, then writes for some time, and
// waits again, from one time to another.
type caller struct {
	priority priority
	n        int
	writing  time.Duration
	from, to time.Duration
}

// share runs the callers for 40 seconds at a limit that is always changed a little from 1 MB/s, and
// returns the bytes of each priority in each second.
func share(t *testing.T, callers []caller) (got [priorities][40]int64) {
	const seconds = 40
	synctest.Test(t, func(t *testing.T) {
		l := New(1_000_000)
		start := time.Now()
		var wg sync.WaitGroup
		for _, c := range callers {
			wg.Go(func() {
				time.Sleep(c.from)
				ctx, cancel := context.WithDeadline(t.Context(), start.Add(min(c.to, seconds*time.Second-1)))
				defer cancel()
				for l.wait(ctx, c.n, c.priority) == nil {
					atomic.AddInt64(&got[c.priority][int(time.Since(start)/time.Second)], int64(c.n))
					time.Sleep(c.writing)
				}
			})
		}
		for i := range seconds*10 - 1 {
			time.Sleep(100 * time.Millisecond)
			l.SetRate(1_000_000 + int64(i%2)*1000)
		}
		wg.Wait()
	})
	return got
}

// rate returns the mean of the seconds in bytes per second, in units of the limit.
func rate(seconds []int64) float64 {
	sum := int64(0)
	for _, n := range seconds {
		sum += n
	}
	return float64(sum) / float64(len(seconds)) / 1e6
}

func repeat(c caller, n int) (list []caller) {
	for range n {
		list = append(list, c)
	}
	return list
}

const always = time.Hour

// TestLaterDoesNotTakePauses checks that callers that write between two calls keep nine tenths of
// what they get alone beside many later callers.
func TestLaterDoesNotTakePauses(t *testing.T) {
	t.Parallel()
	downloads := repeat(caller{later, 16 << 10, time.Millisecond, 0, always}, 20)
	for _, c := range []struct {
		peers   int
		n       int
		writing time.Duration
	}{{1, 16 << 10, 17 * time.Millisecond}, {2, 16 << 10, 35 * time.Millisecond}, {8, 16 << 10, 140 * time.Millisecond}, {8, 64 << 10, 300 * time.Millisecond}} {
		peers := repeat(caller{normal, c.n, c.writing, 0, always}, c.peers)
		alone, beside := share(t, peers), share(t, append(peers, downloads...))
		a, b := rate(alone[normal][2:]), rate(beside[normal][2:])
		if b < 0.88*a {
			t.Errorf("%d callers that write %d bytes for %v get %.2f of the limit, want 0.9 of the %.2f that they get alone", c.peers, c.n, c.writing, b, a)
		}
		if d := rate(beside[later][2:]); d < 0.09 {
			t.Errorf("beside %d callers that write %d bytes for %v, later gets %.2f of the limit, want its floor", c.peers, c.n, c.writing, d)
		}
	}
}

// TestLaterGetsWhatIsLeft checks that callers of later use most of what slow callers leave, and that
// callers that begin get their part within two seconds.
func TestLaterGetsWhatIsLeft(t *testing.T) {
	t.Parallel()
	downloads := repeat(caller{later, 16 << 10, time.Millisecond, 0, always}, 4)
	slow := caller{normal, 16 << 10, 40 * time.Millisecond, 0, always} // 0.4 of the limit
	got := share(t, append(downloads, slow))
	if p, d := rate(got[normal][5:]), rate(got[later][5:]); p < 0.33 || p+d < 0.85 {
		t.Errorf("a slow caller gets %.2f of the limit and later %.2f, want 0.4 and the most of the rest", p, d)
	}
	got = share(t, append(downloads, repeat(caller{normal, 16 << 10, time.Millisecond, 20 * time.Second, 30 * time.Second}, 4)...))
	if d := rate(got[later][:20]); d < 0.95 {
		t.Errorf("later alone gets %.2f of the limit", d)
	}
	if p := rate(got[normal][22:30]); p < 0.85 {
		t.Errorf("two seconds after callers of normal have begun they get %.2f of the limit, want 0.9", p)
	}
	if d := rate(got[later][32:]); d < 0.95 {
		t.Errorf("two seconds after they have ended later gets %.2f of the limit", d)
	}
}

// TestFirstGoesFirst checks that callers of first leave the others their floors.
func TestFirstGoesFirst(t *testing.T) {
	t.Parallel()
	var all []caller
	for k := range priorities {
		all = append(all, repeat(caller{k, 16 << 10, time.Millisecond, 0, always}, 3)...)
	}
	got := share(t, all)
	for k, want := range []float64{0.65, 0.2, 0.1, 0.05} {
		if r := rate(got[k][5:]); r < want-0.03 || r > want+0.03 {
			t.Errorf("priority %d gets %.2f of the limit, want %.2f", k, r, want)
		}
	}
}

// TestLastShrinksAtOnce checks that callers of last, which use the whole limit, leave nine tenths of it
// to others within half a second.
func TestLastShrinksAtOnce(t *testing.T) {
	t.Parallel()
	l := New(1_000_000)
	now := time.Now()
	for k := range l.class {
		l.class[k].part = 1
	}
	l.last, l.shares.start = now, now
	l.class[first].push(&waiter{need: 1 << 20, ready: make(chan struct{})})
	for range 20 {
		now = now.Add(25 * time.Millisecond)
		l.last = now
		l.share(25*time.Millisecond, 0)
	}
	if p := l.class[last].part; p > 0.1 {
		t.Errorf("the part of last is %.2f after half a second, want at most 0.1", p)
	}
	if p := l.class[later].part; p < 0.2 {
		t.Errorf("the part of later is %.2f after half a second, want more", p)
	}
}

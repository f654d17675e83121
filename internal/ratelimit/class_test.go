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
	class    Class
	n        int
	writing  time.Duration
	from, to time.Duration
}

// share runs the callers for 40 seconds at a limit of 1 MB/s, and returns the bytes of each class in
// each second.
func share(t *testing.T, callers []caller) (got [classes][40]int64) {
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
				for l.WaitAs(ctx, c.n, c.class) == nil {
					atomic.AddInt64(&got[c.class][int(time.Since(start)/time.Second)], int64(c.n))
					time.Sleep(c.writing)
				}
			})
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
// what they get alone beside many callers of Later.
func TestLaterDoesNotTakePauses(t *testing.T) {
	t.Parallel()
	downloads := repeat(caller{Later, 16 << 10, time.Millisecond, 0, always}, 20)
	for _, c := range []struct {
		peers   int
		n       int
		writing time.Duration
	}{{1, 16 << 10, 17 * time.Millisecond}, {2, 16 << 10, 35 * time.Millisecond}, {8, 16 << 10, 140 * time.Millisecond}, {8, 64 << 10, 300 * time.Millisecond}} {
		peers := repeat(caller{Normal, c.n, c.writing, 0, always}, c.peers)
		alone, beside := share(t, peers), share(t, append(peers, downloads...))
		a, b := rate(alone[Normal][2:]), rate(beside[Normal][2:])
		if b < 0.88*a {
			t.Errorf("%d callers that write %d bytes for %v get %.2f of the limit, want 0.9 of the %.2f that they get alone", c.peers, c.n, c.writing, b, a)
		}
		if d := rate(beside[Later][2:]); d < 0.09 {
			t.Errorf("beside %d callers that write %d bytes for %v, Later gets %.2f of the limit, want its floor", c.peers, c.n, c.writing, d)
		}
	}
}

// TestLaterGetsWhatIsLeft checks that callers of Later use most of what slow callers leave, and that
// callers that begin get their part within two seconds.
func TestLaterGetsWhatIsLeft(t *testing.T) {
	t.Parallel()
	downloads := repeat(caller{Later, 16 << 10, time.Millisecond, 0, always}, 4)
	slow := caller{Normal, 16 << 10, 40 * time.Millisecond, 0, always} // 0.4 of the limit
	got := share(t, append(downloads, slow))
	if p, d := rate(got[Normal][5:]), rate(got[Later][5:]); p < 0.33 || p+d < 0.85 {
		t.Errorf("a slow caller gets %.2f of the limit and Later %.2f, want 0.4 and the most of the rest", p, d)
	}
	got = share(t, append(downloads, repeat(caller{Normal, 16 << 10, time.Millisecond, 20 * time.Second, 30 * time.Second}, 4)...))
	if d := rate(got[Later][:20]); d < 0.95 {
		t.Errorf("Later alone gets %.2f of the limit", d)
	}
	if p := rate(got[Normal][22:30]); p < 0.85 {
		t.Errorf("two seconds after callers of Normal have begun they get %.2f of the limit, want 0.9", p)
	}
	if d := rate(got[Later][32:]); d < 0.95 {
		t.Errorf("two seconds after they have ended Later gets %.2f of the limit", d)
	}
}

// TestFirstGoesFirst checks that callers of First leave the others their floors.
func TestFirstGoesFirst(t *testing.T) {
	t.Parallel()
	var all []caller
	for k := range classes {
		all = append(all, repeat(caller{k, 16 << 10, time.Millisecond, 0, always}, 3)...)
	}
	got := share(t, all)
	for k, want := range []float64{0.7, 0.2, 0.1} {
		if r := rate(got[k][5:]); r < want-0.03 || r > want+0.03 {
			t.Errorf("class %d gets %.2f of the limit, want %.2f", k, r, want)
		}
	}
}

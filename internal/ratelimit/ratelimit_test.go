package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// move lets n bytes per call pass until end, and returns how many passed.
func move(t *testing.T, l *Limiter, n int, end time.Time) int {
	ctx, cancel := context.WithDeadline(t.Context(), end)
	defer cancel()
	total := 0
	for l.Wait(ctx, n) == nil {
		total += n
	}
	return total
}

// within fails the test if got differs from want by more than 2 % and more than the
// bytes of one call.
func within(t *testing.T, what string, got, want, call int) {
	t.Helper()
	if d := math.Abs(float64(got - want)); d > 0.02*float64(want) && d > float64(call) {
		t.Errorf("%s: %d bytes, want %d", what, got, want)
	}
}

func TestRateIsExact(t *testing.T) {
	for _, rate := range []int{5_000, 100_000, 1_000_000, 20_000_000, 1_000_000_000} {
		for _, call := range []int{17, 16 << 10, 512 << 10} {
			if rate/call > 200_000 {
				continue
			}
			for _, conns := range []int{1, 7} {
				t.Run(fmt.Sprintf("%d by %d on %d", rate, call, conns), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						const seconds = 20
						l := New(int64(rate))
						end := time.Now().Add(seconds * time.Second)
						var wg sync.WaitGroup
						sums := make([]int, conns)
						for i := range conns {
							wg.Go(func() { sums[i] = move(t, l, call, end) })
						}
						wg.Wait()
						total := 0
						for _, n := range sums {
							total += n
						}
						within(t, "in all", total, rate*seconds, call*conns)
						if total > rate*seconds {
							t.Errorf("%d bytes passed, want at most %d", total, rate*seconds)
						}
					})
				})
			}
		}
	}
}

// TestFair checks that connections with small and with large calls get equal shares.
func TestFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(2_000_000)
		end := time.Now().Add(30 * time.Second)
		calls := []int{16 << 10, 16 << 10, 128 << 10, 512 << 10}
		sums := make([]int, len(calls))
		var wg sync.WaitGroup
		for i, n := range calls {
			wg.Go(func() { sums[i] = move(t, l, n, end) })
		}
		wg.Wait()
		for i, n := range calls { // at the end, some get what others had of an incomplete call
			within(t, fmt.Sprintf("calls of %d", n), sums[i], 15_000_000, max(2*n, 640<<10))
		}
	})
}

// TestLater checks that the callers of WaitLater share one turn in ten while other
// callers wait, and get everything while none does.
func TestLater(t *testing.T) {
	for _, c := range []struct{ first, later, want int }{{1, 5, 27_000_000}, {3, 1, 27_000_000}, {0, 2, 0}, {2, 0, 30_000_000}} {
		synctest.Test(t, func(t *testing.T) {
			l := New(1_000_000)
			end := time.Now().Add(30 * time.Second)
			ctx, cancel := context.WithDeadline(t.Context(), end)
			defer cancel()
			var wg sync.WaitGroup
			var first, later atomic.Int64
			for range c.first {
				wg.Go(func() { first.Add(int64(move(t, l, 16<<10, end))) })
			}
			for range c.later {
				wg.Go(func() {
					for l.WaitLater(ctx, 16<<10) == nil {
						later.Add(16 << 10)
					}
				})
			}
			wg.Wait()
			within(t, fmt.Sprintf("%d before %d", c.first, c.later), int(first.Load()), c.want, 64<<10)
			within(t, "in all", int(first.Load()+later.Load()), 30_000_000, 128<<10)
		})
	}
}

// TestGiveBack checks that other callers can use returned bytes, up to the burst.
func TestGiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(1_000_000)
		l.Wait(t.Context(), 1_000_000) // uses up one second
		start := time.Now()
		for range 10 {
			l.Wait(t.Context(), 10_000)
			l.GiveBack(5_000)
		}
		if took := time.Since(start); took < 45*time.Millisecond || took > 55*time.Millisecond {
			t.Errorf("50 kB that were not returned took %v, want 50ms", took)
		}
		l.GiveBack(1 << 30)
		if l.Take(1 << 20) {
			t.Error("more bytes than the burst passed without waiting")
		}
	})
	var none *Limiter
	none.GiveBack(1)
	if err := none.WaitLater(t.Context(), 1); err != nil {
		t.Errorf("WaitLater of a nil limiter returned %v", err)
	}
}

// TestOrder checks that callers are served in order of arrival.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(10_000)
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if err := l.Wait(t.Context(), 5000); err != nil {
					t.Errorf("Wait: %v", err)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
			})
			synctest.Wait()
		}
		wg.Wait()
		for i, n := range order {
			if i != n {
				t.Fatalf("the callers were served in the order %v, want the order of arrival", order)
			}
		}
	})
}

// TestBurst checks that an idle limiter accumulates 50 ms or one block, whichever is
// more.
func TestBurst(t *testing.T) {
	for _, rate := range []int{1000, 10_000_000} {
		synctest.Test(t, func(t *testing.T) {
			l := New(int64(rate))
			time.Sleep(time.Hour)
			passed := 0
			for l.Take(1000) {
				passed += 1000
			}
			if most := max(rate/20, block); passed > most || passed < most-1000 {
				t.Errorf("at %d a second a burst of %d passed, want %d", rate, passed, most)
			}
		})
	}
}

// TestLateTimer checks that callers that wait lose nothing if the timer fires late.
func TestLateTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 1_000_000
		l := New(rate)
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Wait(t.Context(), rate)
		}()
		synctest.Wait()
		for range 5 { // the timer fires 200 ms late each time
			l.mu.Lock()
			l.timer.Reset(200 * time.Millisecond)
			l.mu.Unlock()
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
		}
		<-done
		if took := time.Since(start); took > 1050*time.Millisecond {
			t.Errorf("the bytes of a second passed in %v", took)
		}
	})
}

func TestSetRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(1) // at this rate a block would take hours
		start := time.Now()
		done := make(chan error, 2)
		go func() { done <- l.Wait(t.Context(), 1_000_000) }()
		go func() { done <- l.Wait(t.Context(), 1_000_000) }()
		time.Sleep(time.Second)
		l.SetRate(1_000_000)
		<-done
		<-done
		if d := time.Since(start); d < 2950*time.Millisecond || d > 3050*time.Millisecond {
			t.Errorf("Wait took %v, want 3s", d)
		}
		l.SetRate(1)
		go func() { done <- l.Wait(t.Context(), 1_000_000) }()
		synctest.Wait()
		start = time.Now()
		l.SetRate(0)
		if err := <-done; err != nil || time.Since(start) != 0 {
			t.Errorf("after the limit was lifted: %v after %v", err, time.Since(start))
		}
		if l.Rate() != 0 || !l.Take(1<<40) {
			t.Error("the limiter still limits after SetRate(0)")
		}
	})
}

// TestSetRateOften checks that the time under each rate counts at that rate.
func TestSetRateOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(100_000)
		var wg sync.WaitGroup
		var got int
		wg.Go(func() { got = move(t, l, 1000, time.Now().Add(10*time.Second)) })
		for i := range 100 {
			time.Sleep(99 * time.Millisecond)
			l.SetRate([]int64{200_000, 100_000}[i%2])
		}
		wg.Wait()
		within(t, "changing", got, 1_500_000, 1000)
	})
}

// TestCancel checks that the other callers get the share of a cancelled caller.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(100_000)
		ctx, cancel := context.WithCancel(t.Context())
		quit := make(chan error)
		go func() { quit <- l.Wait(ctx, 10_000_000) }()
		synctest.Wait()
		start := time.Now()
		done := make(chan error)
		go func() { done <- l.Wait(t.Context(), 50_000) }()
		time.Sleep(100 * time.Millisecond)
		cancel()
		if err := <-quit; !errors.Is(err, context.Canceled) {
			t.Errorf("Wait returned %v after the cancellation, want context.Canceled", err)
		}
		<-done
		if d := time.Since(start); d > 510*time.Millisecond {
			t.Errorf("50,000 bytes took %v after the other gave up, want 0.5s", d)
		}
		if err := l.Wait(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait with a cancelled context returned %v, want context.Canceled", err)
		}
	})
}

func TestUnlimited(t *testing.T) {
	var none *Limiter
	for _, l := range []*Limiter{none, New(0)} {
		if err := l.Wait(t.Context(), 1<<40); err != nil || !l.Take(1<<40) || l.Rate() != 0 {
			t.Error("a limiter without a rate limits")
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = New(1 << 40).Take(1) }); n > 1 {
		t.Errorf("New and Take make %v allocations, want at most 1", n)
	}
}

func TestNegativeRatePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a negative rate does not panic")
		}
	}()
	New(-1)
}

// TestRealClock checks the limit with real timers, which fire late.
func TestRealClock(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	const rate = 200_000_000
	l := New(rate)
	start := time.Now()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range rate / 4 / (100 << 10) {
				if err := l.Wait(t.Context(), 100<<10); err != nil {
					t.Errorf("Wait: %v", err)
				}
			}
		})
	}
	wg.Wait()
	// On a busy machine the rate may be lower, but must not be higher.
	if d := time.Since(start); d < 970*time.Millisecond {
		t.Errorf("the bytes of one second passed in %v", d)
	}
}

func BenchmarkWaitUnlimited(b *testing.B) {
	l := New(0)
	ctx := context.Background()
	for b.Loop() {
		_ = l.Wait(ctx, 16<<10)
	}
}

func BenchmarkWaitFast(b *testing.B) {
	l := New(1 << 60)
	ctx := context.Background()
	time.Sleep(time.Millisecond)
	b.ReportAllocs()
	for b.Loop() {
		_ = l.Wait(ctx, 16<<10)
	}
}

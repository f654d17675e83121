package simnet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestWritersBlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{Window: 50_000})
		a, b := connect(t, n.Host(ip(1), Link{}), n.Host(ip(2), Link{}))
		_ = a.SetWriteDeadline(time.Now().Add(time.Second))
		k, err := a.Write(make([]byte, 80_000))
		if k != 50_000 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v", k, err)
		}
		_ = a.SetWriteDeadline(time.Time{})
		done := make(chan error)
		go func() { _, err := a.Write(make([]byte, 30_000)); done <- err }()
		if _, err := io.ReadFull(b, make([]byte, 80_000)); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestConcurrentWritesDoNotMix checks that two concurrent writes do not mix.
func TestConcurrentWritesDoNotMix(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{Window: 10_000})
		a, b := connect(t, n.Host(ip(1), Link{}), n.Host(ip(2), Link{}))
		const size = 25_000
		for i := range 4 {
			go func() { _, _ = a.Write(bytes.Repeat([]byte{byte(i)}, size)) }()
		}
		for range 4 {
			p := make([]byte, size)
			if _, err := io.ReadFull(b, p); err != nil {
				t.Fatal(err)
			}
			if len(bytes.Trim(p, string(p[:1]))) != 0 {
				t.Error("writes are mixed")
			}
		}
	})
}

func TestDeadlines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{})
		a, b := connect(t, n.Host(ip(1), Link{}), n.Host(ip(2), Link{}))
		start := time.Now()
		_ = b.SetReadDeadline(start.Add(time.Second))
		_, err := b.Read(make([]byte, 1))
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("got %v", err)
		}
		about(t, "the deadline", time.Since(start), time.Second)

		// Move the deadline later, earlier, and remove it, while a goroutine reads.
		for _, c := range []struct{ first, then, want time.Duration }{
			{time.Second, 3 * time.Second, 3 * time.Second},
			{time.Hour, 2 * time.Second, 2 * time.Second},
			{time.Hour, -time.Second, 500 * time.Millisecond},
		} {
			start := time.Now()
			_ = b.SetDeadline(start.Add(c.first))
			time.AfterFunc(500*time.Millisecond, func() { _ = b.SetDeadline(start.Add(c.then)) })
			if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			about(t, fmt.Sprint(c), time.Since(start), c.want)
		}
		if _, err := b.Write([]byte{1}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write after the deadline: %v", err)
		}
		_ = b.SetDeadline(time.Time{})
		go func() { time.Sleep(time.Hour); _, _ = a.Write([]byte{1}) }()
		if _, err := b.Read(make([]byte, 1)); err != nil {
			t.Errorf("without a deadline: %v", err)
		}
	})
}

func TestHalfClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{})
		a, b := connect(t, n.Host(ip(1), Link{Up: 1e5}), n.Host(ip(2), Link{Latency: time.Millisecond}))
		go func() {
			_, _ = a.Write(make([]byte, 100_000))
			_ = a.CloseWrite()
		}()
		if k, err := io.Copy(io.Discard, b); k != 100_000 || err != nil {
			t.Errorf("%d, %v", k, err)
		}
		if _, err := a.Write([]byte{1}); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write after CloseWrite: %v", err)
		}
		if _, err := b.Write([]byte("still")); err != nil {
			t.Error(err)
		}
		b.Close()
		if got, err := io.ReadAll(a); string(got) != "still" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestCloseSendsWrittenData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{})
		a, b := connect(t, n.Host(ip(1), Link{Up: 1e4}), n.Host(ip(2), Link{}))
		if _, err := a.Write(make([]byte, 50_000)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		a.Close()
		if time.Since(start) != 0 {
			t.Error("Close waits")
		}
		if k, err := io.Copy(io.Discard, b); k != 50_000 || err != nil {
			t.Errorf("%d, %v", k, err)
		}
		for _, f := range []func([]byte) (int, error){a.Read, a.Write} {
			if _, err := f(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
		// The first write to a closed end is sent, and the reset is the reply.
		if _, err := b.Write([]byte{1}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := b.Write([]byte{1}); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("second write: %v", err)
		}
		if _, err := b.Write([]byte{1}); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("third write: %v", err)
		}
	})
}

// TestCloseWithUnreadDataResets checks that data that was sent before the reset
// arrives.
func TestCloseWithUnreadDataResets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{})
		a, b := connect(t, n.Host(ip(1), Link{}), n.Host(ip(2), Link{Latency: 10 * time.Millisecond}))
		_, _ = a.Write([]byte("unread"))
		time.Sleep(time.Second)
		_, _ = b.Write([]byte("bye"))
		time.Sleep(time.Millisecond)
		b.Close()
		got := make([]byte, 10)
		if k, err := a.Read(got); string(got[:k]) != "bye" || err != nil {
			t.Errorf("%q, %v", got[:k], err)
		}
		if _, err := a.Read(got); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCloseEndsWaitingCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{Window: 10})
		a, b := connect(t, n.Host(ip(1), Link{}), n.Host(ip(2), Link{}))
		defer b.Close()
		errs := make(chan error, 3)
		go func() { _, err := a.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := a.Write(make([]byte, 100)); errs <- err }()
		go func() { _, err := a.Write(make([]byte, 100)); errs <- err }()
		synctest.Wait()
		a.Close()
		for range 3 {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
		if err := a.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
	})
}

// TestTimersComeBeforeEvents checks that with Lockstep a goroutine that a timer starts at the
// moment of an event has blocked before the event happens.
func TestTimersComeBeforeEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{Seed: 1, Lockstep: true})
		link := Link{Latency: time.Millisecond}
		a, b := connect(t, n.Host(ip(1), link), n.Host(ip(2), link))
		for range 10 {
			const way = 2*time.Millisecond + 1 // Write takes effect one nanosecond later
			start := time.Now()
			var fired time.Time
			var ended atomic.Bool
			time.AfterFunc(way, func() {
				fired = time.Now()
				for range 1000 {
					runtime.Gosched() // try to let the event overtake
				}
				ended.Store(true)
			})
			_, _ = a.Write([]byte{1})
			if _, err := b.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if !ended.Load() {
				t.Fatal("the event did not wait for the goroutine of the timer")
			}
			if now := time.Now(); !now.Equal(fired) {
				t.Fatalf("the timer fired after %v and the event happened after %v", fired.Sub(start), now.Sub(start))
			}
		}
	})
}

// TestTurnsFixTheOrderOfGoroutines checks that with Lockstep a goroutine starts only after
// the goroutine that started it has blocked, and that goroutines start in the same order in
// every run.
func TestTurnsFixTheOrderOfGoroutines(t *testing.T) {
	play := func() (began []int) {
		bubble(t, func(t *testing.T) {
			n := New(Options{Seed: 1, Lockstep: true})
			var hosts []*Host
			for i := range 4 {
				hosts = append(hosts, n.Host(ip(1+i), Link{}))
			}
			var mu sync.Mutex
			began = nil
			note := func(who int) {
				mu.Lock()
				began = append(began, who)
				mu.Unlock()
			}
			var all sync.WaitGroup
			for i := range 8 {
				wait := hosts[i%4].Turn()
				all.Go(func() {
					wait()
					for range 100 {
						runtime.Gosched() // try to let the next goroutines overtake
					}
					note(i)
				})
			}
			for range 1000 {
				runtime.Gosched()
			}
			note(-1)
			all.Wait()
		})
		return began
	}
	first := play()
	if len(first) != 9 || first[0] != -1 {
		t.Fatalf("they began in the order %v", first)
	}
	for range 10 {
		if again := play(); !slices.Equal(again, first) {
			t.Fatalf("they began in the order %v and in %v", first, again)
		}
	}
}

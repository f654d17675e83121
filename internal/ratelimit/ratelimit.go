// Package ratelimit limits the rate of bytes of many connections together.
//
// A [Limiter] is a token bucket with a queue before it. Who waits is served in
// the order of arrival, a quantum at a time, so that connections that move large
// batches and connections that move single blocks get equal shares.
package ratelimit

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// block is what one turn in the queue is worth at least: the 16 KiB that a
	// request asks for (BEP 3).
	block = 16 << 10
	// burstTime bounds what an idle limiter saves up. It also covers the delay of
	// timers under load.
	burstTime = 50 * time.Millisecond
	// minSleep keeps fast limits from arming a timer for every block; what
	// accumulates meanwhile stays well below burstTime.
	minSleep = time.Millisecond
	// turnTime is the time that one turn takes on fast limits.
	turnTime = 2 * time.Millisecond
	// laterTurns is the number of turns of which one is for those who come later.
	laterTurns = 10
	// leastBatch and batchesLow make batches of a low limit a 64th of a second.
	leastBatch = 1 << 10
	batchesLow = 64
)

// ErrRate is the cause when a rate is negative.
var ErrRate = errors.New("negative rate")

// Limiter lets a number of bytes a second pass. It is safe for use by any number
// of goroutines. A nil *Limiter limits nothing.
type Limiter struct {
	rate atomic.Int64 // bytes a second; 0: unlimited. Written under mu.

	mu     sync.Mutex
	tokens float64   // bytes that may pass now; never negative
	last   time.Time // when tokens was right
	queue  queue
	later  queue       // of WaitLater
	passed int         // turns of queue since the last one of later
	timer  *time.Timer // runs pump; nil until something waited
}

// New returns a limiter of bytesPerSecond, 0 for none. It panics when the rate is
// negative: rates that a user gave are checked where they are read.
func New(bytesPerSecond int64) *Limiter {
	l := &Limiter{}
	l.SetRate(bytesPerSecond)
	return l
}

// Rate returns the limit in bytes a second; 0 is none.
func (l *Limiter) Rate() int64 {
	if l == nil {
		return 0
	}
	return l.rate.Load()
}

// SetRate changes the limit, for those who wait too. Like New it panics when the
// rate is negative.
func (l *Limiter) SetRate(bytesPerSecond int64) {
	if bytesPerSecond < 0 {
		panic(ErrRate)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.refill(now)
	l.rate.Store(bytesPerSecond)
	l.tokens = min(l.tokens, l.burst())
	l.last = now
	l.serve()
}

// Batch is how many bytes one connection had better move at a time, at least 1 KiB,
// so that many of them do not overrun a low limit and a high one does not cost a
// call for each block. Without a limit it is as good as endless.
func (l *Limiter) Batch() int {
	rate := l.Rate()
	if rate == 0 {
		return math.MaxInt
	}
	low := max(leastBatch, min(block, rate/batchesLow))
	return int(max(low, int64(turnTime.Seconds()*float64(rate))))
}

// Take lets n bytes pass if they may at once and nobody waits, and reports
// whether it did. More than the burst, 50 ms of the rate or 16 KiB, never may.
func (l *Limiter) Take(n int) bool {
	if l == nil || l.rate.Load() == 0 || n <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take(n)
}

// take is Take with l.mu held.
func (l *Limiter) take(n int) bool {
	if l.rate.Load() == 0 {
		return true
	}
	if !l.queue.empty() || !l.later.empty() {
		return false
	}
	l.refill(time.Now())
	if l.tokens < float64(n) {
		return false
	}
	l.tokens -= float64(n)
	return true
}

// Wait returns when n bytes may pass, or with ctx's error when that is done
// first; then none of the n count. Without a limit it costs an atomic load.
func (l *Limiter) Wait(ctx context.Context, n int) error {
	if l == nil || l.rate.Load() == 0 || n <= 0 {
		return nil
	}
	return l.wait(ctx, n, &l.queue)
}

// WaitLater is Wait for those who come after the others: while others wait, they get one
// turn in ten, all together.
func (l *Limiter) WaitLater(ctx context.Context, n int) error {
	if l == nil || l.rate.Load() == 0 || n <= 0 {
		return nil
	}
	return l.wait(ctx, n, &l.later)
}

func (l *Limiter) wait(ctx context.Context, n int, q *queue) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if l.take(n) {
		l.mu.Unlock()
		return nil
	}
	w := &waiter{need: n, ready: make(chan struct{})}
	q.push(w)
	if q.head == w {
		l.serve()
	}
	l.mu.Unlock()

	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.need == 0 {
		return nil // it came through meanwhile
	}
	head := q.head == w
	q.remove(w)
	l.tokens = min(l.tokens+float64(n-w.need), l.burst())
	if head {
		l.serve()
	}
	return ctx.Err()
}

// GiveBack returns n bytes that were let pass and did not, to those who wait.
func (l *Limiter) GiveBack(n int) {
	if l == nil || l.rate.Load() == 0 || n <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill(time.Now())
	l.tokens = min(l.tokens+float64(n), l.burst())
	l.serve()
}

// refill adds what has come in since it was last called. The caller holds l.mu.
func (l *Limiter) refill(now time.Time) {
	if d := now.Sub(l.last); d > 0 {
		l.tokens = min(l.tokens+d.Seconds()*float64(l.rate.Load()), l.burst())
		l.last = now
	}
}

// burst is the most that may be saved up.
func (l *Limiter) burst() float64 {
	return max(burstTime.Seconds()*float64(l.rate.Load()), block)
}

// turn is what the head of the queue gets before the next has its turn.
func (l *Limiter) turn() int {
	return max(block, int(turnTime.Seconds()*float64(l.rate.Load())))
}

// serve hands out what there is and sets the timer for when there is more. The
// caller holds l.mu.
func (l *Limiter) serve() {
	if l.rate.Load() == 0 {
		for q := l.next(); q != nil; q = l.next() {
			q.pop().done()
		}
		return
	}
	l.refill(time.Now())
	for q := l.next(); q != nil; q = l.next() {
		w := q.head
		n := min(w.need, l.turn())
		if float64(n) > l.tokens {
			l.arm(float64(n) - l.tokens)
			return
		}
		l.tokens -= float64(n)
		w.need -= n
		q.pop()
		if w.need == 0 {
			w.done()
		} else {
			q.push(w)
		}
		if l.passed++; q == &l.later {
			l.passed = 0
		}
	}
}

// next returns the queue whose turn it is, or nil if nobody waits.
func (l *Limiter) next() *queue {
	switch {
	case !l.later.empty() && (l.queue.empty() || l.passed >= laterTurns-1):
		return &l.later
	case !l.queue.empty():
		return &l.queue
	}
	return nil
}

// arm has pump called when missing bytes have come in.
func (l *Limiter) arm(missing float64) {
	d := time.Duration(math.MaxInt64)
	if ns := math.Ceil(missing / float64(l.rate.Load()) * 1e9); ns < math.MaxInt64 {
		d = max(time.Duration(ns), minSleep)
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(d, l.pump)
	} else {
		l.timer.Reset(d)
	}
}

// pump serves the queue when the timer says so.
func (l *Limiter) pump() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serve()
}

// waiter is one call of Wait. Its fields are guarded by Limiter.mu.
type waiter struct {
	need       int // bytes that are still to pass
	ready      chan struct{}
	next, prev *waiter
}

func (w *waiter) done() {
	w.need = 0
	close(w.ready)
}

// queue is a list of those who wait, the longest first.
type queue struct{ head, tail *waiter }

func (q *queue) empty() bool { return q.head == nil }

func (q *queue) push(w *waiter) {
	w.next, w.prev = nil, q.tail
	if q.tail != nil {
		q.tail.next = w
	} else {
		q.head = w
	}
	q.tail = w
}

func (q *queue) pop() *waiter {
	w := q.head
	q.remove(w)
	return w
}

func (q *queue) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.tail = w.prev
	}
	w.next, w.prev = nil, nil
}

// Package ratelimit limits the total rate in bytes per second of many connections.
//
// A [Limiter] is a token bucket with a queue for each priority of callers. Callers of the
// same priority are served in order of arrival, a limited number of bytes at a time. Connections that move
// large batches therefore get the same share as connections that move single blocks.
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
	// block is the minimum number of bytes granted for one turn in the queue: the 16
	// KiB of a request (BEP 3).
	block = 16 << 10
	// burstTime limits the bytes that an idle limiter accumulates. It is long enough for
	// timers that fire late on a busy machine.
	burstTime = 50 * time.Millisecond
	// lateTime limits the bytes that accumulate while callers wait, because the timer of a
	// busy machine fires late. Without it, such a machine would pass less than the limit.
	lateTime = 250 * time.Millisecond
	// minSleep is the shortest sleep. It prevents a timer for every block at high limits.
	// The bytes that accumulate in this time are far below the burst.
	minSleep = time.Millisecond
	// turnTime is the duration of one turn at high limits.
	turnTime = 2 * time.Millisecond
	// minBatch and slowBatches determine the batch at low limits: the bytes of 1/64 of a
	// second, but at least minBatch.
	minBatch    = 1 << 10
	slowBatches = 64
)

// ErrRate is the value that [New] and [Limiter.SetRate] panic with if the rate is
// negative.
var ErrRate = errors.New("negative rate")

// Limiter lets a limited number of bytes per second pass. It is safe for concurrent
// use. A nil *Limiter does not limit.
type Limiter struct {
	rate atomic.Int64 // bytes per second; 0 is unlimited. Written with mu held.

	mu     sync.Mutex
	tokens float64   // bytes that may pass now; never negative
	last   time.Time // when tokens was updated
	class  [priorities]class
	shares shares
	timer  *time.Timer // calls onTimer; nil until a caller has waited
}

// New returns a limiter for bytesPerSecond; 0 is unlimited. It panics if bytesPerSecond
// is negative, so callers must check the input of users.
func New(bytesPerSecond int64) *Limiter {
	l := &Limiter{}
	for k, floor := range floors {
		l.class[k].part = floor
	}
	l.SetRate(bytesPerSecond)
	return l
}

// Rate returns the limit in bytes per second; 0 is unlimited.
func (l *Limiter) Rate() int64 {
	if l == nil {
		return 0
	}
	return l.rate.Load()
}

// SetRate changes the limit. It also applies to waiting callers. SetRate panics if
// bytesPerSecond is negative.
func (l *Limiter) SetRate(bytesPerSecond int64) {
	if bytesPerSecond < 0 {
		panic(ErrRate)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.refill(now)
	if l.Rate() == 0 {
		l.shares = shares{start: now}
	}
	l.rate.Store(bytesPerSecond)
	l.tokens = min(l.tokens, l.burst())
	l.last = now
	l.serve()
}

// Batch returns the number of bytes that one connection should move at a time, at least
// 1 KiB. It is small at low limits, so that many connections do not exceed the limit,
// and large at high limits, so that not every block costs a call. Without a limit it is
// math.MaxInt.
func (l *Limiter) Batch() int {
	rate := l.Rate()
	if rate == 0 {
		return math.MaxInt
	}
	low := max(minBatch, min(block, rate/slowBatches))
	return int(max(low, int64(turnTime.Seconds()*float64(rate))))
}

// Waiting reports whether callers wait because of the limit.
func (l *Limiter) Waiting() bool {
	if l.Rate() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill(time.Now())
	_, waiting := l.next()
	return waiting
}

// Take lets n bytes pass if they can pass without waiting and no caller waits. It reports
// whether they passed. It always returns false if n exceeds the burst, which is the larger
// of 16 KiB and the bytes of 50 ms.
func (l *Limiter) Take(n int) bool {
	if l == nil || l.rate.Load() == 0 || n <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take(n, normal)
}

// take is like Take. The caller holds l.mu.
func (l *Limiter) take(n int, k priority) bool {
	if l.rate.Load() == 0 {
		return true
	}
	l.refill(time.Now())
	l.class[k].used = l.last
	if _, waiting := l.next(); waiting || !l.class[k].empty() || !l.may(k, n) || l.tokens < float64(n) {
		return false
	}
	l.pass(k, n)
	return true
}

// pass counts n bytes of a priority.
func (l *Limiter) pass(k priority, n int) {
	l.tokens -= float64(n)
	l.class[k].tokens = max(0, l.class[k].tokens-float64(n))
}

// Wait blocks until n bytes may pass. If ctx is done first it returns the error of ctx,
// and none of the bytes count. Without a limit it only reads an atomic variable.
func (l *Limiter) Wait(ctx context.Context, n int) error { return l.wait(ctx, n, normal) }

// WaitFirst is like Wait with a higher priority. While callers of WaitFirst wait, all callers of
// Wait together get at least a fifth of the limit.
func (l *Limiter) WaitFirst(ctx context.Context, n int) error { return l.wait(ctx, n, first) }

// WaitLater is like Wait with a lower priority. While others wait, all callers of WaitLater
// together get at least a tenth of the limit.
func (l *Limiter) WaitLater(ctx context.Context, n int) error { return l.wait(ctx, n, later) }

// WaitLast is like Wait with the lowest priority. While others wait, all callers of WaitLast together
// get at least a twentieth of the limit.
func (l *Limiter) WaitLast(ctx context.Context, n int) error { return l.wait(ctx, n, last) }

func (l *Limiter) wait(ctx context.Context, n int, k priority) error {
	if l == nil || l.rate.Load() == 0 || n <= 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if l.take(n, k) {
		l.mu.Unlock()
		return nil
	}
	w := &waiter{need: n, ready: make(chan struct{})}
	q := &l.class[k].queue
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
		return nil // the bytes were granted meanwhile
	}
	head := q.head == w
	q.remove(w)
	l.tokens = min(l.tokens+float64(n-w.need), l.burst())
	if head {
		l.serve()
	}
	return ctx.Err()
}

// GiveBack returns n bytes that Wait granted and that were not used. Other callers can then
// use them.
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

// refill adds the tokens since its last call. The caller holds l.mu.
func (l *Limiter) refill(now time.Time) {
	d := now.Sub(l.last)
	if d <= 0 {
		return
	}
	sum, burst := l.tokens+d.Seconds()*float64(l.rate.Load()), l.burst()
	l.tokens, l.last = min(sum, burst), now
	l.share(d, max(0, sum-burst))
}

// burst returns the number of tokens that can accumulate.
func (l *Limiter) burst() float64 {
	if _, waiting := l.next(); waiting {
		return l.burstOf(lateTime)
	}
	return l.burstOf(burstTime)
}

func (l *Limiter) burstOf(d time.Duration) float64 {
	return max(d.Seconds()*float64(l.rate.Load()), block)
}

// turn returns the number of bytes that the first waiter gets before the next one.
func (l *Limiter) turn() int {
	return max(block, int(turnTime.Seconds()*float64(l.rate.Load())))
}

// serve distributes the tokens to the waiters and sets the timer if some have to wait
// longer. The caller holds l.mu.
func (l *Limiter) serve() {
	if l.rate.Load() == 0 {
		for k := range l.class {
			for q := &l.class[k].queue; !q.empty(); {
				q.pop().done()
			}
		}
		return
	}
	l.refill(time.Now())
	for k, waiting := l.next(); waiting; k, waiting = l.next() {
		q := &l.class[k].queue
		w := q.head
		n := min(w.need, l.turn())
		if float64(n) > l.tokens {
			l.arm(float64(n) - l.tokens)
			return
		}
		l.pass(k, n)
		l.class[k].used = l.last
		w.need -= n
		q.pop()
		if w.need == 0 {
			w.done()
		} else {
			q.push(w)
		}
	}
	l.armForPart()
}

// next returns the priority whose turn it is. It returns false if no caller waits, or only
// callers that have used up their part.
func (l *Limiter) next() (k priority, waiting bool) {
	for k := priorities; k > first; {
		k--
		if w := l.class[k].head; w != nil && l.may(k, min(w.need, l.turn())) {
			return k, true
		}
	}
	return first, false
}

// arm sets the timer to the time when the missing tokens are available.
func (l *Limiter) arm(missing float64) {
	d := time.Duration(math.MaxInt64)
	if ns := math.Ceil(missing / float64(l.rate.Load()) * 1e9); ns < math.MaxInt64 {
		d = max(time.Duration(ns), minSleep)
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(d, l.onTimer)
	} else {
		l.timer.Reset(d)
	}
}

// onTimer serves the queue.
func (l *Limiter) onTimer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serve()
}

// waiter is one call of Wait. Limiter.mu guards its fields.
type waiter struct {
	need       int // number of bytes that must still pass
	ready      chan struct{}
	next, prev *waiter
}

// done ends the call of Wait.
func (w *waiter) done() {
	w.need = 0
	close(w.ready)
}

// queue is a list of waiters in order of arrival.
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

package simnet

import (
	"math"
	"testing/synctest"
	"time"
)

// event is something that happens at a certain time. Events of the same time happen in
// the order of key, which depends only on addresses, and then of seq.
type event struct {
	at    int64 // nanoseconds after the network's epoch
	key   uint64
	seq   uint64
	do    func(*event)
	flow  *flow
	dial  *dial
	queue *flowQueue
	size  int
}

func (e *event) before(f *event) bool {
	if e.at != f.at {
		return e.at < f.at
	}
	if e.key != f.key {
		return e.key < f.key
	}
	return e.seq < f.seq
}

// clock returns the current time in nanoseconds after the epoch. While an event runs it
// is the time of the event.
func (n *Network) clock() int64 {
	if n.running {
		return n.now
	}
	return max(int64(time.Since(n.epoch)), n.now)
}

// schedule adds an event that happens after the given number of nanoseconds.
func (n *Network) schedule(after int64, e event) {
	e.at = n.clock() + after
	n.seq++
	e.seq = n.seq
	n.events.push(e)
	if !n.running {
		n.arm()
	}
}

// arm sets the timer to the end of the tick in which the first event happens.
func (n *Network) arm() {
	if len(n.events) == 0 || n.events[0].at >= n.armed {
		return
	}
	tick := int64(n.opts.Tick)
	at := (n.events[0].at + tick - 1) / tick * tick
	if n.opts.Lockstep {
		at = max(at, int64(time.Since(n.epoch))+1)
	}
	if at >= n.armed {
		return
	}
	n.armed = at
	d := time.Duration(n.armed) - time.Since(n.epoch)
	if n.timer == nil {
		n.timer = time.AfterFunc(d, n.run)
	} else {
		n.timer.Reset(d)
	}
}

// run runs the events that are due. With Lockstep it first waits until the goroutines are
// blocked that other timers have woken at this moment.
func (n *Network) run() {
	if n.opts.Lockstep {
		synctest.Wait()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	until := int64(time.Since(n.epoch))
	n.armed = math.MaxInt64
	n.running, n.woke = true, false
	for len(n.events) > 0 && n.events[0].at <= until && !(n.woke && n.opts.Lockstep) {
		e := n.events.pop()
		n.now = e.at
		e.do(&e)
	}
	n.running = false
	n.arm()
}

// eventHeap is a heap with the first event at index 0.
type eventHeap []event

func (h *eventHeap) push(e event) {
	s := append(*h, e)
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !s[i].before(&s[up]) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
	*h = s
}

func (h *eventHeap) pop() event {
	s := *h
	e := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s[last] = event{}
	s = s[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= len(s) {
			break
		}
		if r := down + 1; r < len(s) && s[r].before(&s[down]) {
			down = r
		}
		if !s[down].before(&s[i]) {
			break
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
	*h = s
	return e
}

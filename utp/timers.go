package utp

import (
	"container/heap"
	"sync"
	"time"
)

// timers calls connections when they have something to do. One timer of the system serves all
// connections of a Socket. A connection whose time moves to a later one keeps its place, is
// looked at once in vain, and is put back: so the many ACKs that move a timeout cost nothing.
type timers struct {
	now  func() time.Duration
	mu   sync.Mutex // guards the fields below, and Conn.heapAt
	heap timerHeap
	// timer fires when the first connection of the heap is due.
	timer  *time.Timer
	armed  time.Duration // when timer fires; never if it is stopped
	closed bool
}

// timerHeap is a heap of connections by the time at which they are due.
type timerHeap []*Conn

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].wakeAt.Load() < h[j].wakeAt.Load() }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapAt, h[j].heapAt = i, j
}
func (h *timerHeap) Push(x any) {
	c := x.(*Conn)
	c.heapAt = len(*h)
	*h = append(*h, c)
}
func (h *timerHeap) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	c.heapAt = -1
	return c
}

// schedule makes sure that c is called when at has come.
func (t *timers) schedule(c *Conn, at time.Duration) {
	if int64(at) >= c.wakeAt.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	c.wakeAt.Store(int64(at))
	if c.heapAt < 0 {
		heap.Push(&t.heap, c)
	} else {
		heap.Fix(&t.heap, c.heapAt)
	}
	t.arm()
}

// remove makes sure that c is not called any more.
func (t *timers) remove(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.heapAt >= 0 {
		heap.Remove(&t.heap, c.heapAt)
	}
}

// arm sets the timer for the first connection.
func (t *timers) arm() {
	if len(t.heap) == 0 {
		return
	}
	at := time.Duration(t.heap[0].wakeAt.Load())
	if at >= t.armed {
		return
	}
	t.armed = at
	if d := at - t.now(); t.timer == nil {
		t.timer = time.AfterFunc(d, t.fire)
	} else {
		t.timer.Reset(d)
	}
}

// fire calls the connections that are due.
func (t *timers) fire() {
	for c := t.due(); c != nil; c = t.due() {
		c.tick()
	}
}

// due removes and returns a connection that is due. If there is none, it sets the timer and
// returns nil.
func (t *timers) due() *Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.heap) == 0 || t.closed {
		t.armed = never
		return nil
	}
	if t.heap[0].wakeAt.Load() > int64(t.now()) {
		t.armed = never
		t.arm()
		return nil
	}
	c := heap.Pop(&t.heap).(*Conn)
	c.wakeAt.Store(int64(never))
	return c
}

// close stops the timer.
func (t *timers) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed, t.heap = true, nil
	if t.timer != nil {
		t.timer.Stop()
	}
}

package simnet

import "container/heap"

// The size of a chunk, which a link sends at once: 10 ms of its rate, within limits.
const (
	minQuantum = 4 << 10
	maxQuantum = 64 << 10
)

// fairQueue is one direction of a link. It shares the rate among the connections that
// have bytes to send, by fair queueing. Each chunk has a start tag: the end of the
// connection's previous chunk or the current position of the link, whichever is later.
// The chunk that would end first is sent first. All waiting connections therefore get
// equal shares, and a short message of an idle connection does not wait for the bulk
// data of others.
type fairQueue struct {
	host    *Host
	rate    int64 // rate in bytes per second; 0 means unlimited
	busy    bool
	rest    int64 // remainder of the last division, so that the rate is exact over time
	virtual int64 // start tag of the chunk that is being sent, in bytes
	queue   flowHeap
	forward func(*flow, int) // receives the bytes that were sent
}

// flowQueue holds the bytes of one flow that wait at one fairQueue.
type flowQueue struct {
	flow    *flow
	parent  *fairQueue
	backlog int   // bytes that wait or are being sent
	start   int64 // start tag of the next chunk, in bytes
	end     int64 // end tag of the next chunk, which determines the order
	finish  int64 // end tag of the last chunk that was sent
	active  bool  // waits or is being sent
}

// setRate changes the rate. The chunk that is being sent is not affected.
func (s *fairQueue) setRate(rate int64) {
	s.rate, s.rest = rate, 0
	s.serve()
}

// offer adds bytes of a flow.
func (s *fairQueue) offer(l *flowQueue, size int) {
	if s.rate == 0 && !s.busy {
		s.forward(l.flow, size)
		return
	}
	l.backlog += size
	if !l.active {
		l.active, l.parent = true, s
		l.start = max(s.virtual, l.finish)
		s.enqueue(l)
	}
	s.serve()
}

func (s *fairQueue) enqueue(l *flowQueue) {
	l.end = l.start + int64(min(l.backlog, s.quantum()))
	heap.Push(&s.queue, l)
}

// serve starts to send the next chunk unless a chunk is being sent.
func (s *fairQueue) serve() {
	for !s.busy && len(s.queue) > 0 {
		l := heap.Pop(&s.queue).(*flowQueue)
		if l.backlog == 0 || l.flow.stall(l) {
			l.active = false
			continue
		}
		s.virtual = l.start
		if s.rate == 0 {
			size := l.backlog
			l.backlog, l.active = 0, false
			l.finish = l.start + int64(size)
			s.forward(l.flow, size)
			continue
		}
		size := min(l.backlog, s.quantum())
		n := int64(size)*1e9 + s.rest
		s.rest = n % s.rate
		s.busy = true
		s.host.net.schedule(n/s.rate, event{
			key: l.flow.key, queue: l, size: size,
			do: func(e *event) { e.queue.parent.served(e.queue, e.size) },
		})
	}
}

// served handles the end of a chunk.
func (s *fairQueue) served(l *flowQueue, size int) {
	s.busy = false
	size = min(size, l.backlog) // less if the connection broke
	l.backlog -= size
	l.finish = l.start + int64(size)
	if l.backlog > 0 {
		l.start = l.finish
		s.enqueue(l)
	} else {
		l.active = false
	}
	if size > 0 {
		s.forward(l.flow, size)
	}
	s.serve()
}

func (s *fairQueue) quantum() int {
	return int(min(max(s.rate/100, minQuantum), maxQuantum))
}

// flowHeap is a heap with the flow whose chunk ends first at index 0.
type flowHeap []*flowQueue

func (h flowHeap) Len() int { return len(h) }
func (h flowHeap) Less(i, j int) bool {
	if h[i].end != h[j].end {
		return h[i].end < h[j].end
	}
	return h[i].flow.key < h[j].flow.key
}
func (h flowHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *flowHeap) Push(x any)   { *h = append(*h, x.(*flowQueue)) }
func (h *flowHeap) Pop() any {
	s := *h
	l := s[len(s)-1]
	s[len(s)-1] = nil
	*h = s[:len(s)-1]
	return l
}

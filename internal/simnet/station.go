package simnet

import "container/heap"

// The size of what a link moves at once: 10 ms of its rate, within limits.
const (
	minQuantum = 4 << 10
	maxQuantum = 64 << 10
)

// station is one direction of a link. It serves the connections that have bytes
// for it in turns, by fair queueing: each chunk has a start tag, where the
// connection's last chunk ended or the link is now, and the chunk that would end
// first goes first. So all that wait get equal shares, and a short message of a
// connection that had nothing to send is not delayed by the others' bulk.
type station struct {
	host    *Host
	rate    int64 // bytes a second; 0: no limit
	busy    bool
	rest    int64 // of the last division, to be exact in the long run
	virtual int64 // start tag of what is in service, in bytes
	queue   legHeap
	forward func(*flow, int) // where bytes go that were served
}

// leg is what one connection has at one station.
type leg struct {
	flow    *flow
	at      *station
	backlog int   // bytes that wait or are in service
	start   int64 // tag, in bytes
	end     int64 // tag of the end of the next chunk, for the order
	finish  int64 // tag of what was served last
	active  bool  // in the queue or in service
}

// setRate changes the rate. What is in service ends as it began.
func (s *station) setRate(rate int64) {
	s.rate, s.rest = rate, 0
	s.serve()
}

// offer adds bytes of a connection.
func (s *station) offer(l *leg, size int) {
	if s.rate == 0 && !s.busy {
		s.forward(l.flow, size)
		return
	}
	l.backlog += size
	if !l.active {
		l.active, l.at = true, s
		l.start = max(s.virtual, l.finish)
		s.enqueue(l)
	}
	s.serve()
}

func (s *station) enqueue(l *leg) {
	l.end = l.start + int64(min(l.backlog, s.quantum()))
	heap.Push(&s.queue, l)
}

// serve begins with the next chunk unless one is in service.
func (s *station) serve() {
	for !s.busy && len(s.queue) > 0 {
		l := heap.Pop(&s.queue).(*leg)
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
			key: l.flow.key, leg: l, size: size,
			do: func(e *event) { e.leg.at.served(e.leg, e.size) },
		})
	}
}

// served ends a chunk's service.
func (s *station) served(l *leg, size int) {
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

func (s *station) quantum() int {
	return int(min(max(s.rate/100, minQuantum), maxQuantum))
}

// legHeap has the leg whose chunk ends first at 0.
type legHeap []*leg

func (h legHeap) Len() int { return len(h) }
func (h legHeap) Less(i, j int) bool {
	if h[i].end != h[j].end {
		return h[i].end < h[j].end
	}
	return h[i].flow.key < h[j].flow.key
}
func (h legHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *legHeap) Push(x any)   { *h = append(*h, x.(*leg)) }
func (h *legHeap) Pop() any {
	s := *h
	l := s[len(s)-1]
	s[len(s)-1] = nil
	*h = s[:len(s)-1]
	return l
}

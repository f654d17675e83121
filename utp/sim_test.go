package utp

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// sim is a deterministic simulation: events in the order of their times.
type sim struct {
	now    time.Duration
	events eventHeap
	seq    int
	rng    *rand.Rand
}

type event struct {
	at  time.Duration
	seq int
	f   func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

func newSim(seed uint64) *sim {
	return &sim{now: time.Second, rng: rand.New(rand.NewPCG(seed, 1))}
}

// after calls f after d.
func (s *sim) after(d time.Duration, f func()) {
	s.seq++
	heap.Push(&s.events, event{s.now + d, s.seq, f})
}

// run runs the simulation for d, or until stop returns true.
func (s *sim) run(d time.Duration, stop func() bool) {
	end := s.now + d
	for len(s.events) > 0 && s.events[0].at <= end {
		if stop != nil && stop() {
			return
		}
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		e.f()
	}
	s.now = max(s.now, end)
}

// link is one direction of a path: a bottleneck with a queue, then a delay.
type link struct {
	s          *sim
	rate       float64       // bytes a second; 0 means no bottleneck
	buffer     int           // bytes that the queue holds
	delay      time.Duration // after the bottleneck
	loss       float64
	double     float64       // the part of packets that arrive twice
	jitter     time.Duration // a random delay up to it, which reorders
	mtu        int           // larger packets vanish; 0 means none do
	busy       time.Duration // when the bottleneck has sent all that it holds
	carried    int           // bytes that passed
	dropped    int           // packets that did not fit in the queue
	fragmented int           // packets that were fragmented
}

// queue returns the delay of the queue.
func (l *link) queue() time.Duration { return max(l.busy-l.s.now, 0) }

// send carries a packet of n bytes and calls f when it arrives. It returns false if the packet is
// lost.
func (l *link) send(n int, f func()) bool { return l.sendIn(n, false, f) }

// sendIn is like send, in fragments if the packet may be fragmented.
func (l *link) sendIn(n int, fragments bool, f func()) bool {
	if l.mtu > 0 && n > l.mtu {
		if !fragments {
			return false
		}
		l.fragmented++
	}
	if l.s.rng.Float64() < l.loss {
		return false
	}
	wait := time.Duration(0)
	if l.rate > 0 {
		wire := n + 28
		q := l.queue()
		if int(q.Seconds()*l.rate)+wire > l.buffer {
			l.dropped++
			return false
		}
		l.busy = max(l.busy, l.s.now) + time.Duration(float64(wire)/l.rate*1e9)
		wait = l.queue()
	}
	l.carried += n
	copies := 1
	if l.s.rng.Float64() < l.double {
		copies = 2
	}
	for range copies {
		d := wait + l.delay
		if l.jitter > 0 {
			d += time.Duration(l.s.rng.Int64N(int64(l.jitter)))
		}
		l.s.after(d, f)
	}
	return true
}

// endpoint drives one machine in a simulation.
type endpoint struct {
	s      *sim
	m      *machine
	out    *link
	peer   *endpoint
	clock  time.Duration // is added to the time that the machine sees
	wakeAt time.Duration
	onWake func() // called after each event of the machine
	sent   int    // packets
}

func (e *endpoint) now() time.Duration { return e.s.now + e.clock }

func (e *endpoint) handle(b []byte) {
	var h header
	if !parse(&h, b) {
		return
	}
	if e.m.state == ended && h.kind == stFin { // a Socket answers in place of the connection
		r := header{kind: stState, id: e.m.sendID, seq: h.ack + 1, ack: h.seq}
		var buf [headerLen]byte
		r.put(buf[:])
		e.out.send(headerLen, func() { e.peer.handle(buf[:]) })
		return
	}
	e.m.handle(e.now(), &h)
	e.flush()
}

func (e *endpoint) flush() {
	if e.onWake != nil {
		e.onWake()
	}
	for b := e.m.next(e.now()); b != nil; b = e.m.next(e.now()) {
		e.sent++
		over := e.m.inPieces
		b := append([]byte(nil), b...)
		e.out.sendIn(len(b), over, func() { e.peer.handle(b) })
	}
	d := e.m.deadline()
	if d == never {
		return
	}
	at := max(d-e.clock, e.s.now)
	if e.wakeAt > e.s.now && e.wakeAt <= at {
		return
	}
	e.wakeAt = at
	e.s.after(at-e.s.now, func() {
		if e.wakeAt == at {
			e.wakeAt = 0
			e.m.timeout(e.now())
			e.flush()
		}
	})
}

// pair returns two endpoints, of which a dials b, over the given links.
func pair(s *sim, there, back *link) (a, b *endpoint) {
	var o Options
	if err := o.set(); err != nil {
		panic(err)
	}
	id, syn, seq := uint16(s.rng.Uint32()), uint16(s.rng.Uint32()), uint16(s.rng.Uint32())
	a = &endpoint{s: s, out: there, m: newDialer(&o, s.now, id, syn, maxMTU4)}
	b = &endpoint{s: s, out: back, m: newAcceptor(&o, s.now, id, syn, proof{seq: seq - syn, clock: 1<<32 - 1<<21}, maxMTU4)}
	a.peer, b.peer = b, a
	// The answer to the SYN, which a Socket sends.
	h := header{kind: stState, id: id, seq: seq, ack: syn, window: 1 << 20, timestamp: 1}
	var buf [headerLen]byte
	h.put(buf[:])
	a.m.next(s.now)
	s.after(there.delay+back.delay, func() { a.handle(buf[:]) })
	return a, b
}

// bulk makes e write all the time, and its peer read all.
func bulk(e *endpoint) (received *int) {
	data := make([]byte, 64<<10)
	e.onWake = func() {
		for e.m.state == open && e.m.write(e.now(), data) > 0 {
		}
	}
	return drain(e.peer)
}

// drain makes e read all.
func drain(e *endpoint) (received *int) {
	received = new(int)
	buf := make([]byte, 64<<10)
	e.onWake = func() {
		for {
			n := e.m.r.read(buf)
			if n == 0 {
				return
			}
			*received += n
		}
	}
	return received
}

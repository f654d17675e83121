package simnet

import "math/rand/v2"

// segmentSize is the size of a buffer segment in bytes.
const segmentSize = 16 << 10

// maxFree limits the segments that are kept for reuse.
const maxFree = 4096

type segment [segmentSize]byte

// flow is one direction of a connection: a stream of bytes from its writer to its reader.
// Each byte passes these states: written, waiting for the uplink, in transit, waiting for
// the downlink, ready to be read, and read.
type flow struct {
	net    *Network
	key    uint64 // determines the order of events at the same time
	w, r   *Conn
	jitter rand.PCG

	segs     []*segment // buffers of the bytes that were written and not read
	from, to int        // start in the first and end in the last segment
	held     int        // number of bytes in segs
	pending  int        // bytes that were written and not yet passed to the uplink
	ready    int        // bytes that can be read
	stalled  int        // bytes that arrived while the path was cut
	inAir    int
	lastAt   int64 // when the last chunk arrives

	up, down flowQueue
	begin    bool // an event will pass the pending bytes to the uplink
	waking   bool // an event will wake the writer
	closing  bool // the writer has finished: send FIN after the last byte
	finSent  bool
	finHere  bool
	rst      bool // send a reset to the reader when the path is restored
	mute     bool // the writer's end is broken: send nothing more
	dead     bool // the reader's end is broken: deliver nothing more
}

func (f *flow) init(n *Network, w, r *Conn, key uint64) {
	f.net, f.w, f.r, f.key = n, w, r, key
	f.up.flow, f.down.flow = f, f
	f.jitter.Seed(n.opts.Seed, key)
}

// write copies as much of p as fits into the window, and sends it.
func (f *flow) write(p []byte) int {
	p = p[:min(len(p), f.net.opts.Window-f.held)]
	n := len(p)
	for len(p) > 0 {
		if len(f.segs) == 0 || f.to == segmentSize {
			f.segs = append(f.segs, f.net.newSegment())
			f.to = 0
		}
		k := copy(f.segs[len(f.segs)-1][f.to:], p)
		f.to += k
		p = p[k:]
	}
	f.held += n
	f.pending += n
	f.kick()
	return n
}

// take removes n ready bytes from the flow and copies them to p, unless p is nil.
func (f *flow) take(p []byte, n int) {
	f.held -= n
	for n > 0 {
		end := segmentSize
		if len(f.segs) == 1 {
			end = f.to
		}
		k := min(n, end-f.from)
		if p != nil {
			copy(p, f.segs[0][f.from:f.from+k])
			p = p[k:]
		}
		f.from += k
		n -= k
		if f.from == end && (end == segmentSize || f.held == 0) {
			f.net.freeSegment(f.segs[0])
			f.segs[0] = nil
			f.segs = f.segs[1:]
			f.from = 0
		}
	}
	if f.held == 0 {
		f.segs, f.to = nil, 0
	}
}

// wakeWriter wakes the writer because the window has space. With Lockstep it waits
// until the reader has read everything that it reads at this moment.
func (f *flow) wakeWriter() {
	switch {
	case !f.net.opts.Lockstep:
		f.w.wcond.Broadcast()
	case !f.waking:
		f.waking = true
		f.net.schedule(1, event{key: f.key, flow: f, do: func(e *event) {
			e.flow.waking = false
			e.flow.net.woke = true
			e.flow.w.wcond.Broadcast()
		}})
	}
}

// kick schedules an event for data or a FIN that was added at this moment.
func (f *flow) kick() {
	if f.begin || f.dead || f.mute {
		return
	}
	f.begin = true
	f.net.schedule(1, event{key: f.key, flow: f, do: func(e *event) { e.flow.start() }})
}

// start passes the pending bytes to the uplink.
func (f *flow) start() {
	f.begin = false
	if f.dead || f.mute || f.net.blocked(f.w.host, f.r.host) {
		return // if the path is blocked, resume calls kick again
	}
	if n := f.pending; n > 0 {
		f.pending = 0
		if f.w.host == f.r.host {
			f.inAir += n
			f.arrived(n)
		} else {
			f.w.host.up.offer(&f.up, n)
		}
	}
	f.finish()
}

// stall takes the bytes back from a link if the path is cut, and reports whether the
// link must not send them.
func (f *flow) stall(l *flowQueue) bool {
	if f.dead || !f.net.blocked(f.w.host, f.r.host) {
		return f.dead
	}
	if l == &f.up {
		f.pending += l.backlog
	} else {
		f.stalled += l.backlog
	}
	l.backlog = 0
	return true
}

// resume continues after the path was restored.
func (f *flow) resume() {
	if f.dead || f.net.blocked(f.w.host, f.r.host) {
		return
	}
	if f.stalled > 0 {
		n := f.stalled
		f.stalled = 0
		f.inAir += n
		f.fly(n)
	}
	if f.rst {
		f.rst = false
		f.reset()
	}
	f.kick()
}

// leftUp handles bytes that have left the uplink.
func (f *flow) leftUp(n int) {
	f.w.host.sent += int64(n)
	f.inAir += n
	f.fly(n)
	f.finish()
}

// fly makes n bytes arrive after the delay, but not before earlier bytes.
func (f *flow) fly(n int) {
	now := f.net.clock()
	f.lastAt = max(now+f.net.delay(f.w.host, f.r.host, &f.jitter), f.lastAt)
	f.net.schedule(f.lastAt-now, event{key: f.key, flow: f, size: n, do: func(e *event) { e.flow.arrived(e.size) }})
}

// arrived passes bytes to the downlink.
func (f *flow) arrived(n int) {
	f.inAir -= n
	switch {
	case f.dead:
	case f.w.host == f.r.host:
		f.leftDown(n)
	case f.net.blocked(f.w.host, f.r.host):
		f.stalled += n
	default:
		f.r.host.down.offer(&f.down, n)
	}
}

// leftDown delivers bytes to the reader.
func (f *flow) leftDown(n int) {
	if f.dead {
		return
	}
	f.r.host.received += int64(n)
	if f.r.closed {
		// Data for a closed end is answered with a reset.
		f.take(nil, n)
		f.r.sendReset()
		f.r.abort(errReset)
		return
	}
	f.ready += n
	f.net.woke = true
	f.r.rcond.Broadcast()
}

// finish sends the FIN once the last byte has left.
func (f *flow) finish() {
	if !f.closing || f.finSent || f.dead || f.mute || f.pending > 0 || f.up.backlog > 0 || f.stalled > 0 || f.net.blocked(f.w.host, f.r.host) {
		return
	}
	f.finSent = true
	now := f.net.clock()
	f.lastAt = max(now+f.net.delay(f.w.host, f.r.host, &f.jitter), f.lastAt)
	f.net.schedule(f.lastAt-now, event{key: f.key, flow: f, do: func(e *event) { e.flow.fin() }})
}

// fin handles the arrival of the FIN.
func (f *flow) fin() {
	switch {
	case f.dead:
	case f.net.blocked(f.w.host, f.r.host):
		f.finSent = false
	default:
		f.finHere = true
		f.net.woke = true
		f.r.rcond.Broadcast()
	}
}

// eof reports whether the reader has read everything.
func (f *flow) eof() bool { return f.finHere && f.held == 0 }

// reset sends a reset to the reader, which arrives after the bytes in transit.
func (f *flow) reset() {
	now := f.net.clock()
	f.lastAt = max(now+max(f.net.delay(f.w.host, f.r.host, &f.jitter), 1), f.lastAt)
	f.net.schedule(f.lastAt-now, event{key: f.key, flow: f, do: func(e *event) {
		if e.flow.net.blocked(e.flow.w.host, e.flow.r.host) {
			e.flow.rst = true
			return
		}
		e.flow.r.abort(errReset)
	}})
}

// stopSending drops the bytes that have not left the writer's host.
func (f *flow) stopSending() {
	f.mute = true
	f.pending, f.up.backlog = 0, 0
}

// stopDelivery drops the bytes that were not delivered. Delivered bytes can still be
// read.
func (f *flow) stopDelivery() {
	f.dead = true
	f.down.backlog, f.stalled = 0, 0
	f.stopSending()
	if f.ready == 0 {
		f.drop()
	}
}

// drop frees all buffers.
func (f *flow) drop() {
	for _, s := range f.segs {
		f.net.freeSegment(s)
	}
	f.segs, f.from, f.to, f.held, f.ready = nil, 0, 0, 0, 0
}

func (n *Network) newSegment() *segment {
	if k := len(n.free); k > 0 {
		s := n.free[k-1]
		n.free = n.free[:k-1]
		return s
	}
	return new(segment)
}

func (n *Network) freeSegment(s *segment) {
	if len(n.free) < maxFree {
		n.free = append(n.free, s)
	}
}

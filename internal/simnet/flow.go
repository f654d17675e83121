package simnet

import "math/rand/v2"

// segmentSize is the unit of buffers.
const segmentSize = 16 << 10

// maxFree bounds the segments that are kept for use again.
const maxFree = 4096

type segment [segmentSize]byte

// flow is one direction of a connection: bytes from its writer to its reader.
// Its bytes are, in this order: read; ready to be read; on the way down; in the
// air; on the way up; written.
type flow struct {
	net    *Network
	key    uint64 // for the order of events
	w, r   *Conn
	jitter rand.PCG

	segs     []*segment // bytes that were written and not read
	from, to int        // in the first and the last segment
	held     int        // bytes in segs
	pending  int        // written, not yet offered to the link up
	ready    int        // may be read
	stalled  int        // arrived while the way was cut
	inAir    int
	lastAt   int64 // when the last chunk arrives

	up, down leg
	begin    bool // an event will offer what is pending
	waking   bool // an event will wake the writer
	closing  bool // the writer is done: FIN goes after the last byte
	finSent  bool
	finHere  bool
	rst      bool // a reset goes to the reader when the way is mended
	mute     bool // the writer's end is gone: nothing more leaves
	dead     bool // the reader's end is gone: nothing more is delivered
}

func (f *flow) init(n *Network, w, r *Conn, key uint64) {
	f.net, f.w, f.r, f.key = n, w, r, key
	f.up.flow, f.down.flow = f, f
	f.jitter.Seed(n.opts.Seed, key)
}

// write copies as much of p as fits and has it sent.
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

// take moves n ready bytes to p, or drops them if p is nil.
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

// wakeWriter tells the writer that there is room: in lockstep not before the
// reader has taken all that it takes at this moment.
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

// kick schedules the beginning of what was written or closed at this moment.
func (f *flow) kick() {
	if f.begin || f.dead || f.mute {
		return
	}
	f.begin = true
	f.net.schedule(1, event{key: f.key, flow: f, do: func(e *event) { e.flow.start() }})
}

// start offers what is pending to the link up.
func (f *flow) start() {
	f.begin = false
	if f.dead || f.mute || f.net.blocked(f.w.host, f.r.host) {
		return // resume comes back to what is only blocked
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

// stall takes back what a link would serve if the way is cut.
func (f *flow) stall(l *leg) bool {
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

// resume goes on after the way was mended.
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

// leftUp has bytes that left the link up travel.
func (f *flow) leftUp(n int) {
	f.w.host.sent += int64(n)
	f.inAir += n
	f.fly(n)
	f.finish()
}

// fly has n bytes arrive after the delay, never before earlier ones.
func (f *flow) fly(n int) {
	now := f.net.clock()
	f.lastAt = max(now+f.net.delay(f.w.host, f.r.host, &f.jitter), f.lastAt)
	f.net.schedule(f.lastAt-now, event{key: f.key, flow: f, size: n, do: func(e *event) { e.flow.arrived(e.size) }})
}

// arrived hands bytes to the link down.
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

// leftDown gives bytes to the reader.
func (f *flow) leftDown(n int) {
	if f.dead {
		return
	}
	f.r.host.received += int64(n)
	if f.r.closed {
		// Data for an end that is closed is answered by a reset.
		f.take(nil, n)
		f.r.sendReset()
		f.r.abort(errReset)
		return
	}
	f.ready += n
	f.net.woke = true
	f.r.rcond.Broadcast()
}

// finish sends the FIN when the last byte left.
func (f *flow) finish() {
	if !f.closing || f.finSent || f.dead || f.mute || f.pending > 0 || f.up.backlog > 0 || f.stalled > 0 || f.net.blocked(f.w.host, f.r.host) {
		return
	}
	f.finSent = true
	now := f.net.clock()
	f.lastAt = max(now+f.net.delay(f.w.host, f.r.host, &f.jitter), f.lastAt)
	f.net.schedule(f.lastAt-now, event{key: f.key, flow: f, do: func(e *event) { e.flow.fin() }})
}

// fin is the arrival of the FIN.
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

// eof reports whether the reader has come to the end.
func (f *flow) eof() bool { return f.finHere && f.held == 0 }

// reset has the reader's end learn, after what is in the air, that the
// connection is gone.
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

// silence drops what did not leave the writer's host.
func (f *flow) silence() {
	f.mute = true
	f.pending, f.up.backlog = 0, 0
}

// kill drops what was not delivered; what was can still be read.
func (f *flow) kill() {
	f.dead = true
	f.down.backlog, f.stalled = 0, 0
	f.silence()
	if f.ready == 0 {
		f.drop()
	}
}

// drop gives the buffers back.
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

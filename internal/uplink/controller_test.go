package uplink

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// link is a model of a line with a queue, and of TCP connections that send over it. It
// moves packets in steps of a millisecond.
type link struct {
	rate   float64 // bytes per second
	buffer float64 // bytes that the queue holds
	rtt    time.Duration
	flows  []*flow

	now    time.Duration
	queue  []packet
	queued float64
	credit float64 // bytes that the line may send in this step
	packet float64

	limit  float64 // of all flows of the controller; 0: none
	tokens float64
	holds  float64 // bytes that a socket holds unsent while there is no limit
	turn   int

	sent   float64 // bytes that left the queue, of all flows
	delays []time.Duration
}

type packet struct {
	f    *flow
	size float64
	at   time.Duration // when it entered the queue
}

// flow is a TCP connection that halves its window after a loss.
type flow struct {
	id       uint64
	window   float64
	slow     bool // slow start
	inFlight float64
	acked    float64
	reported float64 // acked at the last sample
	srtt     time.Duration
	minRTT   time.Duration
	lostAt   time.Duration
	acks     []ack
	own      float64 // rate of the receiver's line in bytes per second; 0: unlimited
	ownFree  time.Duration
	foreign  bool    // not a flow of the controller
	paced    float64 // rate of a flow that is not limited by a window; 0: it is
	tokens   float64
	idle     bool
	steady   bool    // the window does not change, whatever is lost, nearly as that of BBR
	granted  float64 // bytes that the limiter has let pass and that were not sent
	pace     float64 // bytes that the socket may send now
	paceRate float64 // bytes per second that the socket may send
	sent     float64 // bytes that it has sent
	wrote    float64 // bytes that it had sent or held at the last sample
	sender   sender
}

type ack struct {
	at    time.Duration
	size  float64
	since time.Duration
	lost  bool
}

func newLink(mbit float64, rtt, bloat time.Duration, flows int) *link {
	l := &link{rate: mbit * 1e6 / 8, rtt: rtt}
	l.buffer = l.rate * bloat.Seconds()
	l.packet = max(1448, l.rate/10000)
	for range flows {
		l.add(&flow{})
	}
	return l
}

func (l *link) add(f *flow) *flow {
	f.id, f.window, f.slow, f.minRTT = uint64(len(l.flows)+1), 10*l.packet, true, math.MaxInt64
	l.flows = append(l.flows, f)
	return f
}

const step = time.Millisecond

// step moves the model by a millisecond.
func (l *link) step() {
	l.now += step
	for _, f := range l.flows {
		f.arrive(l)
		if l.limit == 0 {
			f.granted = l.holds
		}
	}
	if l.limit > 0 {
		l.tokens = min(l.tokens+l.limit*step.Seconds(), max(block, l.packet, l.limit*0.01))
	}
	l.send()
	l.credit = min(l.credit+l.rate*step.Seconds(), l.packet+l.rate*step.Seconds())
	for len(l.queue) > 0 && l.credit >= l.queue[0].size {
		p := l.queue[0]
		l.queue = l.queue[1:]
		l.credit -= p.size
		l.queued -= p.size
		l.sent += p.size
		done := l.now
		if f := p.f; f.own > 0 { // the queue of the receiver's line
			if f.ownFree-l.now > 300*time.Millisecond {
				f.acks = append(f.acks, ack{at: f.ownFree + l.rtt, size: p.size, lost: true})
				continue
			}
			f.ownFree = max(f.ownFree, l.now) + time.Duration(p.size/f.own*1e9)
			done = f.ownFree
		}
		p.f.acks = append(p.f.acks, ack{at: done + l.rtt, size: p.size, since: p.at})
	}
}

// send lets the flows send in turn what their windows and the limit allow.
func (l *link) send() {
	for blocked := 0; blocked < len(l.flows); {
		f := l.flows[l.turn%len(l.flows)]
		l.turn++
		if !f.may(l) {
			blocked++
			continue
		}
		blocked = 0
		f.inFlight += l.packet
		f.sent += l.packet
		if !f.foreign && l.limit > 0 {
			f.granted -= l.packet
			f.pace -= l.packet
		}
		if f.paced > 0 {
			f.tokens -= l.packet
		}
		if l.queued+l.packet > l.buffer+l.packet {
			f.acks = append(f.acks, ack{at: l.now + l.rtt + time.Duration(l.queued/l.rate*1e9), size: l.packet, lost: true})
			continue
		}
		l.queue = append(l.queue, packet{f, l.packet, l.now})
		l.queued += l.packet
	}
	for _, f := range l.flows {
		f.pace = min(f.pace+f.paceRate*step.Seconds(), 2*l.packet+f.paceRate*step.Seconds())
		if f.paced > 0 {
			f.tokens = min(f.tokens+f.paced*step.Seconds(), 4*l.packet)
		}
	}
}

func (f *flow) may(l *link) bool {
	switch {
	case f.idle:
		return false
	case f.paced > 0:
		return f.tokens >= l.packet
	case f.inFlight+l.packet > f.window:
		return false
	}
	if f.foreign || l.limit == 0 {
		return true
	}
	if grant := max(block, l.packet); f.granted < l.packet && l.tokens >= grant { // the limiter grants whole blocks
		l.tokens -= grant
		f.granted += grant
	}
	return f.granted >= l.packet && f.pace >= l.packet
}

// arrive handles the acknowledgements that have arrived.
func (f *flow) arrive(l *link) {
	for len(f.acks) > 0 && f.acks[0].at <= l.now {
		a := f.acks[0]
		f.acks = f.acks[1:]
		f.inFlight -= a.size
		if a.lost {
			if !f.steady && l.now-f.lostAt > f.srtt {
				f.lostAt, f.slow = l.now, false
				f.window = max(2*l.packet, f.window*0.7)
			}
			continue
		}
		f.acked += a.size
		rtt := max(a.at-a.since, step)
		f.minRTT = min(f.minRTT, rtt)
		if f.srtt == 0 {
			f.srtt = rtt
		}
		f.srtt += (rtt - f.srtt) / 8
		if f.steady || f.inFlight+2*l.packet < f.window/2 { // the window is not used
			continue
		}
		if f.slow {
			f.window += a.size
		} else {
			f.window += 4 * l.packet * a.size / f.window
		}
		f.window = min(f.window, 4<<20+4*l.rate*l.rtt.Seconds())
	}
}

// run runs the model with the controller for d, and returns the part of the line that was
// used and the 90th percentile of the queue's delay.
func (l *link) run(c *Controller, d time.Duration) (used float64, queue time.Duration) {
	start, sent := l.now, l.sent
	carried := 0.0
	l.delays = l.delays[:0]
	for l.now-start < d {
		l.step()
		carried += l.rate * step.Seconds()
		if l.now%(10*time.Millisecond) == 0 {
			l.delays = append(l.delays, time.Duration(l.queued/l.rate*1e9))
		}
		if l.now%Interval == 0 {
			l.limit = float64(c.Update(time.Unix(0, 0).Add(l.now), l.samples(), l.waiting()))
			l.setPaces(c)
		}
	}
	return (l.sent - sent) / carried, quantile(l.delays, 0.9)
}

// setPaces divides the limit as a Line does.
func (l *link) setPaces(c *Controller) {
	var senders []sender
	for _, f := range l.flows {
		wrote := f.sent + f.granted
		f.sender.now = (wrote - f.wrote) / Interval.Seconds()
		f.sender.wrote += Interval.Seconds() * (f.sender.now - f.sender.wrote)
		f.wrote = wrote
		f.sender.held = f.granted >= heldBytes && !f.foreign
		senders = append(senders, f.sender)
	}
	for i, pace := range divide(c.Pace(), senders) {
		l.flows[i].paceRate = pace
	}
}

// waiting reports whether flows wait for the limit.
func (l *link) waiting() bool {
	return slices.ContainsFunc(l.flows, func(f *flow) bool {
		return !f.foreign && !f.idle && f.paced == 0 && l.limit > 0 && f.inFlight+l.packet <= f.window
	})
}

func (l *link) samples() []Sample {
	var list []Sample
	for _, f := range l.flows {
		if !f.foreign && f.acked > 0 {
			list = append(list, Sample{ID: f.id, RTT: f.srtt, MinRTT: f.minRTT, Acked: uint64(f.acked - f.reported), Unsent: int(f.granted)})
			f.reported = f.acked
		}
	}
	return list
}

func quantile(list []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[int(q*float64(len(sorted)-1))]
}

func TestKeepsTheLineBusyAndTheQueueShort(t *testing.T) {
	t.Parallel()
	for _, mbit := range []float64{5, 20, 100, 1000} {
		for _, rtt := range []time.Duration{5, 40, 300} {
			for _, bloat := range []time.Duration{100, 500, 2000} {
				for _, flows := range []int{1, 8} {
					t.Run(fmt.Sprintf("%v Mbit, rtt %d ms, queue %d ms, %d flows", mbit, rtt, bloat, flows), func(t *testing.T) {
						t.Parallel()
						l := newLink(mbit, rtt*time.Millisecond, bloat*time.Millisecond, flows)
						var c Controller
						l.run(&c, 20*time.Second)
						used, queue := l.run(&c, 10*time.Second)
						if c.State().Limit == 0 { // the model of TCP leaves such a line half empty itself
							return
						}
						if used < 0.95 {
							t.Errorf("used %.3f of the line, want 0.95", used)
						}
						if most := 30*time.Millisecond + time.Duration(16<<10/l.rate*1e9); queue > most {
							t.Errorf("queue of %v, want %v", queue, most)
						}
					})
				}
			}
		}
	}
}

// TestNoticesAChangeOfTheLine checks that the limit follows the line within 20 seconds.
func TestNoticesAChangeOfTheLine(t *testing.T) {
	t.Parallel()
	for _, change := range [][2]float64{{20, 5}, {5, 20}, {100, 10}, {10, 100}, {300, 50}, {50, 300}} {
		l := newLink(change[0], 30*time.Millisecond, 500*time.Millisecond, 4)
		var c Controller
		l.run(&c, 20*time.Second)
		l.rate = change[1] * 1e6 / 8
		l.buffer = l.rate / 2
		l.run(&c, 20*time.Second)
		used, queue := l.run(&c, 20*time.Second)
		if used < 0.95 || queue > 60*time.Millisecond {
			t.Errorf("20 s after the line has changed from %v to %v Mbit/s, %.3f of it are used, and the queue is %v", change[0], change[1], used, queue)
		}
	}
}

// TestEmptiesSockets checks that the data that many sockets hold from before the limit does not
// keep the queue long, and that sockets that began behind the queue do not hide it.
func TestEmptiesSockets(t *testing.T) {
	t.Parallel()
	for _, rtt := range []time.Duration{1, 30} {
		l := newLink(20, rtt*time.Millisecond, 100*time.Millisecond, 8)
		l.packet, l.holds = 1448, 128<<10
		for _, f := range l.flows {
			f.window = 10 * l.packet
		}
		var c Controller
		l.run(&c, 300*time.Millisecond)
		for range 20 {
			l.add(&flow{})
		}
		l.run(&c, 2200*time.Millisecond)
		if s := c.State(); s.Limit == 0 {
			t.Fatalf("rtt %v ms: no limit after 2.5 s: %+v", int(rtt), s)
		}
		used, queue := l.run(&c, 10*time.Second)
		if s := c.State(); used < 0.95 || queue > 40*time.Millisecond || s.Foreign {
			t.Errorf("rtt %v ms: after 2.5 s %.3f of the line are used, and the queue is %v: %+v", int(rtt), used, queue, s)
		}
	}
}

// TestAllSocketsBeganBehindTheQueue checks that a queue becomes short although no socket has seen
// the line without it.
func TestAllSocketsBeganBehindTheQueue(t *testing.T) {
	t.Parallel()
	l := newLink(20, 5*time.Millisecond, 100*time.Millisecond, 8)
	l.packet, l.holds = 1448, 128<<10
	for _, f := range l.flows {
		f.window, f.steady = 40*l.packet, true
	}
	var c Controller
	l.run(&c, 200*time.Millisecond)
	for range 20 {
		l.add(&flow{steady: true}).window = 14 * l.packet
		l.run(&c, 10*time.Millisecond)
	}
	for _, f := range l.flows[:8] {
		f.idle = true
	}
	l.run(&c, 5*time.Second)
	used, queue := l.run(&c, 10*time.Second)
	if s := c.State(); used < 0.95 || queue > 40*time.Millisecond || s.Limit == 0 {
		t.Errorf("%.3f of the line are used, and the queue is %v: %+v", used, queue, s)
	}
}

// TestManyReceiversOnASlowLine checks that 64 receivers on a slow line with a modem that holds two
// seconds of data do not delay others by a second while they begin, and by little then.
func TestManyReceiversOnASlowLine(t *testing.T) {
	t.Parallel()
	l := newLink(5, 40*time.Millisecond, 2*time.Second, 0)
	l.packet, l.holds = 1448, 64<<10
	var c Controller
	var begin []time.Duration
	for range 64 {
		l.add(&flow{})
		l.run(&c, 100*time.Millisecond)
		begin = append(begin, l.delays...)
	}
	if most := slices.Max(begin); most > 800*time.Millisecond {
		t.Errorf("while receivers begin, the queue is up to %v", most)
	}
	used, queue := l.run(&c, 20*time.Second)
	if most := slices.Max(l.delays); used < 0.95 || queue > 60*time.Millisecond || most > 300*time.Millisecond {
		t.Errorf("%.3f of the line are used, and the queue is %v, at most %v", used, queue, most)
	}
}

// TestSlowReceiver checks that a receiver with a long queue of its own does not slow down the
// others.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	l := newLink(100, 30*time.Millisecond, 500*time.Millisecond, 7)
	l.flows[2].own = 1e6 / 8
	var c Controller
	l.run(&c, 20*time.Second)
	used, queue := l.run(&c, 20*time.Second)
	if used < 0.95 || queue > 40*time.Millisecond {
		t.Errorf("with a slow receiver %.3f of the line are used, and the queue is %v", used, queue)
	}
}

// TestReceiversSlowerThanTheLine checks that receivers that are slower than the line get all that
// they can take.
func TestReceiversSlowerThanTheLine(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 5, 20} {
		l := newLink(1000, 30*time.Millisecond, 100*time.Millisecond, n)
		l.packet = 1448
		all := 0.0
		for i, f := range l.flows {
			f.window = 10 * l.packet
			f.own = float64(4+2*i) * 1e6 / 8
			all += f.own
		}
		var c Controller
		l.run(&c, 10*time.Second)
		sent := l.sent
		l.run(&c, 20*time.Second)
		part := (l.sent - sent) / 20 / all
		if part < 0.85 {
			t.Errorf("%d receivers get %.3f of what they can take", n, part)
		}
	}
}

// TestNoQueueNoLimit checks that senders that leave a part of the line unused are not limited.
func TestNoQueueNoLimit(t *testing.T) {
	t.Parallel()
	l := newLink(100, 30*time.Millisecond, 500*time.Millisecond, 0)
	for range 4 {
		l.add(&flow{paced: 2e6})
	}
	var c Controller
	l.run(&c, 10*time.Second)
	if s := c.State(); s.Limit != 0 || s.Rate < 7e6 {
		t.Errorf("%+v, want no limit at 8 MB/s", s)
	}
}

// TestGivesWay checks that other traffic of the house that does not fill the line has a short
// queue.
func TestGivesWay(t *testing.T) {
	t.Parallel()
	l := newLink(20, 30*time.Millisecond, 500*time.Millisecond, 4)
	l.add(&flow{foreign: true, paced: 0.25 * l.rate})
	var c Controller
	l.run(&c, 20*time.Second)
	used, queue := l.run(&c, 20*time.Second)
	if used < 0.95 || queue > 40*time.Millisecond {
		t.Errorf("beside other traffic %.3f of the line are used, and the queue is %v", used, queue)
	}
}

// TestGreedyTraffic checks that a foreign connection that always fills the queue does not
// starve the senders.
func TestGreedyTraffic(t *testing.T) {
	t.Parallel()
	l := newLink(20, 30*time.Millisecond, 300*time.Millisecond, 3)
	l.add(&flow{foreign: true})
	var c Controller
	l.run(&c, 20*time.Second)
	before := ours(l)
	l.run(&c, 60*time.Second)
	part := (ours(l) - before) / 60 / l.rate
	if part < 0.3 {
		t.Errorf("three of four connections get %.2f of the line", part)
	}
}

func ours(l *link) (sum float64) {
	for _, f := range l.flows {
		if !f.foreign {
			sum += f.acked
		}
	}
	return sum
}

// TestPrivateNetwork checks that peers with private addresses count only if no others take
// data.
func TestPrivateNetwork(t *testing.T) {
	t.Parallel()
	var c Controller
	list := []Sample{{ID: 1, RTT: time.Millisecond, MinRTT: time.Millisecond, Local: true}, {ID: 2, RTT: 200 * time.Millisecond, MinRTT: 20 * time.Millisecond}}
	now := time.Unix(0, 0)
	for range 12 {
		now = now.Add(Interval)
		list[0].Acked = 10e6
		list[1].Acked = 100e3
		c.Update(now, list, true)
	}
	if s := c.State(); s.Limit == 0 || s.Limit > 1e6 || c.LimitsLocal() {
		t.Errorf("%+v, limits local peers: %v; want a limit below 1 MB/s for the others", s, c.LimitsLocal())
	}
	c = Controller{}
	for range 12 {
		now = now.Add(Interval)
		list[0].Acked = 10e6
		list[0].RTT = 200 * time.Millisecond
		c.Update(now, list[:1], true)
	}
	if s := c.State(); s.Limit == 0 || !c.LimitsLocal() {
		t.Errorf("%+v, limits local peers: %v; want a limit for a line with private addresses", s, c.LimitsLocal())
	}
}

// TestMemoryIsBounded checks that the controller forgets sockets, and ignores those above the
// limit.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var c Controller
	now := time.Unix(0, 0)
	for i := range 50 {
		now = now.Add(Interval)
		var list []Sample
		for k := range 1000 {
			list = append(list, Sample{ID: uint64(1000*i + k), RTT: 1, MinRTT: 1, Acked: uint64(i)})
		}
		c.Update(now, list, true)
		if len(c.sockets) > MaxSockets {
			t.Fatalf("the controller keeps %d sockets, want at most %d", len(c.sockets), MaxSockets)
		}
	}
}

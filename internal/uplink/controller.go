// Package uplink learns how many bytes per second the line of this machine can send, and
// limits the senders of the process to that rate, so that no long queue builds up in a modem
// in front of everybody else's packets.
//
// A [Controller] decides: it gets samples of the sockets that send and returns a limit. It
// has no clock and no sockets. A [Line] takes the samples and applies the limit.
//
// The method is that of BBR and LEDBAT (RFC 6817), applied to all sockets together. While
// the round-trip times of most sockets are longer than their least ones, there is a queue
// that they share, and the rate at which bytes are acknowledged is the capacity of the line.
// The controller then limits the senders to slightly less than that, until the queue is
// short, and to slightly more while it is empty.
//
// The limit applies to what is written to the sockets, and the kernel paces what they hold to
// the same rate: see divide. uTP has no sockets of its own: its connections report what they
// send ([PathReporter]), and their congestion window bounds what they send of what they hold.
//
// Sockets that began behind a queue do not see it, so the queue is emptied from time to time:
// see Controller.empty.
package uplink

import (
	"math"
	"slices"
	"time"
)

// Interval is the time between two samples.
const Interval = 100 * time.Millisecond

// MaxSockets limits the sockets of one sample.
const MaxSockets = 256

const (
	// shortQueue is the queue that a limited line should have, besides half of the time in
	// which it sends a block. It is long enough to keep the line busy, and short beside the
	// 30 ms that people can notice. mostShort limits the sum.
	shortQueue = 10 * time.Millisecond
	mostShort  = 30 * time.Millisecond
	block      = 16 << 10
	// longQueue is the queue above which an unlimited line becomes limited.
	longQueue = 25 * time.Millisecond
	// longSamples is the number of samples that must see such a queue.
	longSamples = 4
	// backlogSamples is the number of samples in which the sockets must hold more than in
	// heldTime is sent, so that an unlimited line becomes limited without a queue. Sockets
	// that all began behind a queue do not see it. A limit empties it, or is soon raised and
	// removed if there is none. tryEvery is the least time between two such limits.
	backlogSamples = 10
	tryEvery       = 20 * time.Second
	// sureQueue is how much the queue exceeds the goal if it is certainly never empty.
	sureQueue = 50 * time.Millisecond
	// drainTime determines how much the limit differs from the capacity: a queue that
	// exceeds the goal by d is drained by d/drainTime of the capacity.
	drainTime = 300 * time.Millisecond
	// mostCut is the largest part by which the limit is below the capacity.
	mostCut = 0.7
	// leastGrowth and mostGrowth limit the part by which the limit exceeds the capacity
	// while there is no queue. The part doubles each growthTime without a queue.
	leastGrowth = 0.02
	mostGrowth  = 0.25
	growthTime  = 700 * time.Millisecond
	// mostMakeUp limits the factor by which the limit makes up for senders that send late,
	// because the machine is busy.
	mostMakeUp = 1.4
	// waitedFor is how long senders count as waiting after they did.
	waitedFor = 500 * time.Millisecond
	// rateIntervals is the number of samples over which rates are averaged.
	rateIntervals = 10
	// minActive is how many bytes a socket must have sent in about a second, so that its
	// round-trip time counts. The receivers of fewer bytes may delay their acknowledgements.
	minActive = 16 << 10
	// paceMargin is the part by which the sockets may exceed the limit together while the
	// queue is short, so that they can catch up after a pause.
	paceMargin = 1.25
	// releaseAfter is how far the limit may grow above the last capacity that was seen
	// behind a queue, until the line counts as unlimited again.
	releaseAfter = 4
	// heldTime is how long sockets need for what they hold, unless they have a backlog.
	heldTime = 50 * time.Millisecond
	// leastWrite is the least part of the limit that may be written while the sockets send
	// what they hold.
	leastWrite = 0.25
	// minRate is the least limit, and the least estimate of the capacity, in bytes per second.
	minRate = 8 << 10
)

// Sample is the state of one socket.
type Sample struct {
	ID     uint64        // identifies the socket; 0 for sockets that were closed
	RTT    time.Duration // smoothed round-trip time
	MinRTT time.Duration // least round-trip time; 0 if unknown
	Acked  uint64        // bytes that the other side has acknowledged since the last sample of the socket
	Unsent int           // bytes that were written to the socket and not sent yet
	Local  bool          // the other side has a private address
}

// State is what a controller has learned.
type State struct {
	Limit    int64         // limit of all senders in bytes per second; 0 for none
	Capacity int64         // last known capacity of the line in bytes per second; 0 if unknown
	Rate     int64         // bytes per second that were acknowledged in the last second
	Queue    time.Duration // delay in the queue that the sockets share
	Foreign  bool          // nothing is limited, because the queue belongs to other senders
}

// Controller decides how fast all senders together may send. The zero value is ready and
// does not limit. Its user serializes calls.
type Controller struct {
	last    time.Time
	sockets map[uint64]socket
	samples uint64 // number of samples
	rates   history
	rises   []time.Duration // reused by each sample
	held    float64         // unsent bytes of all active sockets
	freed   float64         // bytes per second by which held decreases, smoothed
	queue   time.Duration
	goal    time.Duration // queue that a limited line should have
	local   bool          // whether sockets with private addresses are part of the last sample

	limit    float64 // 0: none
	capacity float64 // estimate that the limit is based on
	seen     float64 // capacity when a queue was last seen

	long       int           // samples of an unlimited line with a long queue, less those with a shorter one
	backlog    int           // samples in a row of an unlimited line with a backlog
	triedAt    time.Time     // when the line was last limited because of a backlog
	waited     time.Duration // how long senders that waited lately count as waiting
	growth     float64       // part by which the limit exceeds the capacity while there is no queue
	emptyAt    time.Time     // when the queue was last empty
	emptyUntil time.Time     // the limit is low until then, so that the queue becomes empty
	newcomers  int           // active sockets that began since emptyUntil
	highQueue  time.Duration // upper quartile of the delays of the sockets

	drain        drain
	foreignUntil time.Time
	foreignFor   time.Duration // how long the last foreign queue was left alone
}

// socket is what the controller keeps of a socket between two samples.
type socket struct {
	recent float64   // bytes acknowledged in about the last second
	since  time.Time // time of the first sample
	sample uint64    // number of the last sample with this socket
}

// history holds the bytes of the last samples.
type history struct {
	bytes, seconds [rateIntervals]float64
	next           int
}

func (h *history) add(bytes, seconds float64) {
	h.bytes[h.next], h.seconds[h.next] = bytes, seconds
	h.next = (h.next + 1) % rateIntervals
}

// average returns the rate over the last n samples in bytes per second.
func (h *history) average(n int) float64 {
	bytes, seconds := 0.0, 0.0
	for i := range n {
		k := (h.next - 1 - i + rateIntervals) % rateIntervals
		bytes += h.bytes[k]
		seconds += h.seconds[k]
	}
	if seconds == 0 {
		return 0
	}
	return bytes / seconds
}

// Update takes a sample of at most [MaxSockets] sockets and returns the limit of what is written
// to them in bytes per second, or 0 for none. waiting means that senders wait because of the
// limit. Update should be called each [Interval] while anything is sent.
func (c *Controller) Update(now time.Time, samples []Sample, waiting bool) int64 {
	dt := now.Sub(c.last)
	if dt < Interval/2 {
		return c.writeLimit()
	}
	idle := dt > 10*Interval // the senders paused, or the machine slept
	c.last = now
	known := c.measure(dt, samples)
	if idle {
		c.rates, c.long, c.backlog, c.growth, c.drain, c.emptyAt = history{}, 0, 0, 0, drain{}, now
	}
	switch {
	case idle:
	case !known && (c.limit == 0 || c.rates.average(rateIntervals) == 0):
		c.growth = 0
	case c.limit == 0:
		c.unlimited(now)
	default:
		c.limited(now, dt, waiting)
	}
	return c.writeLimit()
}

// writeLimit returns the limit of what is written to the sockets. It is less than that of what
// they send while they also send what they hold.
func (c *Controller) writeLimit() int64 { return int64(max(leastWrite*c.limit, c.limit-c.freed)) }

// State returns what the controller has learned.
func (c *Controller) State() State {
	return State{
		Limit: int64(c.limit), Capacity: int64(c.seen), Rate: int64(c.rates.average(rateIntervals)), Queue: c.queue,
		Foreign: c.limit == 0 && c.last.Before(c.foreignUntil),
	}
}

// LimitsLocal reports whether the limit also applies to peers with private addresses. It does
// unless other peers take data: then the private addresses are not behind the line.
func (c *Controller) LimitsLocal() bool { return c.local }

// measure computes the rate of all sockets and the delay of the queue that they share. That
// is the lower quartile of their delays: a slow receiver delays only its own socket. measure
// returns false if too little was sent to know the queue.
func (c *Controller) measure(dt time.Duration, samples []Sample) bool {
	samples = samples[:min(len(samples), MaxSockets)]
	c.remember(dt, samples)
	c.newcomers = 0
	c.local = !slices.ContainsFunc(samples, func(s Sample) bool { return !s.Local && c.sockets[s.ID].recent >= minActive })
	total := 0.0
	before := c.held
	c.held = 0
	c.rises = c.rises[:0]
	for _, s := range samples {
		if s.Local && !c.local {
			continue
		}
		total += float64(s.Acked)
		if c.sockets[s.ID].recent >= minActive { // others are not read
			c.held += float64(s.Unsent)
		}
		if s.Acked > 0 && c.sockets[s.ID].recent >= minActive && s.MinRTT > 0 {
			c.rises = append(c.rises, max(0, s.RTT-s.MinRTT))
			if c.sockets[s.ID].since.After(c.emptyUntil) {
				c.newcomers++
			}
		}
	}
	c.rates.add(total, dt.Seconds())
	c.freed = max(0, c.freed+((before-c.held)/dt.Seconds()-c.freed)/2)
	if c.held < heldTime.Seconds()*c.limit {
		c.freed = 0
	}
	if len(c.rises) == 0 {
		c.queue, c.highQueue = 0, 0
		return false
	}
	slices.Sort(c.rises)
	c.queue, c.highQueue = c.rises[(len(c.rises)-1)/4], c.rises[(len(c.rises)-1)*3/4]
	return true
}

// remember updates what is kept of the sockets, and forgets those without a sample.
func (c *Controller) remember(dt time.Duration, samples []Sample) {
	if c.sockets == nil {
		c.sockets = map[uint64]socket{}
	}
	c.samples++
	decay := max(0, 1-dt.Seconds())
	for _, s := range samples {
		if s.ID == 0 {
			continue
		}
		k, known := c.sockets[s.ID]
		if !known {
			k.since = c.last
		}
		k.recent, k.sample = k.recent*decay+float64(s.Acked), c.samples
		c.sockets[s.ID] = k
	}
	for id, k := range c.sockets {
		if k.sample != c.samples {
			delete(c.sockets, id)
		}
	}
}

// unlimited sets a limit if the queue of an unlimited line stays long while the rate no
// longer grows.
func (c *Controller) unlimited(now time.Time) {
	rate := c.rates.average(rateIntervals)
	if now.Before(c.foreignUntil) || c.rates.average(rateIntervals/2) > 1.25*rate {
		c.long, c.backlog = 0, 0
		return
	}
	c.backlog++
	if c.held < heldTime.Seconds()*rate {
		c.backlog = 0
	}
	c.long++
	if c.queue < longQueue {
		c.long = max(0, c.long-2)
	}
	if c.long == 0 {
		c.capacity = 0
	}
	c.capacity = max(c.capacity, rate) // bytes are acknowledged in bursts
	try := c.backlog >= backlogSamples && now.Sub(c.triedAt) > tryEvery
	if c.long < longSamples && !try || c.capacity < 2*minRate {
		return
	}
	if c.long < longSamples {
		c.triedAt = now
	}
	c.backlog = 0
	c.growth, c.drain = 0, drain{}
	c.setGoal()
	c.behindQueue()
	c.empty(now)
}

// Pace returns the rate in bytes per second at which the sockets together may send what was
// written to them, or 0 without a limit.
func (c *Controller) Pace() float64 {
	if c.queue > c.goal || c.last.Before(c.emptyUntil) {
		return c.limit
	}
	return paceMargin * c.limit
}

// limited adjusts the limit.
func (c *Controller) limited(now time.Time, dt time.Duration, waiting bool) {
	rate := c.rates.average(rateIntervals)
	c.setGoal()
	if c.highQueue <= c.goal/3 {
		c.emptyAt = now
	}
	switch {
	case now.Before(c.emptyUntil):
		c.limit = max(minRate, emptyPart*c.capacity)
		return
	case c.emptyDue(now):
		c.empty(now)
		return
	}
	if c.queue > c.goal {
		if c.foreign(now, dt) {
			return
		}
		c.growth = 0
		c.correct(rate, dt)
		c.behindQueue()
		return
	}
	c.drain = drain{}
	c.waited = max(0, c.waited-dt)
	if waiting {
		c.waited = waitedFor
	}
	if c.waited > 0 {
		c.grow(now, rate, dt)
	} // otherwise the senders need less than the limit
}

// setGoal sets the queue that the line should have.
func (c *Controller) setGoal() {
	c.goal = min(mostShort, shortQueue+time.Duration(block/2/c.capacity*float64(time.Second)))
}

// correct corrects the capacity while there is a queue. A rate that differs from the limit is
// what the line carries, if the queue is long. A rate that is as low as the limit says nothing.
func (c *Controller) correct(rate float64, dt time.Duration) {
	weight := min(1, (c.queue-c.goal).Seconds()/sureQueue.Seconds())
	if rate > 0.9*c.limit && rate < 1.1*c.limit {
		if c.limit < 0.9*c.capacity {
			return
		}
		weight = dt.Seconds()
	}
	c.capacity = max(minRate, c.capacity+weight*(rate-c.capacity))
}

// behindQueue sets the limit so that the queue becomes as long as the goal.
func (c *Controller) behindQueue() {
	c.seen = c.capacity
	cut := max(0, min(mostCut, (c.queue-c.goal).Seconds()/drainTime.Seconds()))
	c.limit = max(minRate, c.capacity*(1-cut), c.drain.floor)
}

// grow raises the limit while the queue is short.
func (c *Controller) grow(now time.Time, rate float64, dt time.Duration) {
	c.capacity = max(c.capacity, rate)
	if c.queue > c.goal/2 {
		c.growth = 0
	}
	c.growth = min(mostGrowth, max(leastGrowth, c.growth*math.Exp2(dt.Seconds()/growthTime.Seconds())))
	c.limit = c.capacity * (1 + c.growth*(1-c.queue.Seconds()/c.goal.Seconds()))
	if rate > 0 { // a busy machine sends less than it may
		c.limit *= min(mostMakeUp, max(1, c.capacity/rate))
	}
	if c.limit > releaseAfter*c.seen {
		c.limit = 0
	}
}

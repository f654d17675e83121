package uplink

import "time"

const (
	// foreignSlack is added to the time by which a queue should become shorter.
	foreignSlack = 300 * time.Millisecond
	// minForeign and maxForeign are how long the senders are not limited after a queue
	// turned out not to be theirs. The time doubles each time.
	minForeign = 10 * time.Second
	maxForeign = 40 * time.Second
)

// drain checks whether a queue becomes shorter as it should.
type drain struct {
	from     time.Duration // queue at the beginning; 0 if no drain is in progress
	floor    float64       // least limit meanwhile; it decreases with time
	expected time.Duration // time by which the queue should be shorter by now
}

// foreign reports whether the queue stays long although the senders send less than the line
// carries: it is the queue of other senders. It then removes the limit for some time, because
// the senders would otherwise get less and less of the line.
func (c *Controller) foreign(now time.Time, dt time.Duration) bool {
	d := &c.drain
	if d.from == 0 {
		*d = drain{from: c.queue, floor: c.capacity * (1 - mostCut)}
	}
	d.floor *= 1 - 0.3*dt.Seconds()
	if c.rates.average(rateIntervals) < 0.9*c.limit { // the line carries less than it did
		d.floor *= 1 - dt.Seconds()
	}
	rate := max(c.capacity, 1)
	if c.freed < (1-leastWrite)*c.limit { // otherwise the sockets send more than the limit
		d.expected += time.Duration(float64(dt) * max(0, 1-c.limit/rate))
	}
	excess := d.from - c.goal
	if d.expected < 2*excess+foreignSlack || c.queue-c.goal < excess/2 {
		return false
	}
	c.foreignFor = min(maxForeign, max(minForeign, 2*c.foreignFor))
	c.foreignUntil = now.Add(c.foreignFor)
	c.limit, c.drain, c.long = 0, drain{}, 0
	return true
}

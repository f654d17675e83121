package sctp

import "time"

// timers are the times at which a channel has something to do. They share one timer, which fires
// too early rather than being set for each packet.
type timers struct {
	setup time.Time // sends INIT or COOKIE ECHO again
	rtx   time.Time // takes the packets in flight for lost
	ack   time.Time // acknowledges a single packet
	late  time.Time // takes packets for lost that others have overtaken
	timer *time.Timer
	armed time.Time // when timer fires; zero if it does not
}

func (t *timers) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// arm makes the timer fire at the earliest of the times, or before.
func (c *Channel) arm(now time.Time) {
	t := &c.time
	var first time.Time
	for _, at := range [...]time.Time{t.setup, t.rtx, t.ack, t.late} {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if c.err != nil || first.IsZero() || !t.armed.IsZero() && !first.Before(t.armed) {
		return
	}
	t.armed = first
	if wait := max(0, first.Sub(now)); t.timer == nil {
		t.timer = time.AfterFunc(wait, c.fire)
	} else {
		t.timer.Reset(wait)
	}
}

// fire does what is due.
func (c *Channel) fire() {
	c.mu.Lock()
	defer c.unlock()
	if c.err != nil {
		return
	}
	now := time.Now()
	t := &c.time
	t.armed = time.Time{}
	due := func(at time.Time) bool { return !at.IsZero() && !now.Before(at) }
	if due(t.setup) {
		if c.tries >= maxTries {
			c.endLocked(ErrSilent)
			return
		}
		c.sendSetup(now)
	}
	if due(t.rtx) {
		c.timeout(now)
	}
	if due(t.late) {
		t.late = c.tx.findLost(now)
	}
	c.sendLocked(now)
}

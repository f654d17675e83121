package ratelimit

import "time"

// priority is the priority of a caller. While callers of an earlier priority use the limit, the
// callers of a later one share a part of it. The part is at least the floor of the priority. It
// grows while bytes of the limit remain unused, and shrinks while callers of an earlier
// priority wait and no bytes remain. A later caller does not get all that is left in an
// instant: a caller that waits for the network between two calls would then find its bytes
// taken.
type priority uint8

// The priorities, in order.
const (
	first  priority = iota // of WaitFirst
	normal                 // of Wait
	later                  // of WaitLater
	last                   // of WaitLast
	priorities
)

var floors = [priorities]float64{normal: 0.2, later: 0.1, last: 0.05}

// mostParts limits the part of a priority while callers of an earlier priority wait.
var mostParts = [priorities]float64{normal: 0.5, later: 0.5, last: 0.1}

const (
	// window is the time between two changes of a part.
	window = 250 * time.Millisecond
	// idleFor is the time without calls after which a priority counts as idle. The later ones
	// are then served without delay.
	idleFor = time.Second
	// contested is the part of a window in which callers of an earlier priority must wait, so
	// that a part shrinks.
	contested = 0.25
	// leftOver is the part of the limit that must remain unused in a window, so that a part
	// grows by half of it.
	leftOver = 0.05
	// shrink is the factor of one change.
	shrink = 0.7
)

// class holds the callers of one priority.
type class struct {
	queue
	part   float64       // part of the limit that the callers may take from earlier ones
	tokens float64       // bytes that they may take from them now
	used   time.Time     // time of the last call
	waited time.Duration // how long callers of earlier priorities waited in this window
}

// shares is what the limiter measures in a window.
type shares struct {
	start  time.Time
	unused float64 // bytes that were not used
}

// earlierWait reports whether callers of a priority before k wait.
func (l *Limiter) earlierWait(k priority) bool {
	for j := range k {
		if !l.class[j].empty() {
			return true
		}
	}
	return false
}

// free reports whether the priorities before k are idle.
func (l *Limiter) free(k priority) bool {
	for j := range k {
		if c := &l.class[j]; !c.empty() || l.last.Sub(c.used) < idleFor && !c.used.IsZero() {
			return false
		}
	}
	return true
}

// may reports whether it is the turn of a priority to pass n bytes, if the limit allows them.
func (l *Limiter) may(k priority, n int) bool {
	return l.free(k) || l.class[k].tokens >= float64(n) || l.class[k].part >= 1 && !l.earlierWait(k)
}

// share gives the priorities the tokens of the time d, and changes their parts at the end of a
// window. unused are the bytes of d that exceed the burst.
func (l *Limiter) share(d time.Duration, unused float64) {
	l.shares.unused += unused
	for k := first + 1; k < priorities; k++ {
		c := &l.class[k]
		part := c.part
		if l.earlierWait(k) {
			c.waited += d
			part = min(part, mostParts[k])
		}
		c.tokens = min(c.tokens+part*d.Seconds()*float64(l.rate.Load()), max(float64(l.turn()), l.burstOf(burstTime)*part))
	}
	if d = l.last.Sub(l.shares.start); d < window {
		return
	}
	unused = l.shares.unused / (d.Seconds() * float64(l.rate.Load()))
	for k := first + 1; k < priorities; k++ {
		c := &l.class[k]
		switch {
		case unused > leftOver:
			c.part = min(1, c.part+unused/2)
		case c.waited.Seconds() > contested*d.Seconds():
			c.part = max(floors[k], min(mostParts[k], c.part*shrink))
		}
		c.waited = 0
	}
	l.shares = shares{start: l.last}
}

// armForPart sets the timer for the callers that have used up their part.
func (l *Limiter) armForPart() {
	rate := float64(l.rate.Load())
	missing := window.Seconds() * rate // by then the part may be larger
	waiting := false
	for k := range l.class {
		if c := &l.class[k]; !c.empty() {
			waiting = true
			missing = min(missing, (float64(min(c.head.need, l.turn()))-c.tokens)/c.part)
		}
	}
	if waiting {
		l.arm(missing)
	}
}

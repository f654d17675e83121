package ratelimit

import "time"

// Class is the priority of a caller. While callers of an earlier class use the limit, a later
// class gets a part of it. The part is at least the floor of the class. It grows while bytes
// of the limit remain unused, and shrinks while callers of an earlier class wait and none
// remain. It is not what is left in an instant: callers that wait for answers of the network
// between two calls would then find their bytes taken.
type Class uint8

// The classes, in order.
const (
	First  Class = iota // of WaitFirst
	Normal              // of Wait
	Later               // of WaitLater
	classes
)

var floors = [classes]float64{Normal: 0.2, Later: 0.1}

const (
	// window is the time between two changes of the part of a class.
	window = 250 * time.Millisecond
	// idleFor is the time without calls after which a class counts as idle. The classes after
	// it are then served without delay.
	idleFor = time.Second
	// contested is the part of a window in which callers of an earlier class must wait, so
	// that a part shrinks.
	contested = 0.25
	// leftOver is the part of the limit that must remain unused in a window, so that a part
	// grows by half of it.
	leftOver = 0.05
	// shrink is the factor of one change.
	shrink = 0.7
	// mostPart limits the part while callers of an earlier class wait.
	mostPart = 0.5
)

// class is the state of a class.
type class struct {
	queue
	part   float64       // part of the limit that the class may take from earlier ones
	tokens float64       // bytes that it may take from them now
	used   time.Time     // time of the last call
	waited time.Duration // how long callers of earlier classes waited in this window
}

// shares is what the limiter measures in a window.
type shares struct {
	start  time.Time
	unused float64 // bytes that were not used
}

// earlierWait reports whether callers of a class before k wait.
func (l *Limiter) earlierWait(k Class) bool {
	for j := range k {
		if !l.class[j].empty() {
			return true
		}
	}
	return false
}

// free reports whether the classes before k are idle.
func (l *Limiter) free(k Class) bool {
	for j := range k {
		if c := &l.class[j]; !c.empty() || l.last.Sub(c.used) < idleFor && !c.used.IsZero() {
			return false
		}
	}
	return true
}

// may reports whether it is the turn of a class to pass n bytes, if the limit allows them.
func (l *Limiter) may(k Class, n int) bool {
	return l.free(k) || l.class[k].tokens >= float64(n) || l.class[k].part >= 1 && !l.earlierWait(k)
}

// share gives the classes the tokens of the time d, and changes their parts at the end of a
// window. unused are the bytes of d that exceed the burst.
func (l *Limiter) share(d time.Duration, unused float64) {
	l.shares.unused += unused
	for k := First + 1; k < classes; k++ {
		c := &l.class[k]
		part := c.part
		if l.earlierWait(k) {
			c.waited += d
			part = min(part, mostPart)
		}
		c.tokens = min(c.tokens+part*d.Seconds()*float64(l.rate.Load()), max(float64(l.turn()), l.burstOf(burstTime)*part))
	}
	if d = l.last.Sub(l.shares.start); d < window {
		return
	}
	unused = l.shares.unused / (d.Seconds() * float64(l.rate.Load()))
	for k := First + 1; k < classes; k++ {
		c := &l.class[k]
		switch {
		case unused > leftOver:
			c.part = min(1, c.part+unused/2)
		case c.waited.Seconds() > contested*d.Seconds():
			c.part = max(floors[k], min(mostPart, c.part*shrink))
		}
		c.waited = 0
	}
	l.shares = shares{start: l.last}
}

// armForPart sets the timer for the callers whose class has used up its part.
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

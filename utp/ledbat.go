package utp

import "time"

// Parameters of the congestion control.
const (
	initialWindow = 4  // packets
	minWindow     = 2  // packets
	gain          = 1  // packets by which the window grows in a round trip
	courtesy      = .1 // the gain while others fill the queue
	// A slowdown lets the queue drain, so that the delay without a queue is measured again.
	slowdownEvery   = 20 * time.Second
	slowdownCrowded = 3 * time.Second
	slowdownFirst   = 4 // round trips after slow start
	slowdownLast    = 2 // round trips with the minimal window
	slowdownQueue   = 4 // a flow whose queueing delay is below target/slowdownQueue needs no slowdown
	slowdownCalm    = 2 // slowdowns in a row that found no queue before a flow believes to be alone
	// A flow that sees the queue fall by target/slowdownDip joins the slowdown of another, unless
	// its own was less than slowdownApart ago.
	slowdownDip   = 10
	slowdownApart = 8 * time.Second
	// evenFor is how long the queue must be about as long as the target before a flow believes
	// that no TCP flow fills it.
	evenFor = 8 * time.Second
	// overflowApart is the time after which a loss at a long queue may have another cause than
	// a TCP flow that fills the queue again and again.
	overflowApart   = 30 * time.Second
	slowStartTarget = .75
)

// ledbat is the congestion window of a connection. It follows LEDBAT (RFC 6817) with what
// LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus) adds: a decrease in proportion to the window, so
// that flows converge to equal shares, and periodic slowdowns, so that a flow that began while
// others filled the queue learns the true delay and gives back its advantage.
type ledbat struct {
	target    time.Duration
	packet    float64 // bytes of a full packet
	window    float64 // bytes
	uncut     float64 // the window before the last loss; 0 if there is nothing to undo
	uncutSlow bool    // whether that loss ended slow start
	threshold float64 // bytes at which slow start ends; 0 if there is none
	slowStart bool

	slowdown   phase
	phaseEnds  time.Duration // of draining
	nextSlow   time.Duration // when the next slowdown begins
	joinFrom   time.Duration // when this flow may join a slowdown of others
	usual      time.Duration // the queueing delay of the last round trips
	usualAt    time.Duration // when usual was changed
	queuedOnce bool          // whether there was a queue since the last slowdown
	queue      time.Duration // the last queueing delay
	suspect    bool          // a packet was lost while the queue was long; a slowdown will tell whether others fill it
	crowded    bool          // others fill the queue, and do not slow down with this flow
	calm       int           // slowdowns in a row that found no queue while crowded
	overflowAt time.Duration // when a packet was last lost while the queue was long; 0 if none was
	unevenAt   time.Duration // when the queue was last far from the target
}

// phase is the phase of a slowdown.
type phase uint8

const (
	steady    phase = iota
	draining        // the window is minimal
	refilling       // the window doubles every round trip up to the one before
)

func newLedbat(target time.Duration, packet int) ledbat {
	p := float64(packet)
	return ledbat{target: target, packet: p, window: initialWindow * p, slowStart: true}
}

// setPacket changes the size of packets. The window keeps its minimum in packets.
func (l *ledbat) setPacket(n int) {
	l.packet = float64(n)
	l.window = max(l.window, minWindow*l.packet)
}

// acked grows or shrinks the window after bytes of data were acknowledged. queue is the
// queueing delay, rtt the smoothed round-trip time, and limited tells whether the window was
// what kept the sender from sending more. stale tells that the packets were sent before the window
// was last cut, so that their delay says nothing about the present window. acked reports whether it
// has cut the window.
func (l *ledbat) acked(now time.Duration, bytes int, queue, rtt time.Duration, limited, stale bool) (cut bool) {
	if l.slowdownStep(now, queue, rtt) {
		return true
	}
	acked := min(float64(bytes), l.window)
	q := float64(queue) / float64(l.target)
	switch {
	case l.slowStart && q > slowStartTarget:
		// The packets that made this queue were sent when the window was half as large.
		l.window = max(l.window/2, minWindow*l.packet)
		l.endSlowStart(now, rtt)
		return true
	case l.slowStart:
		if limited {
			l.window += acked
		}
		if l.threshold > 0 && l.window >= l.threshold {
			l.window = l.threshold
			l.endSlowStart(now, rtt)
		}
		return false
	}
	if q <= 1 {
		if limited {
			l.window += l.gain() * acked / l.window
		}
		return false
	}
	if stale {
		return false
	}
	change := max(l.gain()-l.window*(q-1), -l.window/2)
	l.window = max(l.window+change*acked/l.window, minWindow*l.packet)
	return false
}

// gain returns the bytes by which the window grows in a round trip.
func (l *ledbat) gain() float64 {
	if l.crowded {
		return courtesy * l.packet
	}
	return gain * l.packet
}

// endSlowStart ends slow start, and plans the next slowdown. The first comes soon, because many
// flows begin while others fill the queue.
func (l *ledbat) endSlowStart(now, rtt time.Duration) {
	l.slowStart, l.threshold = false, 0
	switch {
	case l.nextSlow == 0:
		l.nextSlow = now + slowdownFirst*rtt
	case l.slowdown == refilling && l.crowded:
		l.nextSlow = now + slowdownCrowded
	case l.slowdown == refilling:
		l.nextSlow = now + slowdownEvery
	}
	l.slowdown = steady
}

// slowdownStep begins and ends slowdowns. It returns true while the window must stay minimal.
func (l *ledbat) slowdownStep(now, queue, rtt time.Duration) bool {
	l.queue = queue
	l.queuedOnce = l.queuedOnce || queue > l.target/slowdownQueue
	dipped := l.dipped(now, rtt)
	if (queue - l.target).Abs() > l.target*2/5 {
		l.unevenAt = now
	}
	if l.crowded && now-l.unevenAt > evenFor {
		l.crowded, l.calm = false, 0 // only flows of uTP keep the queue at the target
	}
	switch l.slowdown {
	case steady:
		if l.slowStart || now < l.nextSlow && !(dipped && now >= l.joinFrom) {
			return false
		}
		if !l.queuedOnce {
			l.nextSlow = now + slowdownEvery
			return false
		}
		l.threshold, l.window = l.window, l.packet
		l.slowdown, l.queuedOnce = draining, false
		l.phaseEnds, l.joinFrom = now+slowdownLast*rtt, now+slowdownApart
		return true
	case draining:
		if now < l.phaseEnds {
			return true
		}
		l.slowdown, l.slowStart, l.window = refilling, true, minWindow*l.packet
		if l.crowded {
			l.threshold /= 2
		}
		l.drained(queue <= l.target/10)
	}
	return false
}

// dipped reports whether the queue is much shorter than in the last round trips, as it is when
// another flow slows down. If all flows of a link slow down together, the queue drains, and all
// learn the same true delay.
func (l *ledbat) dipped(now, rtt time.Duration) bool {
	if now-l.usualAt >= rtt/4 {
		l.usual += (l.queue - l.usual) / 8
		l.usualAt = now
	}
	return l.queue < l.usual-l.target/slowdownDip
}

// drained judges a slowdown by whether it found no queue. Flows of uTP slow down together after a
// loss; a queue that stays is that of TCP. A single slowdown can find none because TCP has just cut
// its window.
func (l *ledbat) drained(calm bool) {
	switch {
	case !calm:
		l.crowded, l.calm = l.crowded || l.suspect, 0
	case l.crowded:
		l.calm++
		if l.calm == slowdownCalm {
			l.crowded, l.calm = false, 0
		}
	}
	l.suspect = false
}

// lost halves the window after a loss. The caller calls it once for each round trip.
func (l *ledbat) lost(now, rtt time.Duration) {
	if l.slowdown == draining {
		l.threshold = max(l.threshold/2, minWindow*l.packet)
		return
	}
	l.uncut, l.uncutSlow = l.window, l.slowStart
	l.window = max(l.window/2, minWindow*l.packet)
	overflow := !l.slowStart && l.queue > l.target/slowdownQueue
	l.endSlowStart(now, rtt)
	switch {
	case overflow && !l.crowded && now >= l.joinFrom && (l.overflowAt == 0 || now-l.overflowAt > overflowApart):
		l.suspect, l.nextSlow = true, now
	case overflow || l.crowded:
		l.crowded = true
		l.nextSlow = min(l.nextSlow, now+slowdownCrowded)
	}
	if overflow {
		l.overflowAt = now
	}
}

// undo takes back the last cut, because its packet was not lost.
func (l *ledbat) undo() {
	if l.slowdown == steady && l.uncut > 0 {
		l.window, l.slowStart = max(l.window, l.uncut), l.slowStart || l.uncutSlow
	}
	l.uncut = 0
}

// timedOut begins again with the minimal window.
func (l *ledbat) timedOut() {
	if l.slowdown != draining {
		l.threshold = max(l.window/2, minWindow*l.packet)
	}
	l.window, l.slowStart, l.slowdown, l.uncut = minWindow*l.packet, true, refilling, 0
}

// idled begins again with the initial window after a pause, because the old window says nothing
// about the present state of the network.
func (l *ledbat) idled() {
	if w := initialWindow * l.packet; l.window > w && l.slowdown != draining {
		l.threshold, l.window, l.slowStart = l.window, w, true
	}
}

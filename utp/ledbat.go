package utp

import "time"

// Parameters of the congestion control.
const (
	initialWindow = 4 // packets
	minWindow     = 2 // packets
	minGain       = .25
	// A slowdown lets the queue drain, so that the delay without a queue is measured again.
	slowdownEvery   = 20 * time.Second
	slowdownLast    = 2 // round trips with the minimal window
	slowdownQueue   = 4 // a flow whose queueing delay is below target/slowdownQueue needs no slowdown
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
	threshold float64 // bytes at which slow start ends; 0 if there is none
	slowStart bool

	slowdown   phase
	phaseEnds  time.Duration // of draining
	nextSlow   time.Duration // when the next slowdown begins
	queuedOnce bool          // whether the flow filled a queue since the last slowdown
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
// what kept the sender from sending more.
func (l *ledbat) acked(now time.Duration, bytes int, queue, rtt time.Duration, limited bool) {
	if l.slowdownStep(now, queue, rtt) {
		return
	}
	acked := min(float64(bytes), l.window)
	q := float64(queue) / float64(l.target)
	switch {
	case l.slowStart && q > slowStartTarget:
		l.endSlowStart(now)
	case l.slowStart:
		if limited {
			l.window += acked
		}
		if l.threshold > 0 && l.window >= l.threshold {
			l.window = l.threshold
			l.endSlowStart(now)
		}
		return
	}
	if q <= 1 {
		if limited {
			l.window += max(1-q, minGain) * l.packet * acked / l.window
		}
		return
	}
	change := max(minGain*l.packet-l.window*(q-1), -l.window/2)
	l.window = max(l.window+change*acked/l.window, minWindow*l.packet)
}

func (l *ledbat) endSlowStart(now time.Duration) {
	l.slowStart, l.threshold = false, 0
	if l.slowdown == refilling || l.nextSlow == 0 {
		l.nextSlow = now + slowdownEvery
	}
	l.slowdown = steady
}

// slowdownStep begins and ends slowdowns. It returns true while the window must stay minimal.
func (l *ledbat) slowdownStep(now, queue, rtt time.Duration) bool {
	l.queuedOnce = l.queuedOnce || queue > l.target/slowdownQueue
	switch l.slowdown {
	case steady:
		if l.slowStart || now < l.nextSlow {
			return false
		}
		if !l.queuedOnce {
			l.nextSlow = now + slowdownEvery
			return false
		}
		l.threshold, l.window = l.window, minWindow*l.packet
		l.slowdown, l.queuedOnce = draining, false
		l.phaseEnds = now + slowdownLast*rtt
		return true
	case draining:
		if now < l.phaseEnds {
			return true
		}
		l.slowdown, l.slowStart = refilling, true
	}
	return false
}

// lost halves the window after a loss. The caller calls it once for each round trip.
func (l *ledbat) lost(now time.Duration) {
	if l.slowdown == draining {
		l.threshold = max(l.threshold/2, minWindow*l.packet)
		return
	}
	l.window = max(l.window/2, minWindow*l.packet)
	l.endSlowStart(now)
}

// timedOut begins again with the minimal window.
func (l *ledbat) timedOut() {
	if l.slowdown != draining {
		l.threshold = max(l.window/2, minWindow*l.packet)
	}
	l.window, l.slowStart, l.slowdown = minWindow*l.packet, true, refilling
}

// idled begins again with the initial window after a pause, because the old window says nothing
// about the present state of the network.
func (l *ledbat) idled() {
	if w := initialWindow * l.packet; l.window > w && l.slowdown != draining {
		l.threshold, l.window, l.slowStart = l.window, w, true
	}
}

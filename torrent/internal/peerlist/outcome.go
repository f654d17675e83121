package peerlist

import (
	"net/netip"
	"time"
)

// Outcome says how a connection went.
type Outcome uint8

// The outcomes of a connection.
const (
	OutcomeUseful    Outcome = iota // payload went either way, or it was there for long
	OutcomeUseless                  // nothing happened, or it was dropped to make room
	OutcomeBroken                   // it ended during the handshake or broke the protocol
	OutcomeDuplicate                // refused, because the same peer is connected already
	OutcomeSelf                     // it was us
)

// What follows on failures and connections.
const (
	maxFailures    = 6                // in a row, then a candidate is forgotten
	manualFailures = 1 << 30          // those that are waited for are not
	failurePause   = 30 * time.Second // after the first failure, doubled by each further one
	maxPause       = time.Hour
	usefulPause    = 10 * time.Second // after a useful connection
	uselessPause   = 5 * time.Second  // after the first useless connection, doubled by each further one
	maxUseless     = 30 * time.Minute
	manualPause    = 2 * time.Second // after the first of any of them, for addresses that are waited for
	maxManualPause = time.Minute
	maxHeard       = 4 // pauses that end early, until it was useful
	brokenFailures = 2 // an end by OutcomeBroken counts so many failures
)

// Failed says that no connection came about: refused, timed out, or ended before
// the handshake. After several in a row the candidate is forgotten, unless the user,
// the caller or a magnet link named it.
func (l *List) Failed(a netip.AddrPort, now time.Time) {
	if c := l.find(a); c != nil {
		l.fail(c, now, 1)
	}
}

func (l *List) fail(c *candidate, now time.Time, by int32) {
	limit := int32(maxFailures)
	if c.source.waitedFor() {
		limit = manualFailures
	}
	c.state = idle
	if c.failures += by; c.failures >= limit {
		l.remove(c.addr)
		return
	}
	c.retry = now.Add(c.pause(failurePause, int(c.failures)-1, maxPause))
	l.notBefore = time.Time{}
}

// pause is a pause that was doubled n times, at most limit. Those of addresses that
// somebody waits for are short.
func (c *candidate) pause(pause time.Duration, n int, limit time.Duration) time.Duration {
	if c.source.waitedFor() {
		pause, limit = manualPause, maxManualPause
	}
	for ; n > 0 && pause < limit; n-- {
		pause *= 2
	}
	return min(pause, limit)
}

// Connected says that a connection to a was made, by us, or by the peer if it
// said that it listens there. It returns false if there is one already: keep
// only one. Of addresses that are not known it keeps nothing and returns true.
func (l *List) Connected(a netip.AddrPort) bool {
	c := l.find(a)
	if c == nil {
		return true
	}
	if c.state == connected {
		return false
	}
	c.state, c.unanswered = connected, 0
	return true
}

// Disconnected says how the connection ended for which Connected was true, or
// the attempt at a candidate of Next that got past the handshake. Addresses that
// are not known are ignored, unless it was a connection to ourselves; so is
// OutcomeDuplicate for one that is connected: that is the other connection.
func (l *List) Disconnected(a netip.AddrPort, now time.Time, how Outcome) {
	if how == OutcomeSelf {
		l.AddSelf(a)
		return
	}
	c := l.find(a)
	if c == nil || how == OutcomeDuplicate && c.state == connected {
		return
	}
	c.state = idle
	l.notBefore = time.Time{}
	switch how {
	case OutcomeUseful:
		c.failures, c.useless, c.proved, c.heard = 0, 0, true, 0
		c.retry = now.Add(c.pause(usefulPause, 0, usefulPause))
	case OutcomeBroken:
		l.fail(c, now, brokenFailures)
	default:
		c.retry = now.Add(c.pause(uselessPause, int(c.useless), maxUseless))
		c.failures, c.useless = 0, min(c.useless+1, 100)
	}
}

// Unanswered notes that a took the connection and ended it without a handshake.
func (l *List) Unanswered(a netip.AddrPort) {
	if c := l.find(a); c != nil {
		c.unanswered++
	}
}

// UnansweredAt returns how many handshakes in a row were not answered at a.
func (l *List) UnansweredAt(a netip.AddrPort) int {
	if c := l.find(a); c != nil {
		return int(c.unanswered)
	}
	return 0
}

// Heard says that a peer spoke up at a by other means than a connection, and wants
// more than it has, for all that is known. One that waits to be tried again is tried
// now: a few times, until it has been useful, for anybody may say so of any address.
func (l *List) Heard(a netip.AddrPort, now time.Time) {
	c := l.find(a)
	if c == nil || !c.seed && !now.Before(c.retry) || c.heard >= maxHeard {
		return
	}
	c.heard++
	c.seed, c.retry = false, time.Time{}
	l.notBefore = time.Time{}
}

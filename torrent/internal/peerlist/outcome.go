package peerlist

import (
	"net/netip"
	"time"
)

// Outcome says how a connection ended.
type Outcome uint8

// The outcomes of a connection.
const (
	OutcomeUseful    Outcome = iota // payload was transferred, or the connection lasted long
	OutcomeUseless                  // no payload was transferred, or the connection was closed to give its slot to another peer
	OutcomeFull                     // the peer answered the handshake and sent nothing more, as one does that has no free slot
	OutcomeBroken                   // the connection ended during the handshake, or the peer violated the protocol
	OutcomeDuplicate                // the connection was a second one to the same peer
	OutcomeSelf                     // the connection was to ourselves
)

// Consequences of failures and connections.
const (
	maxFailures    = 6                // failures in a row after which a candidate is forgotten
	chosenFailures = 1 << 30          // the same for candidates of a chosen source
	failurePause   = 30 * time.Second // pause after the first failure, doubled by each further one
	maxPause       = time.Hour
	usefulPause    = 10 * time.Second // pause after a useful connection
	uselessPause   = 5 * time.Second  // pause after the first useless connection, doubled by each further one
	maxUseless     = 30 * time.Minute
	fullPause      = time.Second     // pause after a peer was full, doubled by each second further useless connection
	chosenPause    = 2 * time.Second // replaces the pauses above for candidates of a chosen source
	maxChosenPause = time.Minute
	maxHeard       = 4 // pauses of a candidate that Heard ends until the next useful connection
	brokenFailures = 2 // failures that OutcomeBroken counts as
)

// Failed records that a connection to a failed: it was refused, timed out, or ended before
// the handshake. After several failures in a row the candidate is forgotten, unless the
// user, the caller or a magnet link chose it. A failure of the proxy does not count.
func (l *List) Failed(a netip.AddrPort, now time.Time) {
	if c := l.find(a); c != nil {
		l.fail(c, now, 1)
	}
}

func (l *List) fail(c *candidate, now time.Time, by int32) {
	limit := int32(maxFailures)
	if c.source.chosen() {
		limit = chosenFailures
	}
	c.state = idle
	if c.failure == NoProxy {
		by = 0 // it says nothing about the candidate
	}
	c.failures += by
	if c.failures >= limit {
		l.remove(c.addr)
		return
	}
	c.retry = now.Add(c.pause(failurePause, int(c.failures)-1, maxPause))
	l.notBefore = time.Time{}
}

// pause returns the given pause, doubled n times, but at most limit. Candidates of a chosen
// source get a short pause.
func (c *candidate) pause(pause time.Duration, n int, limit time.Duration) time.Duration {
	if c.source.chosen() {
		pause, limit = chosenPause, maxChosenPause
	}
	for ; n > 0 && pause < limit; n-- {
		pause *= 2
	}
	return min(pause, limit)
}

// Connected records a connection to a peer that listens at a, whichever side began it. It
// returns false if such a connection is recorded already. It returns true if a is not a
// candidate.
func (l *List) Connected(a netip.AddrPort) bool {
	c := l.find(a)
	if c == nil {
		return true
	}
	if c.state == connected {
		return false
	}
	c.state, c.unanswered, c.failure = connected, 0, NoFailure
	return true
}

// Disconnected records how a connection to a ended. It is called for a connection for which
// Connected returned true, and for a connection to an address from Next that ended after the
// handshake. It ignores an address that is not a candidate, except for OutcomeSelf. It ignores
// OutcomeDuplicate for a connected candidate, because the other connection stays.
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
		c.failures, c.useless, c.heard = 0, 0, 0
		c.retry = now.Add(c.pause(usefulPause, 0, usefulPause))
	case OutcomeBroken:
		l.fail(c, now, brokenFailures)
	case OutcomeFull:
		c.wasUseless(now, fullPause, int(c.useless)/2)
	default:
		c.wasUseless(now, uselessPause, int(c.useless))
	}
}

// wasUseless records a connection that was of no use. The next one waits for the pause, doubled n times.
func (c *candidate) wasUseless(now time.Time, pause time.Duration, n int) {
	c.retry = now.Add(c.pause(pause, n, maxUseless))
	c.failures, c.useless = 0, min(c.useless+1, 100)
}

// Unanswered records that a peer closed a connection to a without a handshake.
func (l *List) Unanswered(a netip.AddrPort) {
	if c := l.find(a); c != nil {
		c.unanswered++
	}
}

// UnansweredAt returns the number of unanswered handshakes in a row at a.
func (l *List) UnansweredAt(a netip.AddrPort) int {
	if c := l.find(a); c != nil {
		return int(c.unanswered)
	}
	return 0
}

// Heard records that the peer at a announced itself, and may want data. It ends the pause of
// the candidate, but only a few times until the next useful connection, because any host
// can announce any address.
func (l *List) Heard(a netip.AddrPort, now time.Time) {
	c := l.find(a)
	if c == nil || !c.seed && !now.Before(c.retry) || c.heard >= maxHeard {
		return
	}
	c.heard++
	c.seed, c.retry = false, time.Time{}
	l.notBefore = time.Time{}
}

package peerlist

import "net/netip"

// Failure says why the last connection to a candidate failed.
type Failure uint8

// The kinds of failures.
const (
	NoFailure  Failure = iota // the candidate was not tried, or the last connection succeeded
	TimedOut                  // the host did not answer
	Refused                   // the host refused the connection
	NoRoute                   // no route leads to the host
	Unanswered                // the peer accepted the connection and sent no handshake
	NoMetadata                // the peer answered, but did not send the metadata of a magnet link
	NoProxy                   // the proxy failed, so that the host was not tried
	Otherwise                 // another error
	numFailures
)

// SetFailure records why a connection to a failed. The caller calls [List.Failed] too.
func (l *List) SetFailure(a netip.AddrPort, why Failure) {
	if c := l.find(a); c != nil {
		c.failure = why
	}
}

// Counts are the numbers of candidates by their state.
type Counts struct {
	// Known counts all candidates. Trying counts those that are being tried and have not failed
	// before.
	Known, Trying, Connected int
	// ByFailure counts the other candidates by the outcome of the last connection.
	ByFailure [numFailures]int
}

// Counts counts the candidates.
func (l *List) Counts() (n Counts) {
	n.Known = len(l.all)
	for i := range l.all {
		switch c := &l.all[i]; {
		case c.state == connected:
			n.Connected++
		case c.state == trying && c.failure == NoFailure:
			n.Trying++
		default:
			n.ByFailure[c.failure]++
		}
	}
	return n
}

// Found returns how many addresses the source was the first to name.
func (l *List) Found(src Source) int {
	if int(src) >= len(l.found) {
		return 0
	}
	return l.found[src]
}

// Inherit adds the candidates of another list that the list accepts.
func (l *List) Inherit(from *List) {
	for i := range from.all {
		l.Add([]netip.AddrPort{from.all[i].addr}, from.all[i].source)
	}
}

// FailedLast reports whether a is a candidate that is idle, because the last attempt to connect to
// it got no connection.
func (l *List) FailedLast(a netip.AddrPort) bool {
	c := l.find(a)
	return c != nil && c.state == idle && (c.failure == TimedOut || c.failure == Refused || c.failure == NoRoute || c.failure == Otherwise)
}

// Dialable returns the number of candidates that are not connected and did not fail more than once
// since they were last reached, but at most limit.
func (l *List) Dialable(limit int) (n int) {
	for i := range l.all {
		if n >= limit {
			break
		}
		if c := &l.all[i]; c.state != connected && c.failures <= 1 && !(c.seed && l.seeding) {
			n++
		}
	}
	return n
}

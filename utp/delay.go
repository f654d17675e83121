package utp

import "time"

// Bounds of a history.
const (
	historyLen  = 10 // BASE_HISTORY of RFC 6817, in minutes
	historyStep = time.Minute
	filterLen   = 4 // CURRENT_FILTER of RFC 6817: the least of so many samples counts
)

// history keeps the lowest of the delays of the last minutes, in microseconds. Delays are
// differences of two clocks, so they have an unknown offset and wrap: they are only compared
// with each other.
type history struct {
	lows   [historyLen]uint32 // the lowest delay of each minute
	used   int
	began  time.Duration // when the newest minute began
	recent [filterLen]uint32
	count  int // samples so far, up to filterLen
	next   int
	low    uint32 // the lowest of lows
}

// lower reports whether the delay a is lower than b.
func lower(a, b uint32) bool { return int32(a-b) < 0 }

// add adds a sample.
func (d *history) add(now time.Duration, sample uint32) {
	switch {
	case d.used == 0:
		d.used, d.began, d.low = 1, now, sample
		d.lows[0] = sample
	case now-d.began >= historyStep:
		copy(d.lows[1:], d.lows[:])
		d.used, d.began = min(d.used+1, historyLen), now
		d.lows[0], d.low = sample, sample
		for _, l := range d.lows[1:d.used] {
			if lower(l, d.low) {
				d.low = l
			}
		}
	case lower(sample, d.lows[0]):
		d.lows[0] = sample
		if lower(sample, d.low) {
			d.low = sample
		}
	}
	d.recent[d.next] = sample
	d.next = (d.next + 1) % filterLen
	d.count = min(d.count+1, filterLen)
}

// excess returns by how much the recent samples exceed the lowest one, in microseconds.
func (d *history) excess() uint32 {
	if d.count == 0 {
		return 0
	}
	best := d.recent[0]
	for _, r := range d.recent[1:d.count] {
		if lower(r, best) {
			best = r
		}
	}
	if lower(best, d.low) {
		return 0
	}
	return best - d.low
}

// shift moves the lowest delays by a change of the offset between the clocks.
func (d *history) shift(by uint32) {
	for i := range d.lows {
		d.lows[i] += by
	}
	d.low += by
}

// Limits of the corrections of clocks.
const (
	maxDrift  = 10_000 // microseconds; a base that falls by more has another cause than drift, as in libutp
	clockJump = 20_000 // microseconds by which a one-way delay must exceed the possible before a clock must have jumped
)

// queueing estimates the delay that packets spend in queues on their way to the peer. One-way
// delays tell it apart from queues on the way back, and the round-trip time bounds it, whatever
// the clocks do.
type queueing struct {
	ours   history // of packets to the peer, measured by the peer
	theirs history // of packets from the peer
	rtt    history
}

// received adds the delay of a packet from the peer. If the lowest of these delays falls, the
// clocks drift apart, and the delays of the other direction rise by as much.
func (q *queueing) received(now time.Duration, delay uint32) {
	old, known := q.theirs.low, q.theirs.used > 0
	q.theirs.add(now, delay)
	if fall := old - q.theirs.low; known && fall > 0 && fall <= maxDrift {
		q.ours.shift(fall)
	}
}

// acked adds the round-trip time of a packet, and its one-way delay if it is not 0, and returns
// the current estimate.
func (q *queueing) acked(now time.Duration, delay uint32, rtt time.Duration) time.Duration {
	us := uint32(min(rtt.Microseconds(), 1<<30))
	q.rtt.add(now, us)
	bound := us - q.rtt.low
	if delay == 0 {
		return time.Duration(q.rtt.excess()) * time.Microsecond
	}
	q.ours.add(now, delay)
	if over := delay - q.ours.low - bound; delay-q.ours.low > bound && over > clockJump {
		q.ours.shift(over)
	}
	return time.Duration(min(q.ours.excess(), bound)) * time.Microsecond
}

// baseRTT returns the lowest round-trip time of the last minutes, or 0.
func (q *queueing) baseRTT() time.Duration { return time.Duration(q.rtt.low) * time.Microsecond }

package sctp

import "time"

// minPassed is how many packets that were sent later must have arrived for a packet to be lost, as
// long as no packets were seen to overtake others.
const minPassed = 3

// calmLosses is after how many losses in a row, none of which was a mistake, a sender waits less for
// packets that others overtook (RFC 8985, 6.2).
const calmLosses = 16

// reordering is what a sender knows about packets that overtake others on the way (RFC 8985).
type reordering struct {
	seen    bool
	quarter int    // how many quarters of a round trip to wait for a packet, less one
	raised  uint64 // quarter does not grow for packets up to this order
	calm    int    // losses since quarter grew

	// The windows before the last loss, which return if all cells that are lost since had arrived.
	// unsure is the number of those that were not found to have arrived, and epoch names them; it is
	// 0 if the windows do not return.
	window, threshold int
	unsure            int
	epoch             uint64
}

// wait returns how long to wait for a packet after others that were sent later have arrived.
func (t *sender) wait() time.Duration {
	if !t.reorder.seen {
		return 0
	}
	return min(t.srtt, time.Duration(1+t.reorder.quarter)*t.minRTT/4)
}

// findLost marks the cells as lost that others have overtaken, if these are enough, or if the time
// in which they may still arrive is over. It returns when that time is over for the next cell, or
// zero. The first loss in a window makes the window smaller.
func (t *sender) findLost(now time.Time) (next time.Time) {
	shrink := false
	r := &t.reorder
	var newly []*cell
	for i, x := range t.cells[:t.sent] {
		switch {
		case x.acked || x.lost || x.order >= t.top:
			continue
		case r.seen:
			if due := x.at.Add(max(t.srtt, t.lastRTT) + t.wait()); now.Before(due) {
				if next.IsZero() || due.Before(next) {
					next = due
				}
				continue
			}
		case x.order+minPassed > t.top:
			continue
		}
		x.lost = true
		t.lost++
		t.flight -= x.n
		t.lostAt = min(t.lostAt, i)
		newly = append(newly, x)
		shrink = shrink || x.order > t.recovery
	}
	if shrink {
		r.calm++
		if r.calm >= calmLosses {
			r.quarter, r.calm = 0, 0
		}
		r.window, r.threshold = t.window, t.threshold
		r.unsure, r.epoch = 0, t.order
		t.threshold = max(leastWindow, t.window/2)
		t.window, t.partial, t.recovery = t.threshold, 0, t.order
	}
	for _, x := range newly {
		x.epoch = r.epoch
		r.unsure++
	}
	return next
}

// wasNotLost records that a cell had arrived, or arrived late, that was taken for lost.
func (t *sender) wasNotLost(x *cell) {
	r := &t.reorder
	if x.order > r.raised && r.seen {
		r.quarter, r.calm = min(r.quarter+1, 3), 0
		r.raised = t.order
	}
	r.seen = true
	if r.epoch == 0 || x.epoch != r.epoch {
		return
	}
	x.epoch = 0
	r.unsure--
	if r.unsure == 0 {
		t.window, t.threshold = max(t.window, r.window), max(t.threshold, r.threshold)
		t.recovery, r.epoch = 0, 0
	}
}

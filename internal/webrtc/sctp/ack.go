package sctp

import (
	"encoding/binary"
	"time"
)

// Times until a packet is taken for lost without an acknowledgment.
const (
	firstRTO = time.Second
	leastRTO = 300 * time.Millisecond
	mostRTO  = 10 * time.Second

	maxTimeouts = 10 // in a row; the connection ends then
)

// receiveSack handles an acknowledgment.
func (c *Channel) receiveSack(v []byte, now time.Time) {
	if len(v) < sackHeader-chunkHeader {
		return
	}
	t := &c.tx
	tsn, window := binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:])
	gaps := v[sackHeader-chunkHeader:]
	gaps = gaps[:min(len(gaps), sackGapLen*int(binary.BigEndian.Uint16(v[8:])))&^3]
	done := int(int32(tsn - (t.first - 1)))
	if done < 0 {
		return // an old one
	}
	if done > t.sent {
		c.abort() // it acknowledges what was never sent
		return
	}
	full := t.flight >= t.window/2 // otherwise the window is larger than needed
	a := acked{now: now}
	for i, x := range t.cells[:done] {
		t.ack(x, &a)
		t.bytes -= x.n
		if x.ppid == ppidBinary {
			t.acked += uint64(x.n)
		}
		t.cells[i] = nil
		cells.Put(x)
	}
	t.cells = t.cells[done:]
	if len(t.cells) == 0 {
		t.cells = nil
	}
	t.sent -= done
	t.first += uint32(done)
	t.lostAt = max(0, t.lostAt-done)
	t.ackGaps(gaps, &a)
	if a.fresh {
		t.measure(a.rtt)
	}
	c.time.late = time.Time{}
	if len(gaps) > 0 || t.sent > 0 && t.cells[0].order < t.top {
		c.time.late = t.findLost(now)
	}
	if full {
		t.grow(a.grows)
	}
	t.peerWindow = int(min(window, 1<<30))
	if a.bytes > 0 {
		t.timeouts = 0
	}
	switch {
	case t.sent == 0:
		c.time.rtx = time.Time{}
	case done > 0:
		c.time.rtx = now.Add(t.rto())
	}
}

// acked collects what an acknowledgment says.
type acked struct {
	now   time.Time
	bytes int           // that were not acknowledged before
	grows int           // those of them that make the window larger
	order uint64        // of the packet that was sent last
	rtt   time.Duration // since it was sent
	fresh bool          // it was sent once only, so that rtt is known
}

// ack marks a cell as acknowledged.
func (t *sender) ack(x *cell, a *acked) {
	if x.acked {
		return
	}
	x.acked = true
	age := a.now.Sub(x.at)
	needless := x.lost || x.sends > 1 && age < t.minRTT // the acknowledgment is for an earlier copy
	if x.lost {
		x.lost = false
		t.lost--
	} else {
		t.flight -= x.n
	}
	switch {
	case needless && t.timeouts == 0:
		t.wasNotLost(x)
	case x.sends == 1 && x.order < t.top:
		t.reorder.seen = true
	}
	a.bytes += x.n
	if x.order > t.recovery {
		a.grows += x.n
	}
	if x.order > a.order {
		a.order, a.rtt, a.fresh = x.order, age, x.sends == 1
	}
	if x.sends > 1 && age < t.minRTT {
		return
	}
	t.top = max(t.top, x.order)
}

// ackGaps marks the cells in the gap blocks as acknowledged. Blocks that do not ascend are ignored,
// so that the work for a packet is bounded.
func (t *sender) ackGaps(gaps []byte, a *acked) {
	for at := 1; len(gaps) >= sackGapLen; gaps = gaps[sackGapLen:] {
		begin, end := int(binary.BigEndian.Uint16(gaps)), int(binary.BigEndian.Uint16(gaps[2:]))
		if begin <= at || end < begin || end > t.sent {
			return
		}
		for _, x := range t.cells[begin-1 : end] {
			t.ack(x, a)
		}
		at = end
	}
}

// grow makes the window larger: by all bytes that are acknowledged below the threshold, and by a
// cell each time a window of bytes is acknowledged above it.
func (t *sender) grow(bytes int) {
	if t.window < t.threshold {
		t.window += bytes
	} else if t.partial += bytes; t.partial >= t.window {
		t.partial -= t.window
		t.window += t.cellLen
	}
	t.window = min(t.window, maxWindow)
}

// measure takes the time from a packet to its acknowledgment into the timeout (RFC 9260, 6.3.1).
func (t *sender) measure(rtt time.Duration) {
	t.lastRTT = rtt
	if t.srtt == 0 {
		t.srtt, t.variance, t.minRTT = rtt, rtt/2, rtt
	} else {
		t.variance += ((t.srtt - rtt).Abs() - t.variance) / 4
		t.srtt += (rtt - t.srtt) / 8
		t.minRTT = min(t.minRTT, rtt)
	}
}

// rto returns how long to wait for an acknowledgment.
func (t *sender) rto() time.Duration {
	wait := firstRTO
	if t.srtt > 0 {
		wait = max(leastRTO, t.srtt+4*t.variance)
	}
	return min(mostRTO, wait<<min(t.timeouts, 6))
}

// timeout handles that no acknowledgment came. It sends the first packet again as a probe, whose
// acknowledgment tells which others are lost. After a second timeout all packets in flight are
// lost, with those in gap blocks, which the other side may have dropped (RFC 9260, 6.2).
func (c *Channel) timeout(now time.Time) {
	t := &c.tx
	t.timeouts++
	if t.timeouts > maxTimeouts && t.peerWindow >= t.cellLen {
		c.endLocked(ErrSilent)
		return
	}
	for _, x := range t.cells[:t.sent] {
		if !x.lost {
			x.lost = true
			t.lost++
			if !x.acked {
				t.flight -= x.n
			}
			x.acked = false
		}
		if t.timeouts == 1 {
			break
		}
	}
	t.lostAt, t.reorder.epoch = 0, 0
	if t.timeouts > 1 && t.peerWindow >= t.cellLen {
		t.threshold = max(leastWindow, t.window/2)
		t.window, t.partial, t.recovery = t.cellLen, 0, t.order
	}
	t.probe = true
	c.time.rtx = now.Add(t.rto())
}

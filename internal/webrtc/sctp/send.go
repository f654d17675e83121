package sctp

import (
	"encoding/binary"
	"time"
)

// Bounds of what is sent.
const (
	maxSentCells = 2 * maxWindow / cellLen // cells that were sent and not removed
	maxBurst     = 32 * cellLen            // bytes that the sender waits for before it sends, so that packets leave in long runs
	firstWindow  = 10 * cellLen            // RFC 6928
	leastWindow  = 4 * cellLen
)

// sender is the state of the bytes that leave.
type sender struct {
	first      uint32  // the TSN of cells[0]
	firstReset uint32  // the number of this side's first request to close a stream
	cells      []*cell // the cells that were not removed, in order
	sent       int     // cells that were sent at least once; the others are behind them
	cellLen    int     // bytes in a full cell
	perMessage int     // cells in a full message
	inMessage  int     // cells of the message that was not ended
	ssn        uint16  // the number of the current message
	bytes      int     // bytes in cells
	unsent     int     // bytes in cells that were never sent
	acked      uint64  // bytes that Write got and that were acknowledged
	flight     int     // bytes that were sent and are neither acknowledged nor lost
	lost       int     // cells that are lost and were not sent again
	lostAt     int     // no cell before this one is lost
	probe      bool    // the next cell that is lost is sent whatever the window is

	peerWindow int // bytes that the other side takes in flight
	window     int // the congestion window in bytes
	threshold  int // where the window begins to grow slowly
	partial    int // acknowledged bytes since the window last grew slowly

	order    uint64 // packets that were sent; the order of the last one
	top      uint64 // the highest order that was acknowledged
	recovery uint64 // losses up to this order have made the window smaller
	reorder  reordering

	srtt, variance, minRTT, lastRTT time.Duration
	timeouts                        int // without an acknowledgment between them
}

func (t *sender) init(tsn uint32, longest int) {
	t.first, t.firstReset = tsn, tsn
	longest = max(1, min(longest, maxMessage))
	t.cellLen = min(cellLen, longest)
	t.perMessage = longest / t.cellLen
	t.window, t.threshold = firstWindow, maxWindow
}

// sendLocked sends acknowledgments and cells, as far as the windows allow.
func (c *Channel) sendLocked(now time.Time) {
	if c.err != nil {
		return
	}
	if c.state == established {
		t, r := &c.tx, &c.rx
		ack, burst := r.wantsAck(now, c.time.ack), t.worthSending()
		for {
			i := t.next(burst)
			if i < 0 && !ack {
				break
			}
			b := c.begin(c.peerTag)
			if ack || r.packets > 0 && len(b)+sackHeader+sackGapLen*maxGaps+dataHeader+t.cells[i].n <= MaxPacket {
				b, ack = c.appendAck(b), false
			}
			for i >= 0 && len(b)+dataHeader+t.cells[i].n <= MaxPacket {
				b = c.appendCell(b, i, now)
				i = t.next(burst)
			}
			c.queue(b)
		}
		if r.packets > 0 && c.time.ack.IsZero() {
			c.time.ack = now.Add(ackDelay)
		}
		if t.unsent <= maxUnsent/2 {
			c.writers.wake()
		}
	}
	c.arm(now)
}

// worthSending reports whether enough new bytes may be sent. Otherwise the sender waits for more
// acknowledgments, which come because three quarters of the window are in flight.
func (t *sender) worthSending() bool {
	window := min(t.window, t.peerWindow)
	room := window - t.flight
	return t.flight == 0 || room >= t.unsent || room >= min(maxBurst, window/4)
}

// next returns the index of the cell to send next, or -1: first those that are lost. One cell may
// always be in flight (RFC 9260, 6.1).
func (t *sender) next(burst bool) int {
	for t.lost > 0 && t.lostAt < t.sent {
		x := t.cells[t.lostAt]
		if x.lost {
			if t.probe || t.flight == 0 || t.flight+x.n <= t.window {
				return t.lostAt
			}
			return -1
		}
		t.lostAt++
	}
	if !burst || t.sent == len(t.cells) || t.sent >= maxSentCells {
		return -1
	}
	if n := t.flight + t.cells[t.sent].n; t.flight > 0 && n > min(t.window, t.peerWindow) {
		return -1
	}
	return t.sent
}

// appendCell appends a cell as a DATA chunk.
func (c *Channel) appendCell(b []byte, i int, now time.Time) []byte {
	t := &c.tx
	x := t.cells[i]
	last := i == len(t.cells)-1
	if x.sends == 0 {
		t.sent++
		t.unsent -= x.n
		t.place(x, last)
	} else {
		x.lost = false
		t.lost--
		t.probe = false
	}
	t.order++
	x.sends++
	x.at, x.order = now, t.order
	t.flight += x.n
	if c.time.rtx.IsZero() || i == 0 {
		c.time.rtx = now.Add(t.rto())
	}
	flags := x.flags
	if last || x.sends > 1 {
		flags |= flagImmediate
	}
	b = append(b, kindData, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(dataHeader+x.n))
	b = binary.BigEndian.AppendUint32(b, t.first+uint32(i))
	b = binary.BigEndian.AppendUint16(b, c.stream)
	b = binary.BigEndian.AppendUint16(b, x.ssn)
	b = append(b, 0, 0, 0, x.ppid)
	b = append(b, x.data[:x.n]...)
	return append(b, 0, 0, 0)[:len(b)+(-x.n&3)]
}

// place gives a cell its place in a message. A message ends if no more bytes wait.
func (t *sender) place(x *cell, last bool) {
	x.ssn = t.ssn
	if t.inMessage == 0 {
		x.flags = flagBegin
	}
	t.inMessage++
	if last || x.ppid == ppidDCEP || t.inMessage == t.perMessage {
		x.flags |= flagEnd
		t.inMessage = 0
		t.ssn++
	}
}

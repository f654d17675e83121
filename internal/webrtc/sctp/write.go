package sctp

import (
	"io"
	"os"
	"sync"
	"time"
)

// cell holds the bytes of one DATA chunk until they are acknowledged. It fills a packet, unless no
// more bytes waited when it was sent.
type cell struct {
	n           int // bytes of data
	ppid        byte
	flags       byte
	ssn         uint16
	sends       int  // how often it was sent
	acked, lost bool // at most one of them
	order       uint64
	epoch       uint64    // of the loss with which it was taken for lost; see reordering
	at          time.Time // when it was last sent
	data        [cellLen]byte
}

var cells = sync.Pool{New: func() any { return new(cell) }}

// Write writes all of b. It waits while [maxUnsent] bytes wait to be sent.
func (c *Channel) Write(b []byte) (n int, err error) {
	c.mu.Lock()
	defer c.unlock()
	for {
		switch {
		case c.err != nil && c.err != io.EOF:
			return n, c.err
		case c.err != nil, c.reset:
			return n, io.ErrClosedPipe
		case c.writers.over():
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		}
		m := min(len(b), maxUnsent-c.tx.unsent)
		if m <= 0 {
			c.opt.Output.Flush()
			c.writers.cond.Wait()
			continue
		}
		c.tx.add(ppidBinary, b[:m])
		n, b = n+m, b[m:]
		c.sendLocked(time.Now())
	}
}

// Unacked returns the number of bytes that were written and that the other side has not
// acknowledged.
func (c *Channel) Unacked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tx.bytes
}

// Progress returns the smoothed round-trip time, or 0 before it was measured, and the numbers of
// bytes of this side that the other side has acknowledged, that it has not acknowledged, and that
// were not sent yet. The last two are 0 after the end.
func (c *Channel) Progress() (rtt time.Duration, acked uint64, unacked, unsent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tx.srtt, c.tx.acked, c.tx.bytes, c.tx.unsent
}

// SetWriteDeadline sets the time after which Write fails. The zero value means never.
func (c *Channel) SetWriteDeadline(t time.Time) { c.writers.set(t) }

// add appends bytes to the cells.
func (t *sender) add(ppid byte, b []byte) {
	t.bytes += len(b)
	t.unsent += len(b)
	for len(b) > 0 {
		var last *cell
		if len(t.cells) > t.sent {
			last = t.cells[len(t.cells)-1]
		}
		if last == nil || last.n == t.cellLen || last.ppid != ppid {
			last = cells.Get().(*cell)
			last.n, last.ppid, last.flags, last.sends, last.acked, last.lost, last.epoch = 0, ppid, 0, 0, false, false, 0
			t.cells = append(t.cells, last)
		}
		m := copy(last.data[last.n:t.cellLen], b)
		last.n += m
		b = b[m:]
	}
}

// release gives all cells back.
func (t *sender) release() {
	for _, x := range t.cells {
		cells.Put(x)
	}
	t.cells, t.sent, t.bytes, t.unsent, t.flight, t.lost = nil, 0, 0, 0, 0, 0
}

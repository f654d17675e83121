package sctp

import (
	"io"
	"os"
	"sync"
	"time"
)

// Read reads bytes that have arrived. It returns [io.EOF] after the other side has closed the
// channel.
func (c *Channel) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	defer c.unlock()
	for {
		if c.readers.over() {
			return 0, os.ErrDeadlineExceeded
		}
		if c.rx.buf.n > 0 {
			n := c.rx.buf.read(b)
			c.windowGrew()
			return n, nil
		}
		if c.err != nil {
			return 0, c.err
		}
		if c.reset {
			return 0, io.EOF
		}
		c.readers.cond.Wait()
	}
}

// windowGrew tells the other side about room for bytes, if it may wait for it.
func (c *Channel) windowGrew() {
	if r := &c.rx; c.err == nil && r.told < maxReceive/2 && r.room() >= r.told+maxReceive/4 {
		r.now = true
		c.sendLocked(time.Now())
	}
}

// SetReadDeadline sets the time after which Read fails. The zero value means never.
func (c *Channel) SetReadDeadline(t time.Time) { c.readers.set(t) }

// waiters are the goroutines that wait in Read or in Write. The lock of cond guards the fields.
type waiters struct {
	cond     sync.Cond
	deadline time.Time
	timer    *time.Timer
}

func (w *waiters) wake() { w.cond.Broadcast() }

// over reports whether the deadline has passed.
func (w *waiters) over() bool { return !w.deadline.IsZero() && !time.Now().Before(w.deadline) }

// set sets the deadline.
func (w *waiters) set(t time.Time) {
	w.cond.L.Lock()
	defer w.cond.L.Unlock()
	w.deadline = t
	if w.timer != nil {
		w.timer.Stop()
	}
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		if w.timer == nil {
			w.timer = time.AfterFunc(wait, func() {
				w.cond.L.Lock()
				defer w.cond.L.Unlock()
				w.wake()
			})
		} else {
			w.timer.Reset(wait)
		}
	}
	w.wake()
}

// blockLen is the length of the blocks of a bytesQueue.
const blockLen = 16 << 10

type block [blockLen]byte

var blocks = sync.Pool{New: func() any { return new(block) }}

// bytesQueue is a queue of bytes. It holds no memory while it is empty.
type bytesQueue struct {
	n      int // bytes in the queue
	blocks []*block
	first  int // bytes of the first block that were read
}

func (q *bytesQueue) add(b []byte) {
	for len(b) > 0 {
		end := (q.first + q.n) % blockLen
		if q.first+q.n == len(q.blocks)*blockLen {
			q.blocks = append(q.blocks, blocks.Get().(*block))
			end = 0
		}
		m := copy(q.blocks[len(q.blocks)-1][end:], b)
		b = b[m:]
		q.n += m
	}
}

func (q *bytesQueue) read(b []byte) (n int) {
	for n < len(b) && q.n > 0 {
		m := copy(b[n:], q.blocks[0][q.first:min(blockLen, q.first+q.n)])
		n += m
		q.n -= m
		if q.first += m; q.first == blockLen || q.n == 0 {
			blocks.Put(q.blocks[0])
			q.blocks[0] = nil
			q.blocks, q.first = q.blocks[1:], 0
		}
	}
	if q.n == 0 {
		q.release()
	}
	return n
}

func (q *bytesQueue) release() {
	for _, b := range q.blocks {
		blocks.Put(b)
	}
	*q = bytesQueue{}
}

package utp

import "time"

// A fast peer sends more packets while its last bytes are being handled. A reader that reads as
// soon as any have arrived wakes for every few packets, and each byte is copied into the queue of
// the connection and out of it again. So TryRead of a fast peer waits for a moment and lets the
// packets be copied straight into the memory of the reader.
const (
	gatherFrom  = 64 << 10             // bytes of one read from which a peer counts as fast
	gatherBytes = 192 << 10            // bytes that a reader waits for
	gatherMost  = 2 * time.Millisecond // the longest wait
)

// gatherer lets a reader wait for many bytes. The lock of the connection guards it.
type gatherer struct {
	fast  bool        // the peer sends so fast that waiting pays
	timer *time.Timer // ends the wait; nil before the first
	over  bool        // the timer has fired
}

// gather waits until many bytes have arrived, the connection fails, or gatherMost has passed. It
// returns how many bytes of p they fill. The caller holds the lock, and nothing can be read.
func (c *Conn) gather(p []byte) int {
	g, r := &c.gatherer, &c.m.r
	if r.into != nil { // another reader waits
		return 0
	}
	r.into, r.filled, g.over = p[:min(len(p), gatherBytes)], 0, false
	if g.timer == nil {
		g.timer = time.AfterFunc(gatherMost, c.gatherEnd)
	} else {
		g.timer.Reset(gatherMost)
	}
	for !g.over && !c.read.passed && !c.gathered() {
		c.readers.Wait()
	}
	g.timer.Stop()
	g.fast = r.filled == len(r.into)
	r.into = nil
	return r.filled
}

// gathered reports whether a reader can go on. The caller holds the lock.
func (c *Conn) gathered() bool {
	n, eof := c.m.readable()
	r := &c.m.r
	return n > 0 || eof || c.m.closed || r.into != nil && r.filled == len(r.into)
}

// gatherEnd ends a wait. If the timer fires late, it may end the next wait early, which does no
// harm.
func (c *Conn) gatherEnd() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gatherer.over = true
	c.readers.Broadcast()
}

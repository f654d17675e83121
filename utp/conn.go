package utp

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a uTP connection. It implements [net.Conn]; its methods are safe for concurrent use.
//
// Close sends what was written, and returns at once; the Socket delivers the rest in the
// background for up to 20 seconds. If a quarter of Options.MaxConns are delivering, Close drops what
// was not sent, as Abort does. If the peer has ended its side, Read returns [io.EOF], and
// Write still works.
type Conn struct {
	s      *Socket
	key    connKey
	syn    uint16        // the sequence number of the peer's SYN, if the peer dialled
	dialed chan struct{} // closed when a dialled connection is open or has failed; nil if the peer dialled
	wakeAt atomic.Int64  // when timers calls the connection; never if it does not
	heapAt int           // its place in the heap of timers, or -1; guarded by the lock of timers

	mu       sync.Mutex // guards all below
	m        machine
	local    netip.Addr // the address of this machine that the peer uses, if it is known
	readers  sync.Cond  // signalled when Read can go on
	writers  sync.Cond  // signalled when Write can go on
	writing  int        // calls of Write that wait
	read     deadline
	write    deadline
	settled  bool // dialed is closed
	released bool // the Socket has forgotten the connection
	lingers  bool // the connection counts in Socket.lingering
	gatherer gatherer
}

// deadline is the deadline of reads or writes.
type deadline struct {
	at     time.Time
	timer  *time.Timer
	passed bool
}

func newConn(s *Socket, key connKey, m *machine) *Conn {
	c := &Conn{s: s, key: key, m: *m, heapAt: -1}
	c.m.r.all = &s.reordered
	c.readers.L, c.writers.L = &c.mu, &c.mu
	c.wakeAt.Store(int64(never))
	return c
}

// Read reads received bytes. It returns [io.EOF] after the last if the peer has ended the stream.
func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		n, err := c.readNow(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		c.readers.Wait()
	}
}

// readNow reads bytes that have arrived. It returns 0 and no error if none have. The caller holds
// the lock.
func (c *Conn) readNow(p []byte) (int, error) {
	switch {
	case c.m.closed:
		return 0, c.fail("read", net.ErrClosed)
	case c.read.passed:
		return 0, c.fail("read", os.ErrDeadlineExceeded)
	}
	if n := c.m.r.read(p); n > 0 || len(p) == 0 {
		if c.m.r.ackNow {
			c.flush()
		}
		return n, nil
	}
	switch _, eof := c.m.readable(); {
	case c.m.state == ended && c.m.cause != nil:
		return 0, c.fail("read", c.m.cause)
	case eof:
		return 0, io.EOF
	}
	return 0, nil
}

// Write queues p for sending. It waits while the send buffer is full.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err = c.queue(p)
	c.flush()
	return n, err
}

// queue queues p and sends nothing unless the send buffer is full: then it sends what is queued,
// and waits. The caller holds the lock, and calls flush after it.
func (c *Conn) queue(p []byte) (n int, err error) {
	for {
		if err := c.writeError(); err != nil {
			return n, err
		}
		n += c.m.write(c.s.now(), p[n:])
		if n == len(p) {
			return n, nil
		}
		c.flush()
		c.writing++
		c.writers.Wait()
		c.writing--
	}
}

// writeError returns why nothing can be written any more, or nil. The caller holds the lock.
func (c *Conn) writeError() error {
	switch {
	case c.m.closed:
		return c.fail("write", net.ErrClosed)
	case c.m.state == ended:
		return c.fail("write", c.m.cause)
	case c.write.passed:
		return c.fail("write", os.ErrDeadlineExceeded)
	}
	return nil
}

// Close ends the connection. Bytes that were written are still delivered, bytes that were
// received and not read are dropped.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.m.close(c.s.now())
	if c.m.state == open {
		c.lingers = true
		if int(c.s.lingering.Add(1)) > max(1, c.s.opt.MaxConns/lingerShare) {
			c.m.abort(net.ErrClosed)
		}
	}
	c.flush()
	c.wake()
	c.read.stop()
	c.write.stop()
	return nil
}

// Abort ends the connection at once. It drops what was not sent, and resets the peer.
func (c *Conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m.abort(net.ErrClosed)
	c.m.close(c.s.now())
	c.flush()
	c.wake()
}

// LocalAddr returns the address in Options.Addr.
func (c *Conn) LocalAddr() net.Addr { return c.s.Addr() }

// RemoteAddr returns the address of the peer, a *[net.UDPAddr].
func (c *Conn) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(c.key.addr) }

// RemoteAddrPort returns the address of the peer.
func (c *Conn) RemoteAddrPort() netip.AddrPort { return c.key.addr }

// Unacked returns how many bytes were written that the peer has not acknowledged.
func (c *Conn) Unacked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m.s.unacked
}

// Stats describes what a connection sends.
type Stats struct {
	Acked   uint64        // bytes that the peer has acknowledged
	Unacked int           // bytes that were written and not acknowledged; 0 after the connection has ended
	Unsent  int           // bytes of Unacked that were never sent
	MinRTT  time.Duration // least round-trip time of the last ten minutes; 0 if nothing was acknowledged
	Queue   time.Duration // estimated delay in queues on the way to the peer, at most the rise of the round-trip time
}

// Stats returns what the connection has sent, and the delays that its packets see.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.m.s
	return Stats{Acked: s.acked, Unacked: s.unacked, Unsent: s.unsent, MinRTT: c.m.queue.baseRTT(), Queue: c.m.congestion.queue}
}

// SetDeadline sets the deadlines of Read and Write.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of Read; the zero time means none.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.read, &c.readers, t) }

// SetWriteDeadline sets the deadline of Write; the zero time means none. Bytes that Write has
// queued are delivered whether it passes or not.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.write, &c.writers, t) }

func (c *Conn) setDeadline(d *deadline, wake *sync.Cond, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m.closed {
		return c.fail("set", net.ErrClosed)
	}
	d.stop()
	d.at = t
	if d.passed = !t.IsZero() && !t.After(time.Now()); d.passed {
		wake.Broadcast()
		return nil
	}
	if t.IsZero() {
		return nil
	}
	if d.timer != nil {
		d.timer.Reset(time.Until(t))
		return nil
	}
	d.timer = time.AfterFunc(time.Until(t), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		// The timer may have fired for an earlier deadline.
		if !d.at.IsZero() && !d.at.After(time.Now()) {
			d.passed = true
			wake.Broadcast()
		}
	})
	return nil
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

// fail returns the error of an operation.
func (c *Conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "utp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// handle takes a packet of the peer. The caller holds the lock, and calls endRun after the last
// packet of a run.
func (c *Conn) handle(h *header, local netip.Addr) {
	if local.IsValid() {
		c.local = local
	}
	c.m.handle(c.s.now(), h)
}

// endRun sends what the packets before have made ready, and releases the lock.
func (c *Conn) endRun() {
	c.flush()
	c.wake()
	c.mu.Unlock()
}

// tick does what is due.
func (c *Conn) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m.timeout(c.s.now())
	c.flush()
	c.wake()
}

// wake wakes the goroutines that can go on. The caller holds the lock.
func (c *Conn) wake() {
	if c.dialed != nil && c.m.state != dialing && !c.settled {
		c.settled = true
		close(c.dialed)
	}
	if c.gathered() {
		c.readers.Broadcast()
	}
	if c.writing > 0 && (c.m.state == ended || c.m.closed || c.m.writable() >= writeLowWater) {
		c.writers.Broadcast()
	}
}

// writeLowWater is the room in bytes of the send buffer at which a Write that waits goes on. With
// less, a call would wake for every ACK.
const writeLowWater = 16 << 10

// flush sends the packets that are ready. The caller holds the lock.
func (c *Conn) flush() {
	now := c.s.now()
	if c.s.batch != nil {
		c.flushBatch(now)
	} else {
		for b := c.m.next(now); b != nil; b = c.m.next(now) {
			if c.fragmented(b) {
				continue
			}
			if err := c.s.pc.WriteTo(b, c.key.addr); err != nil {
				c.m.sendFailed(now, len(b), err)
			}
		}
	}
	if c.m.state == ended {
		if !c.released {
			c.released = true
			c.s.forget(c)
		}
		return
	}
	c.s.timers.schedule(c, c.m.deadline())
}

// fragmented sends a packet that is too large for the path in fragments. It returns false if the
// packet is small enough or cannot be fragmented.
func (c *Conn) fragmented(b []byte) bool {
	return c.s.pieces != nil && c.m.inPieces && c.s.pieces.WriteFragmented(b, c.key.addr, c.local) == nil
}

// flushBatch sends the packets in batches.
func (c *Conn) flushBatch(now time.Duration) {
	batch := batches.Get().(*[batchLen][]byte)
	defer batches.Put(batch)
	for more := true; more; {
		n := 0
		for n < batchLen {
			b := c.m.next(now)
			if more = b != nil; !more {
				break
			}
			if c.fragmented(b) {
				continue
			}
			batch[n] = b
			n++
		}
		if n == 0 {
			return
		}
		if err := c.s.batch.WriteBatch(batch[:n], c.key.addr, c.local); err != nil {
			for _, b := range batch[:n] {
				c.m.sendFailed(now, len(b), err)
			}
		}
		clear(batch[:n])
	}
}

// batchLen is the most packets that are sent at once. A message of the kernel holds 44 packets of
// 1,472 bytes, which are nearly 64 KiB, so that a smaller number would leave many messages short.
const batchLen = 256

var batches = sync.Pool{New: func() any { return new([batchLen][]byte) }}

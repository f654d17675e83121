package simnet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// The errors that a program gets from Linux in the same situations.
var (
	errReset       = os.NewSyscallError("read", syscall.ECONNRESET)
	errResetWrite  = os.NewSyscallError("write", syscall.ECONNRESET)
	errPipe        = os.NewSyscallError("write", syscall.EPIPE)
	errRefused     = os.NewSyscallError("connect", syscall.ECONNREFUSED)
	errTimedOut    = os.NewSyscallError("connect", syscall.ETIMEDOUT)
	errUnreachable = os.NewSyscallError("connect", syscall.EHOSTUNREACH)
	errNoNetwork   = os.NewSyscallError("connect", syscall.ENETUNREACH)
	errInUse       = os.NewSyscallError("bind", syscall.EADDRINUSE)
	errNotAvail    = os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
)

// Conn is one end of a connection. It behaves like a *net.TCPConn: concurrent writes do
// not mix, Close sends the data that was written before it, and both closing with
// unread data and sending to a closed end reset the connection.
type Conn struct {
	net    *Network
	host   *Host
	peer   *Conn
	local  netip.AddrPort
	remote netip.AddrPort
	in     *flow
	out    *flow
	own    flow // the flow that out points to

	// Guarded by net.mu.
	rcond, wcond sync.Cond
	rdead, wdead deadline
	writing      bool
	closed       bool
	broken       error // why the connection broke; nil while it is intact
}

var _ net.Conn = (*Conn)(nil)

// connect returns the two ends of a new connection, that of a first.
func (n *Network) connect(a, b *Host, from, to netip.AddrPort) (*Conn, *Conn) {
	x := &Conn{net: n, host: a, local: from, remote: to}
	y := &Conn{net: n, host: b, local: to, remote: from}
	for _, p := range [][2]*Conn{{x, y}, {y, x}} {
		c, peer := p[0], p[1]
		c.peer, c.out, peer.in = peer, &c.own, &c.own
		key := mix(hashAddr(n.opts.Seed, c.local) ^ mix(hashAddr(n.opts.Seed, c.remote)))
		c.out.init(n, c, peer, key)
		c.rcond.L, c.wcond.L = &n.mu, &n.mu
		c.host.conns[c] = true
		c.host.ports[c.local.Port()]++
	}
	return x, y
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case c.rdead.passed():
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case len(p) == 0:
			return 0, nil
		case c.in.ready > 0:
			return c.read(p), nil
		case c.broken != nil:
			return 0, c.fail("read", c.broken)
		case c.in.eof():
			return 0, io.EOF
		}
		c.rdead.arm(c.net, &c.rcond)
		c.rcond.Wait()
	}
}

// read copies ready bytes to p.
func (c *Conn) read(p []byte) int {
	f, window := c.in, c.net.opts.Window
	n := min(len(p), f.ready)
	before := window - f.held
	f.ready -= n
	f.take(p, n)
	if f.dead && f.ready == 0 {
		f.drop()
	}
	// Like Linux, wake the writer when a third of the window is free, not for every
	// byte.
	if free := window - f.held; free >= window/3 && before < window/3 || f.held == 0 {
		f.wakeWriter()
	}
	return n
}

// Unacked returns how many bytes were written to c that have not arrived at the
// other end.
func (c *Conn) Unacked() int {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	return c.out.held - c.out.ready
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for c.writing && !c.closed && !c.wdead.passed() {
		c.wdead.arm(c.net, &c.wcond)
		c.wcond.Wait()
	}
	if c.writing {
		return 0, c.fail("write", c.writeError())
	}
	c.writing = true
	defer func() {
		c.writing = false
		c.wcond.Broadcast()
	}()
	total := 0
	for {
		if err := c.writeError(); err != nil {
			return total, c.fail("write", err)
		}
		n := c.out.write(p)
		total += n
		p = p[n:]
		if len(p) == 0 {
			return total, nil
		}
		c.wdead.arm(c.net, &c.wcond)
		c.wcond.Wait()
	}
}

// writeError returns the error for a write, or nil if writing is possible.
func (c *Conn) writeError() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.wdead.passed():
		return os.ErrDeadlineExceeded
	case c.broken == errReset:
		c.broken = errPipe // the reset is reported only once
		return errResetWrite
	case c.broken != nil || c.out.closing:
		return errPipe
	}
	return nil
}

// Close implements net.Conn. It returns at once, and data that was written is still
// delivered. If there is unread data it resets the connection instead.
func (c *Conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.close()
	return nil
}

func (c *Conn) close() {
	c.closed = true
	c.rdead.stop()
	c.wdead.stop()
	c.wake(&c.rcond)
	c.wake(&c.wcond)
	switch {
	case c.broken != nil:
		c.in.drop()
	case c.in.ready > 0:
		c.sendReset()
		c.abort(errReset)
	default:
		c.out.closing = true
		c.out.kick()
	}
	c.forget()
}

// wake wakes the goroutines that wait at this end. With Lockstep it does so in an event
// of its own, because a program may close many connections at the same time.
func (c *Conn) wake(cond *sync.Cond) {
	if !c.net.opts.Lockstep {
		cond.Broadcast()
		return
	}
	c.net.schedule(1, event{key: c.out.key, do: func(*event) {
		c.net.woke = true
		cond.Broadcast()
	}})
}

// CloseWrite ends the outgoing stream. The other end reads EOF after all data; this end
// can still read.
func (c *Conn) CloseWrite() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	if c.broken == nil {
		c.out.closing = true
		c.out.kick()
	}
	return nil
}

// sendReset sends a reset to the other end.
func (c *Conn) sendReset() {
	if c.broken == nil {
		c.out.reset()
	}
}

// abort breaks this end of the connection.
func (c *Conn) abort(why error) {
	if c.broken == nil {
		c.broken = why
	}
	c.out.stopSending()
	c.in.stopDelivery()
	if c.closed {
		c.in.drop()
	}
	c.net.woke = true
	c.rcond.Broadcast()
	c.wcond.Broadcast()
	c.forget()
}

// forget removes both ends from their hosts once neither is in use.
func (c *Conn) forget() {
	for _, e := range []*Conn{c, c.peer} {
		if !e.closed && e.broken == nil {
			return
		}
	}
	for _, e := range []*Conn{c, c.peer} {
		if e.host.conns[e] {
			delete(e.host.conns, e)
			e.host.freePort(e.local.Port())
		}
	}
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	if read {
		c.rdead.at = t
		c.wake(&c.rcond) // the waiting goroutine sets the timer again
	}
	if write {
		c.wdead.at = t
		c.wake(&c.wcond)
	}
	return nil
}

// fail wraps an error like package net.
func (c *Conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// deadline is the deadline of reads or writes. Its timer runs only while a goroutine
// waits, because most deadlines are moved before they pass.
type deadline struct {
	at    time.Time
	timer *time.Timer
	armed time.Time
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// arm makes the timer wake cond at the deadline.
func (d *deadline) arm(n *Network, cond *sync.Cond) {
	if d.at.IsZero() || d.at.Equal(d.armed) {
		return
	}
	d.armed = d.at
	if d.timer == nil {
		d.timer = time.AfterFunc(time.Until(d.at), func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			d.armed = time.Time{}
			cond.Broadcast()
		})
		return
	}
	d.timer.Reset(time.Until(d.at))
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

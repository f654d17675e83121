package transport

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"spate/peerwire/mse"
)

// Socket is one connection of one kind: TCP, or uTP (a utp.Conn), or one of them whose bytes
// are encrypted. One goroutine reads and one writes at a time;
// Close and SetDeadline may be called at any time and end both.
type Socket interface {
	// WaitReadable calls f until it returns true. Before the first call and after each
	// call that returned false it waits until the socket may be readable, or has ended.
	// The first call may come early. It returns the error that ended the wait.
	WaitReadable(f func() bool) error

	// TryRead reads bytes that have arrived into b, which is not empty, without waiting. It
	// returns 0 and no error if none have, and io.EOF at the end of the stream. Only the
	// function that WaitReadable calls may call it.
	TryRead(b []byte) (int, error)

	// TryWrite writes as much of b as the socket takes without waiting, and returns the
	// number of bytes. The next write returns the error, if any.
	TryWrite(b []byte) int

	// WriteBuffers writes all of v, in as few packets or system calls as it can. It waits
	// while the socket takes no bytes. It consumes v, and may change the bytes in it. After an
	// error nothing more may be written.
	WriteBuffers(v *net.Buffers) error

	// Unacked returns how many bytes were written that the other side has not
	// acknowledged, or -1 if that is not known.
	Unacked() int

	SetDeadline(t time.Time) error
	Close() error
}

// Limit limits the total rate of many connections. Its methods are safe for concurrent use.
type Limit interface {
	// Rate returns the limit in bytes per second; 0 is unlimited.
	Rate() int64
	// Batch returns how many bytes a connection should move at a time.
	Batch() int
	// Wait returns when n bytes may pass, or with the error of ctx.
	Wait(ctx context.Context, n int) error
}

// FirstLimit is a [Limit] with a priority.
type FirstLimit interface {
	Limit
	// WaitFirst is like Wait, and goes before the callers of Wait.
	WaitFirst(ctx context.Context, n int) error
}

// LastLimit is a [Limit] with a low priority.
type LastLimit interface {
	Limit
	// WaitLast is like Wait, and goes after the callers of Wait.
	WaitLast(ctx context.Context, n int) error
}

// Priority is the order in which connections may write where a limit has priorities.
type Priority uint8

// The priorities of [Conn.WaitUp].
const (
	Normal Priority = iota
	First           // before the others, where a limit is a [FirstLimit]
	Last            // after the others, where a limit is a [LastLimit]
)

// Options configure a connection.
type Options struct {
	// Buffers are the free lists of the session.
	Buffers *Buffers
	// Up and Down are all rate limits that apply to the connection.
	Up, Down []Limit
	// Portable makes sockets of this system use the code for other connections, for tests.
	Portable bool
}

// Conn is a connection to a peer. At most one goroutine receives and one writes at a time.
// Any goroutine may call Unacked, WaitingDown, WaitingUp and Interrupt.
type Conn struct {
	// In holds the bytes that were read and not yet used. Only the goroutine that receives
	// may use it.
	In Inbox

	nc       net.Conn
	sock     Socket // nil if reads and writes of nc always wait
	up, down []Limit
	need     int // length of the incomplete message in the inbox; 0 if unknown

	waitingDown, waitingUp atomic.Bool
}

// New returns a connection over nc. If nc is a [Socket] itself, or TCP on a system
// where sockets can be read without waiting, or an encrypted connection over one of them,
// reading holds no buffer while it waits.
func New(nc net.Conn, opt Options) *Conn {
	c := &Conn{nc: nc, up: opt.Up, down: opt.Down}
	c.In.from = opt.Buffers
	c.sock = socketOf(nc, opt)
	return c
}

// socketOf returns nc as a [Socket], or nil if its reads wait.
func socketOf(nc net.Conn, opt Options) Socket {
	switch s := nc.(type) {
	case Socket:
		return s
	case *mse.Conn:
		if below := socketOf(s.NetConn(), opt); below != nil {
			return &encrypted{Socket: below, c: s, free: opt.Buffers.Small}
		}
	default:
		if !opt.Portable {
			return systemSocket(nc, opt.Buffers)
		}
	}
	return nil
}

// Close ends the connection. It waits until no goroutine uses the socket of the system.
func (c *Conn) Close() error { return c.nc.Close() }

// Interrupt makes all current and later reads and writes return at once with an error.
// Unlike Close it does not wait for them.
func (c *Conn) Interrupt() { c.nc.SetDeadline(time.Unix(1, 0)) }

// Unacked returns how many bytes were written that the peer has not acknowledged, and
// whether that is known.
func (c *Conn) Unacked() (n int, known bool) {
	if c.sock != nil {
		n = c.sock.Unacked()
		return max(n, 0), n >= 0
	}
	if s, ok := c.nc.(interface{ Unacked() int }); ok { // a simulated network
		return s.Unacked(), true
	}
	return 0, false
}

// WaitingDown reports whether the goroutine that receives waits for a download limit.
func (c *Conn) WaitingDown() bool { return c.waitingDown.Load() }

// WaitingUp reports whether the goroutine that writes waits in WaitUp.
func (c *Conn) WaitingUp() bool { return c.waitingUp.Load() }

// waitFor returns when every limit lets n bytes pass, or with the error of ctx. p is that
// of [Conn.WaitUp]. waiting is true meanwhile.
func waitFor(ctx context.Context, limits []Limit, n int, p Priority, waiting *atomic.Bool) error {
	if !limited(limits) {
		return nil
	}
	waiting.Store(true)
	defer waiting.Store(false)
	for _, l := range limits {
		wait := l.Wait
		if f, ok := l.(FirstLimit); ok && p == First {
			wait = f.WaitFirst
		}
		if f, ok := l.(LastLimit); ok && p == Last {
			wait = f.WaitLast
		}
		if err := wait(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func limited(limits []Limit) bool {
	for _, l := range limits {
		if l.Rate() != 0 {
			return true
		}
	}
	return false
}

// batch returns how many of n bytes may pass at once, so that connections take turns
// at their limits.
func batch(limits []Limit, n int) int {
	for _, l := range limits {
		n = min(n, l.Batch())
	}
	return n
}

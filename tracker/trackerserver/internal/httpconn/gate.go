package httpconn

import (
	"net/netip"
	"sync"
	"time"

	"spate/internal/fairpool"
)

const (
	// connGrace is how long a connection keeps its slot although it has no request, is
	// idle, or has a client that does not read, and another connection needs the slot.
	connGrace = 5 * time.Second
	// connFloor is the number of bytes per second that a client must read of an
	// answer.
	connFloor = 64
	// maxRelieved limits the connections that are ended at once when the descriptors of
	// the process have run out.
	maxRelieved = 16
)

// gate limits the connections of a listener. When all slots are taken, a connection that
// has made no request is ended first, then one that is idle or whose client does not read
// its answer: the gate counts the bytes that each client has read. A connection from
// loopback or from a proxy counts as a network of its own, because it can stand for any
// client.
type gate struct {
	o    *Options
	mu   sync.Mutex
	pool *fairpool.Pool[ender] // guarded by mu
}

// slot is the slot of a connection in a gate.
type slot = fairpool.Member[ender]

// ender is a connection that can be ended. The gate calls end with its lock held, while
// the connection has its slot. end must not wait.
type ender interface{ end() }

func newGate(o *Options) *gate {
	return &gate{o: o, pool: fairpool.New[ender](fairpool.Options{Slots: o.MaxConns, Grace: connGrace, Floor: connFloor, Pause: connGrace})}
}

// enter returns a slot for a connection from a, and ends another connection if needed. It
// returns nil if there is no slot.
func (g *gate) enter(now time.Time, a netip.Addr, conn ender) *slot {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, out := g.pool.Enter(now, g.networkOf(a), conn)
	if p == nil {
		g.o.Counts.Overflowed.Add(1)
		return nil
	}
	p.Offer(now)
	if out != nil {
		g.o.Counts.Ended.Add(1)
		out.Value.end()
	}
	return p
}

// answered records that a whole answer of n bytes was sent to a client.
func (g *gate) answered(now time.Time, p *slot, n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.Took(now, n)
	p.Offer(now)
}

// write records that c starts to send. Until wrote is called, the client must read.
func (g *gate) write(c *stdConn) {
	now := g.o.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	c.slot.Offer(now)
}

// wrote records that n bytes were sent over c.
func (g *gate) wrote(c *stdConn, n int64) {
	now := g.o.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	c.slot.Took(now, n)
	if c.requests == 0 {
		c.slot.Offer(now) // the client must send its next request
	}
}

// begin records that the server is answering a request of c. Until finish is called, the
// client need not send a request, but must read the bytes that are written.
func (g *gate) begin(c *stdConn) {
	now := g.o.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	c.requests++
	if c.requests == 1 {
		c.slot.Took(now, 0)
	}
}

// finish records that a request of c was answered.
func (g *gate) finish(c *stdConn) {
	now := g.o.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	c.requests--
	if c.requests == 0 {
		c.slot.Offer(now)
	}
}

// give gives a slot to another connection.
func (g *gate) give(p *slot, conn ender) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.Value = conn
}

// move records that the client of a connection has the address a.
func (g *gate) move(p *slot, a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.Move(g.networkOf(a))
}

// leave releases a slot.
func (g *gate) leave(now time.Time, p *slot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.Leave(now)
}

// relieve ends a few connections that are idle or whose clients do not read, because the
// descriptors of the process have run out.
func (g *gate) relieve(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range maxRelieved {
		out := g.pool.Evict(now)
		if out == nil {
			return
		}
		g.o.Counts.Ended.Add(1)
		out.Value.end()
	}
}

// networkOf returns the network of a connection from a.
func (g *gate) networkOf(a netip.Addr) fairpool.Network {
	if g.o.proxy(a) {
		return 0
	}
	return fairpool.NetworkOf(a)
}

package trackerserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"spate/internal/fairpool"
)

// How long a connection keeps its place when others want it: until it has made its first
// request, and while it is idle or does not read the answer.
const (
	connGrace = 5 * time.Second
	connFloor = 64 // bytes of an answer that are worth a second
)

// gate bounds the connections of a listener: when there are too many, one that has made no
// request makes room, then one that is idle or does not read. Loopback and named proxies
// stand for many clients, and each of their connections counts alone.
type gate struct {
	s    *Server
	mu   sync.Mutex
	pool *fairpool.Pool[ender] // guarded by mu
}

// place is a connection's place behind a gate.
type place = fairpool.Member[ender]

// ender is a connection that can be told to end. It is called under the gate's lock,
// while the connection has its place, and must not wait.
type ender interface{ end() }

func newGate(s *Server) *gate {
	return &gate{s: s, pool: fairpool.New[ender](fairpool.Options{Slots: s.opts.MaxConns, Grace: connGrace, Floor: connFloor, Pause: connGrace})}
}

// enter takes a place for a connection from a, in place of another if need be. It
// returns nil if there is none.
func (g *gate) enter(now time.Time, a netip.Addr, conn ender, n *counters) *place {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, out := g.pool.Enter(now, g.networkOf(a), conn)
	if p == nil {
		n.overflowed.Add(1)
		return nil
	}
	p.Offer(now)
	if out != nil {
		n.madeRoom.Add(1)
		out.Value.end()
	}
	return p
}

// took notes that the client has taken n bytes of an answer.
func (g *gate) took(now time.Time, p *place, n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.Took(now, n)
	p.Offer(now)
}

// write notes that the client of c is sent something.
func (g *gate) write(c *handedConn) {
	now := g.s.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	c.place.Offer(now)
}

// wrote notes that the client of c has taken n bytes of it.
func (g *gate) wrote(c *handedConn, n int64) {
	now := g.s.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	c.place.Took(now, n)
	if c.requests == 0 {
		c.place.Offer(now) // the next request is the client's turn
	}
}

// begin notes that c has made a request: until finish it is our turn, but for what is written.
func (g *gate) begin(c *handedConn) {
	now := g.s.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.requests++; c.requests == 1 {
		c.place.Took(now, 0)
	}
}

// finish notes that a request of c is answered.
func (g *gate) finish(c *handedConn) {
	now := g.s.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.requests--; c.requests == 0 {
		c.place.Offer(now)
	}
}

// hand says who has the connection from now on.
func (g *gate) hand(p *place, conn ender) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.Value = conn
}

// move says that the client is at a.
func (g *gate) move(p *place, a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.Move(g.networkOf(a))
}

// leave gives the place of a connection back.
func (g *gate) leave(now time.Time, p *place) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.Leave(now)
}

// relieve ends a few connections that are of little use, because descriptors have run
// out before the places.
func (g *gate) relieve(now time.Time, n *counters) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range relieved {
		out := g.pool.Evict(now)
		if out == nil {
			return
		}
		n.madeRoom.Add(1)
		out.Value.end()
	}
}

// relieved bounds the connections that are ended at once for want of descriptors.
const relieved = 16

// networkOf returns the network that a connection from a counts for.
func (g *gate) networkOf(a netip.Addr) fairpool.Network {
	if contains(g.s.proxies, a) {
		return 0
	}
	return fairpool.NetworkOf(a)
}

// Bound returns a listener that bounds the number of connections as [Server.Listener]
// does, for another server of the same process.
func (s *Server) Bound(l net.Listener) net.Listener {
	limitUnsent(l)
	return &boundedListener{Listener: l, s: s, gate: newGate(s)}
}

// boundedListener is the listener without a fast path.
type boundedListener struct {
	net.Listener
	s    *Server
	gate *gate
}

// Accept returns a connection that has a place.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			if exhausted(err) {
				l.gate.relieve(l.s.now(), l.s.shared)
			}
			return nil, err
		}
		c := &handedConn{Conn: conn, gate: l.gate}
		if c.place = l.gate.enter(l.s.now(), addrOf(conn.RemoteAddr()), c, l.s.shared); c.place == nil {
			conn.Close()
			continue
		}
		return l.s.fromProxy(c), nil
	}
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// ConnContext is for [http.Server.ConnContext]: with it, [Server.Handler] knows the
// connection of a request. While a request is answered, its connection does not count as
// idle, however little is sent.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	switch c := conn.(type) {
	case *handedConn:
		return context.WithValue(ctx, connKey{}, c)
	case *proxyConn:
		return context.WithValue(ctx, connKey{}, c.handedConn)
	}
	return ctx
}

// busy notes that the connection of a request is not idle until the returned function is
// called.
func busy(r *http.Request) (done func()) {
	c, ok := r.Context().Value(connKey{}).(*handedConn)
	if !ok {
		return func() {}
	}
	c.gate.begin(c)
	return func() { c.gate.finish(c) }
}

package trackerserver

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"spate/internal/fairpool"
)

// How long a connection keeps its place when others want it. Its client takes what we
// answer: before the first answer it has a moment, after each one some time.
const (
	connGrace = 5 * time.Second
	connFloor = 64 // bytes of answers that are worth a second
	connPause = 20 * time.Second
)

// gate bounds the connections of a listener: when there are too many, one that was not
// answered yet or is idle makes room. Loopback and named proxies stand for many
// clients, and each of their connections counts alone.
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
	return &gate{s: s, pool: fairpool.New[ender](fairpool.Options{Places: s.opts.MaxConns, Grace: connGrace, Floor: connFloor, Pause: connPause})}
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
		out := g.pool.MakeRoom(now)
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

package trackerserver

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Listener returns a listener for an http.Server whose handler is that of
// [Server.Handler] or has it inside. It takes over l, bounds the number of
// connections (Options.MaxConns; those beyond are closed at once), reads the
// header of the PROXY protocol where Options says so, and, on Linux, answers
// announces and scrapes itself: see fast.go. Closing it closes the connections
// that no http.Server has.
func (s *Server) Listener(l net.Listener) net.Listener {
	if t, ok := l.(*net.TCPListener); ok {
		if f, err := s.fastListener(t); err == nil {
			return f
		}
	}
	return s.bounded(l)
}

// TLSListener is Listener for connections that are encrypted behind the header of
// the PROXY protocol. Nothing that comes in plain text is answered.
func (s *Server) TLSListener(l net.Listener, config *tls.Config) net.Listener {
	return tls.NewListener(s.bounded(l), config)
}

func (s *Server) bounded(l net.Listener) net.Listener {
	return &boundedListener{Listener: l, s: s, gate: newGate(s)}
}

// gate bounds the connections of a listener: in all, and of each network, for
// which a quarter of them is enough. Loopback and named proxies stand for many
// and are bounded in all only.
type gate struct {
	s    *Server
	mu   sync.Mutex
	all  int            // guarded by mu
	nets map[uint64]int // by network; guarded by mu
}

func newGate(s *Server) *gate { return &gate{s: s, nets: map[uint64]int{}} }

// enter takes a place for a connection from a; it counts one that has none.
func (g *gate) enter(a netip.Addr, n *counters) bool {
	most := g.s.opts.MaxConns
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= most || g.alone(a) && g.nets[networkOf(a)] >= max(1, most/4) {
		n.overflowed.Add(1)
		return false
	}
	g.all++
	if g.alone(a) {
		g.nets[networkOf(a)]++
	}
	return true
}

// leave gives the place of a connection from a back.
func (g *gate) leave(a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if !g.alone(a) {
		return
	}
	net := networkOf(a)
	if g.nets[net]--; g.nets[net] == 0 {
		delete(g.nets, net)
	}
}

// alone reports whether a stands for one client's network.
func (g *gate) alone(a netip.Addr) bool {
	return a.IsValid() && !a.IsLoopback() && !contains(g.s.proxies, a)
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
			return nil, err
		}
		from := addrOf(conn.RemoteAddr())
		if !l.gate.enter(from, l.s.shared) {
			conn.Close()
			continue
		}
		return l.s.fromProxy(&handedConn{Conn: conn, done: func() { l.gate.leave(from) }}), nil
	}
}

// fromProxy returns conn, or, if it is from a named proxy that speaks the PROXY
// protocol, what stands for it.
func (s *Server) fromProxy(conn net.Conn) net.Conn {
	if s.opts.ProxyProtocol && contains(s.proxies, addrOf(conn.RemoteAddr())) {
		return &proxyConn{Conn: conn}
	}
	return conn
}

// proxyConn is a connection that begins with a header of the PROXY protocol. The
// header is read when it is first needed, by the goroutine that needs it.
type proxyConn struct {
	net.Conn
	once   sync.Once
	remote netip.AddrPort // of the client; not valid: the proxy speaks for itself
	err    error
	rest   []byte
}

// proxyHeaderTime is how long a proxy has for its header.
const proxyHeaderTime = 5 * time.Second

func (c *proxyConn) header() {
	c.once.Do(func() {
		c.SetReadDeadline(time.Now().Add(proxyHeaderTime))
		c.remote, c.rest, c.err = readProxyHeader(c.Conn)
		c.SetReadDeadline(time.Time{})
	})
}

func (c *proxyConn) Read(p []byte) (int, error) {
	c.header()
	switch {
	case c.err != nil:
		return 0, c.err
	case len(c.rest) > 0:
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// ReadFrom and CloseWrite are those of handedConn.
func (c *proxyConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// CloseWrite lets net/http say that it sends nothing more.
func (c *proxyConn) CloseWrite() error { return closeWrite(c.Conn) }

// RemoteAddr returns the address of the proxy's client.
func (c *proxyConn) RemoteAddr() net.Addr {
	c.header()
	if c.remote.IsValid() {
		return net.TCPAddrFromAddrPort(c.remote)
	}
	return c.Conn.RemoteAddr()
}

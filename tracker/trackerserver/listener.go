package trackerserver

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Listener returns a listener for an http.Server whose handler is that of
// [Server.Handler] or has it inside. It takes over l, bounds the number of
// connections (Options.MaxConns; those beyond are closed at once), reads the
// header of the PROXY protocol where Options says so, and, on Linux and without
// TLS, answers announces and scrapes itself: see fast.go. Closing it closes the
// connections that no http.Server has.
func (s *Server) Listener(l net.Listener) net.Listener {
	if t, ok := l.(*net.TCPListener); ok {
		if f, err := s.fastListener(t); err == nil {
			return f
		}
	}
	return &boundedListener{Listener: l, s: s}
}

// boundedListener is the listener without a fast path.
type boundedListener struct {
	net.Listener
	s    *Server
	open atomic.Int64
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) > int64(l.s.opts.MaxConns) {
			l.open.Add(-1)
			l.s.shared.overflowed.Add(1)
			conn.Close()
			continue
		}
		conn = &handedConn{Conn: conn, done: func() { l.open.Add(-1) }}
		return l.s.fromProxy(conn), nil
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

// RemoteAddr returns the address of the proxy's client.
func (c *proxyConn) RemoteAddr() net.Addr {
	c.header()
	if c.remote.IsValid() {
		return net.TCPAddrFromAddrPort(c.remote)
	}
	return c.Conn.RemoteAddr()
}

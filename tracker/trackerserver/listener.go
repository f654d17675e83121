package trackerserver

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Listener returns a listener for an http.Server whose handler is that of
// [Server.Handler] or has it inside. It takes over l, bounds the number of
// connections (Options.MaxConns; see gate.go), reads the header of the PROXY protocol
// where Options says so, and, on Linux, answers announces and scrapes itself: see
// fast.go. Closing it closes the connections that no http.Server has.
func (s *Server) Listener(l net.Listener) net.Listener {
	if t, ok := l.(*net.TCPListener); ok {
		limitUnsent(l)
		if f, err := s.fastListener(t); err == nil {
			return f
		}
	}
	return s.Bound(l)
}

// TLSListener is Listener for connections that are encrypted behind the header of
// the PROXY protocol. Nothing that comes in plain text is answered.
func (s *Server) TLSListener(l net.Listener, config *tls.Config) net.Listener {
	return tls.NewListener(s.Bound(l), config)
}

// fromProxy returns conn, or, if it is from a named proxy that speaks the PROXY
// protocol, what stands for it.
func (s *Server) fromProxy(conn *handedConn) net.Conn {
	if s.opts.ProxyProtocol && contains(s.proxies, addrOf(conn.RemoteAddr())) {
		return &proxyConn{handedConn: conn}
	}
	return conn
}

// proxyConn is a connection that begins with a header of the PROXY protocol. The
// header is read when it is first needed, by the goroutine that needs it.
type proxyConn struct {
	*handedConn
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
		c.remote, c.rest, c.err = readProxyHeader(c.handedConn)
		c.SetReadDeadline(time.Time{})
		if c.remote.IsValid() {
			c.gate.move(c.place, c.remote.Addr())
		}
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
	return c.handedConn.Read(p)
}

// RemoteAddr returns the address of the proxy's client.
func (c *proxyConn) RemoteAddr() net.Addr {
	c.header()
	if c.remote.IsValid() {
		return net.TCPAddrFromAddrPort(c.remote)
	}
	return c.handedConn.RemoteAddr()
}

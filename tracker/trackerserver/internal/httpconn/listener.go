package httpconn

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// boundListener is a listener that answers no requests itself.
type boundListener struct {
	net.Listener
	o    *Options
	gate *gate
}

// Accept returns the next connection that gets a slot.
func (l *boundListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			if exhausted(err) {
				l.gate.relieve(l.o.Now())
			}
			return nil, err
		}
		c := &stdConn{Conn: conn, gate: l.gate}
		c.slot = l.gate.enter(l.o.Now(), addrOf(conn.RemoteAddr()), c)
		if c.slot == nil {
			conn.Close()
			continue
		}
		return l.o.fromProxy(c), nil
	}
}

// fromProxy returns conn, or a [proxyConn] if conn starts with a header of the PROXY
// protocol.
func (o *Options) fromProxy(conn *stdConn) net.Conn {
	if o.ProxyProtocol && o.proxy(addrOf(conn.RemoteAddr())) {
		return &proxyConn{stdConn: conn}
	}
	return conn
}

// proxyConn is a connection that starts with a header of the PROXY protocol. The first
// call of Read or RemoteAddr reads the header.
type proxyConn struct {
	*stdConn
	once   sync.Once
	remote netip.AddrPort // the client; not valid if the proxy made the connection for itself
	err    error
	rest   []byte // bytes after the header that were read with it
}

// proxyHeaderTime limits the time in which the header must arrive.
const proxyHeaderTime = 5 * time.Second

// header reads the header once.
func (c *proxyConn) header() {
	c.once.Do(func() {
		c.SetReadDeadline(time.Now().Add(proxyHeaderTime))
		c.remote, c.rest, c.err = readProxyHeader(c.stdConn)
		c.SetReadDeadline(time.Time{})
		if c.remote.IsValid() {
			c.gate.move(c.slot, c.remote.Addr())
		}
	})
}

// Read reads the bytes that follow the header.
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
	return c.stdConn.Read(p)
}

// RemoteAddr returns the address of the proxy's client, or that of the proxy if the proxy
// made the connection for itself.
func (c *proxyConn) RemoteAddr() net.Addr {
	c.header()
	if c.remote.IsValid() {
		return net.TCPAddrFromAddrPort(c.remote)
	}
	return c.stdConn.RemoteAddr()
}

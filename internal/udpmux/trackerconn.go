package udpmux

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	maxReplies = 64 // replies of a tracker that wait for Read
	maxRecent  = 64 // requests that are remembered to recognize their ICMP errors
	requestLen = 16 // bytes of a request up to the end of its transaction id (BEP 15)
)

// trackerConns passes the replies of trackers to their connections.
type trackerConns struct {
	mu     sync.RWMutex // guards the fields below
	byAddr map[netip.AddrPort][]*trackerConn
	closed bool
}

// trackerConn is a connection of DialTracker. It implements [net.Conn] without deadlines.
type trackerConn struct {
	m       *Mux
	addr    netip.AddrPort
	local   net.Addr
	replies chan []byte
	once    sync.Once
	done    chan struct{}
	err     error // set before done is closed

	mu      sync.Mutex                  // guards the fields below
	recent  [maxRecent][requestLen]byte // the beginnings of the last requests
	written int                         // the number of requests
}

// DialTracker returns a connection to the UDP tracker at "IP:PORT", which sends from the port of
// m. Read returns the packets of this address that are replies of a tracker; several connections
// to one address all get them, and the transaction id tells whose they are (BEP 15). If nothing
// reads, replies are dropped. On Linux, Read fails if the tracker's port is closed and its host
// quotes the transaction id of a request, which strangers cannot guess. The error is
// [errors.ErrUnsupported] if m has no socket for the family of the address.
func (m *Mux) DialTracker(address string) (net.Conn, error) {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	s := m.socketFor(addr.Addr())
	if s == nil {
		return nil, noSocketError{addr.Addr()}
	}
	local, err := s.routeTo(addr)
	if err != nil {
		return nil, err
	}
	c := &trackerConn{m: m, addr: addr, local: local, replies: make(chan []byte, maxReplies), done: make(chan struct{})}
	if err := m.trackers.add(c); err != nil {
		return nil, err
	}
	return c, nil
}

// routeTo returns the address from which packets to addr are sent, or an error if there is no
// route. It sends nothing.
func (s *socket) routeTo(addr netip.AddrPort) (net.Addr, error) {
	var from *net.UDPAddr
	if a := s.local.Addr(); !a.IsUnspecified() {
		from = net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
	}
	probe, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	defer probe.Close()
	local := probe.LocalAddr().(*net.UDPAddr)
	local.Port = int(s.local.Port())
	return local, nil
}

func (t *trackerConns) add(c *trackerConn) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return net.ErrClosed
	}
	t.byAddr[c.addr] = append(t.byAddr[c.addr], c)
	return nil
}

func (t *trackerConns) remove(c *trackerConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := slices.DeleteFunc(t.byAddr[c.addr], func(other *trackerConn) bool { return other == c })
	if len(left) == 0 {
		delete(t.byAddr, c.addr)
		return
	}
	t.byAddr[c.addr] = left
}

// receiveReplies is the receiver of replies. It copies a reply for each connection.
func (m *Mux) receiveReplies(batch []Packet) {
	t := &m.trackers
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, p := range batch {
		conns := t.byAddr[p.Addr]
		if len(conns) == 0 {
			m.count.unclaimed.Add(1)
		}
		for _, c := range conns {
			select {
			case c.replies <- bytes.Clone(p.Data):
			default: // the tracker sends faster than the client reads
			}
		}
	}
}

// refused ends the connection to an address whose port is closed. quoted is the beginning of the
// packet that was refused. An error without a request that was sent could be forged, because
// everybody may know the ports of both sides.
func (t *trackerConns) refused(addr netip.AddrPort, quoted []byte, cause error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, c := range t.byAddr[addr] {
		if c.wrote(quoted) {
			c.end(cause)
		}
	}
}

// close ends all connections.
func (t *trackerConns) close() {
	t.mu.Lock()
	all := t.byAddr
	t.byAddr, t.closed = nil, true
	t.mu.Unlock()
	for _, conns := range all {
		for _, c := range conns {
			c.end(net.ErrClosed)
		}
	}
}

func (c *trackerConn) end(err error) {
	c.once.Do(func() {
		c.err = err
		close(c.done)
	})
}

// Read returns one reply, which is cut if b is too short.
func (c *trackerConn) Read(b []byte) (int, error) {
	select {
	case reply := <-c.replies:
		return copy(b, reply), nil
	case <-c.done:
		return 0, c.opError("read", c.err)
	}
}

// Write sends one packet.
func (c *trackerConn) Write(b []byte) (int, error) {
	select {
	case <-c.done:
		return 0, c.opError("write", c.err)
	default:
	}
	c.remember(b)
	if _, err := c.m.Send([]Packet{{Addr: c.addr, Data: b}}); err != nil {
		return 0, c.opError("write", err)
	}
	return len(b), nil
}

// remember keeps the beginning of a request.
func (c *trackerConn) remember(request []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	copy(c.recent[c.written%maxRecent][:], request)
	c.written++
}

// wrote reports whether quoted begins like one of the last requests.
func (c *trackerConn) wrote(quoted []byte) bool {
	if len(quoted) < requestLen {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.recent[:min(c.written, maxRecent)], [requestLen]byte(quoted))
}

// Close ends the connection. The port stays open for others.
func (c *trackerConn) Close() error {
	c.end(net.ErrClosed)
	c.m.trackers.remove(c)
	return nil
}

func (c *trackerConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: c.local, Addr: c.RemoteAddr(), Err: err}
}

func (c *trackerConn) LocalAddr() net.Addr  { return c.local }
func (c *trackerConn) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(c.addr) }

// Deadlines are not supported, because requests to trackers have timers of their own.

func (c *trackerConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (c *trackerConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (c *trackerConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

package simnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// firstPort is the first port that is assigned automatically.
const firstPort = 49152

// Like Linux, a dial sends SYN again after 1 s, 2 s, 4 s and so on, and then gives up.
const (
	synRetry = time.Second
	synTries = 7
)

// Listener is a net.Listener of a host.
type Listener struct {
	host *Host
	addr netip.AddrPort

	// Guarded by host.net.mu.
	cond    sync.Cond
	queue   []*Conn
	pending int // connections that are about to enter the queue
	closed  bool
}

// Listen makes the host listen on address "host:port". The host is an address of this
// host, a loopback address, which only this host can reach, or empty for all addresses.
// Port 0 selects a free port. network is "tcp", "tcp4" or "tcp6".
func (h *Host) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	n := h.net
	fail := func(err error) (net.Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: textAddr{network, address}, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	at, err := parseAddr(network, address)
	if err != nil {
		return fail(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	ip := at.Addr()
	if ip.IsValid() && !ip.IsUnspecified() && !ip.IsLoopback() && n.hosts[ip] != h {
		return fail(errNotAvail)
	}
	if ip.IsUnspecified() {
		ip = netip.Addr{}
	}
	port := at.Port()
	if port == 0 {
		port = h.allocPort()
	} else {
		for l := range h.listeners {
			if l.Port() == port && (l.Addr() == ip || !ip.IsValid() || !l.Addr().IsValid()) {
				return fail(errInUse)
			}
		}
	}
	h.ports[port]++
	l := &Listener{host: h, addr: netip.AddrPortFrom(ip, port)}
	l.cond.L = &n.mu
	h.listeners[l.addr] = l
	return l, nil
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for !l.closed && len(l.queue) == 0 {
		l.cond.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	c := l.queue[0]
	l.queue = l.queue[1:]
	return c, nil
}

// Close implements net.Listener. It resets connections that were not accepted.
func (l *Listener) Close() error {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.close()
	return nil
}

func (l *Listener) close() {
	l.closed = true
	delete(l.host.listeners, l.addr)
	l.host.freePort(l.addr.Port())
	for _, c := range l.queue {
		c.sendReset()
		c.abort(errReset)
		c.close()
	}
	l.queue = nil
	l.cond.Broadcast()
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr {
	ip := l.addr.Addr()
	if !ip.IsValid() {
		ip = netip.IPv6Unspecified()
		if l.host.addrs[0].Is4() {
			ip = netip.IPv4Unspecified()
		}
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, l.addr.Port()))
}

// dial is the state of one call of DialContext. Guarded by net.mu.
type dial struct {
	from, to  *Host
	src, dst  netip.AddrPort
	key       uint64
	tries     int
	conn      *Conn
	err       error
	abandoned bool // the caller has cancelled the dial
	done      chan struct{}
}

// DialContext connects to address "ip:port" of a host of the network. A loopback
// address stands for this host. network is "tcp", "tcp4" or "tcp6".
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: textAddr{network, address}, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	at, err := parseAddr(network, address)
	if err != nil {
		return fail(err)
	}
	d, err := h.beginDial(at)
	if err != nil {
		return fail(err)
	}
	select {
	case <-d.done:
	case <-ctx.Done():
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case d.err != nil:
		return fail(d.err)
	case d.conn != nil:
		return d.conn, nil
	}
	d.abandoned = true
	return fail(ctx.Err())
}

func (h *Host) beginDial(at netip.AddrPort) (*dial, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	d := &dial{from: h, to: n.hosts[at.Addr()], dst: at, done: make(chan struct{})}
	if at.Addr().IsLoopback() || at.Addr().IsUnspecified() {
		d.to = h
	}
	if d.to == nil {
		return nil, errUnreachable
	}
	src := at.Addr()
	if d.to != h {
		src = netip.Addr{}
		for _, a := range h.addrs {
			if a.Is4() == at.Addr().Is4() && !src.IsValid() {
				src = a
			}
		}
		if !src.IsValid() {
			return nil, errNoNetwork
		}
	}
	d.src = netip.AddrPortFrom(src, 0)
	d.key = mix(h.id ^ hashAddr(n.opts.Seed, at))
	// The port is chosen in an event, so that it does not depend on which of two
	// goroutines dials first.
	n.schedule(1, event{key: d.key, dial: d, do: func(e *event) { e.dial.begin() }})
	return d, nil
}

func (d *dial) begin() {
	d.src = netip.AddrPortFrom(d.src.Addr(), d.from.allocPort())
	d.from.ports[d.src.Port()]++
	d.syn()
}

// after schedules the next step of the dial.
func (d *dial) after(ns int64, do func(*event)) {
	d.from.net.schedule(ns, event{key: d.key, dial: d, do: do})
}

func (d *dial) end(err error) {
	d.err = err
	d.from.freePort(d.src.Port())
	d.from.net.woke = true
	close(d.done)
}

// syn sends a SYN.
func (d *dial) syn() {
	n := d.from.net
	if d.abandoned {
		d.end(context.Canceled)
		return
	}
	if d.tries == synTries {
		d.end(errTimedOut)
		return
	}
	if n.blocked(d.from, d.to) {
		d.retry()
		return
	}
	d.after(n.delay(d.from, d.to, nil), func(e *event) { e.dial.reached() })
}

// retry waits before the next SYN.
func (d *dial) retry() {
	d.tries++
	d.after(int64(synRetry)<<(d.tries-1), func(e *event) { e.dial.syn() })
}

// reached handles the arrival of the SYN at the other host.
func (d *dial) reached() {
	n := d.from.net
	back := n.delay(d.to, d.from, nil)
	l := d.to.listener(d.dst)
	switch {
	case n.blocked(d.from, d.to):
		d.retry()
	case l == nil:
		d.after(back, func(e *event) { e.dial.end(errRefused) })
	case len(l.queue)+l.pending >= n.opts.Backlog:
		d.retry()
	default:
		l.pending++
		d.after(back, func(e *event) { e.dial.established(l) })
	}
}

// established handles the arrival of the SYN-ACK. The caller gets its end, and the
// listener gets the other end after the latency of the ACK.
func (d *dial) established(l *Listener) {
	n := d.from.net
	client, server := n.connect(d.from, d.to, d.src, d.dst)
	d.from.freePort(d.src.Port()) // the connection uses it now
	d.conn = client
	n.woke = true
	close(d.done)
	d.after(n.delay(d.from, d.to, nil), func(e *event) {
		l.pending--
		if l.closed {
			server.sendReset()
			server.abort(errReset)
			server.close()
			return
		}
		l.queue = append(l.queue, server)
		n.woke = true
		l.cond.Signal()
	})
	if d.abandoned {
		client.close()
	}
}

// listener returns the listener for an address of the host, or nil.
func (h *Host) listener(at netip.AddrPort) *Listener {
	if l := h.listeners[at]; l != nil {
		return l
	}
	return h.listeners[netip.AddrPortFrom(netip.Addr{}, at.Port())]
}

// allocPort returns an unused port. It panics if all 16,384 ports of the host are in
// use.
func (h *Host) allocPort() uint16 {
	for range 1<<16 - firstPort {
		p := h.nextPort
		h.nextPort++
		if h.nextPort == 0 {
			h.nextPort = firstPort
		}
		if h.ports[p] == 0 {
			return p
		}
	}
	panic("simnet: no free port on " + h.addrs[0].String())
}

func (h *Host) freePort(p uint16) {
	h.ports[p]--
	if h.ports[p] <= 0 {
		delete(h.ports, p)
	}
}

// parseAddr parses "ip:port". The ip may be empty or "localhost".
func parseAddr(network, address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, &net.AddrError{Err: "invalid port", Addr: address}
	}
	var ip netip.Addr
	switch host {
	case "":
	case "localhost":
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		if ip, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, &net.AddrError{Err: "not an IP address, and this network has no names", Addr: address}
		}
		ip = ip.Unmap().WithZone("")
	}
	v4, ok4 := ip.Is4(), ip.IsValid()
	if !strings.HasPrefix(network, "tcp") || ok4 && (network == "tcp4" && !v4 || network == "tcp6" && v4) {
		return netip.AddrPort{}, fmt.Errorf("address %s: not of network %s", address, network)
	}
	return netip.AddrPortFrom(ip, uint16(p)), nil
}

// textAddr is an address as the caller gave it.
type textAddr struct{ network, text string }

func (a textAddr) Network() string { return a.network }
func (a textAddr) String() string  { return a.text }

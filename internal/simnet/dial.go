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

// firstPort is the first of the ports that are given out.
const firstPort = 49152

// Dials try again after 1 s, 2 s, 4 s ... and give up as Linux does.
const (
	synRetry = time.Second
	synTries = 7
)

// Listener is a net.Listener of a host.
type Listener struct {
	host *Host
	addr netip.AddrPort

	// Guarded by host.net.mu.
	cond   sync.Cond
	queue  []*Conn
	coming int // connections that will be in the queue in a moment
	closed bool
}

// Listen has the host listen on an address "host:port": one of the host's own,
// a loopback address, which only the host itself reaches, or none for all; port
// 0 stands for a free one. network is "tcp", "tcp4" or "tcp6".
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

// Close implements net.Listener. Connections that nobody accepted are reset.
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

// dial is one call of DialContext. It is guarded by net.mu.
type dial struct {
	from, to *Host
	src, dst netip.AddrPort
	key      uint64
	tries    int
	conn     *Conn
	err      error
	given    bool // the caller gave up
	done     chan struct{}
}

// DialContext connects the host to an address "ip:port" of a host of the network.
// A loopback address is the host itself. network is "tcp", "tcp4" or "tcp6".
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
	d.given = true
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
	// The port is chosen when the event happens, so that it does not depend on
	// which of two goroutines came first.
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

// syn sends the first packet.
func (d *dial) syn() {
	n := d.from.net
	if d.given {
		d.end(context.Canceled)
		return
	}
	if d.tries == synTries {
		d.end(errTimedOut)
		return
	}
	if n.blocked(d.from, d.to) {
		d.again()
		return
	}
	d.after(n.delay(d.from, d.to, nil), func(e *event) { e.dial.reached() })
}

// again waits for the next try.
func (d *dial) again() {
	d.tries++
	d.after(int64(synRetry)<<(d.tries-1), func(e *event) { e.dial.syn() })
}

// reached is the first packet's arrival at the other host.
func (d *dial) reached() {
	n := d.from.net
	back := n.delay(d.to, d.from, nil)
	l := d.to.listener(d.dst)
	switch {
	case n.blocked(d.from, d.to):
		d.again()
	case l == nil:
		d.after(back, func(e *event) { e.dial.end(errRefused) })
	case len(l.queue)+l.coming >= n.opts.Backlog:
		d.again()
	default:
		l.coming++
		d.after(back, func(e *event) { e.dial.established(l) })
	}
}

// established is the answer's arrival: the caller has its end, and the other
// host has its own a moment later.
func (d *dial) established(l *Listener) {
	n := d.from.net
	client, server := n.connect(d.from, d.to, d.src, d.dst)
	d.from.freePort(d.src.Port()) // the connection holds it now
	d.conn = client
	n.woke = true
	close(d.done)
	d.after(n.delay(d.from, d.to, nil), func(e *event) {
		l.coming--
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
	if d.given {
		client.close()
	}
}

// listener returns who listens on an address of the host.
func (h *Host) listener(at netip.AddrPort) *Listener {
	if l := h.listeners[at]; l != nil {
		return l
	}
	return h.listeners[netip.AddrPortFrom(netip.Addr{}, at.Port())]
}

// allocPort returns a port that nobody uses. It panics when there is none,
// which takes 16,384 connections of one host.
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

// parseAddr reads "ip:port"; the ip may be left out.
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

// textAddr is an address as it was given.
type textAddr struct{ network, text string }

func (a textAddr) Network() string { return a.network }
func (a textAddr) String() string  { return a.text }

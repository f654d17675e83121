package simnet

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// NAT is a kind of network address translation, by how a router maps the ports of its hosts and
// which packets it lets in (RFC 4787).
type NAT uint8

// The kinds of NAT.
const (
	// Masquerade is what Linux routers do: a host keeps its port for all destinations, and packets
	// come in only from addresses and ports to which the host has sent some.
	Masquerade NAT = iota
	// FullCone maps like Masquerade, and lets in packets from everywhere.
	FullCone
	// Symmetric gives each destination another port of the router, and filters like Masquerade.
	Symmetric
)

// natTimeout is the time without packets to a destination after which a router forgets it.
const natTimeout = time.Minute

// Datagrams is a network that carries UDP packets with a fixed delay. It has no bandwidth and loses
// nothing except what routers do not let in. It is safe for concurrent use.
type Datagrams struct {
	delay time.Duration

	mu      sync.Mutex // guards the fields below and those of routers
	ports   map[netip.AddrPort]*DatagramPort
	routers map[netip.Addr]*Router
	sent    map[netip.Addr]int
	drop    func(from, to netip.AddrPort) bool
}

// NewDatagrams returns a network whose packets arrive after the given delay.
func NewDatagrams(delay time.Duration) *Datagrams {
	return &Datagrams{delay: delay, ports: map[netip.AddrPort]*DatagramPort{}, routers: map[netip.Addr]*Router{}, sent: map[netip.Addr]int{}}
}

// Sent returns the number of packets that were sent to an address, whether it exists or not.
func (d *Datagrams) Sent(to netip.Addr) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sent[to]
}

// Drop makes the network lose the packets for which f returns true. It sees the addresses outside of
// routers, and must not call the network.
func (d *Datagrams) Drop(f func(from, to netip.AddrPort) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop = f
}

// Router translates the addresses of the ports behind it to its own.
type Router struct {
	net  *Datagrams
	addr netip.Addr
	kind NAT
	next uint16 // the port that is tried next for a new mapping

	byInner map[flowKey]*mapping
	byOuter map[uint16]*mapping
}

// flowKey identifies a mapping: the port of the host, and for a symmetric router the destination.
type flowKey struct {
	inner *DatagramPort
	to    netip.AddrPort
}

// mapping is a port of a router.
type mapping struct {
	inner *DatagramPort
	outer uint16
	heard map[netip.AddrPort]time.Time // when a packet was last sent to each destination
}

// Router adds a router with the public address addr.
func (d *Datagrams) Router(addr netip.Addr, kind NAT) *Router {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.routers[addr] != nil {
		panic(fmt.Errorf("%w: address %v", ErrOptions, addr))
	}
	r := &Router{net: d, addr: addr, kind: kind, next: firstPort, byInner: map[flowKey]*mapping{}, byOuter: map[uint16]*mapping{}}
	d.routers[addr] = r
	return r
}

// DatagramPort is a UDP port of a host.
type DatagramPort struct {
	net     *Datagrams
	router  *Router // nil for a public host
	addr    netip.AddrPort
	receive func(b []byte, from netip.AddrPort)
}

// Port adds a port at addr: of a host behind router, or a public one if router is nil. receive is
// called with the packets that arrive. It may keep b.
func (d *Datagrams) Port(addr netip.AddrPort, router *Router, receive func(b []byte, from netip.AddrPort)) *DatagramPort {
	p := &DatagramPort{net: d, router: router, addr: addr, receive: receive}
	if router == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.ports[addr] = p
	}
	return p
}

// WriteTo sends a packet. It implements utp.PacketConn.
func (p *DatagramPort) WriteTo(b []byte, to netip.AddrPort) error {
	d := p.net
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent[to.Addr()]++
	from := p.addr
	if p.router != nil {
		from = p.router.out(p, to)
	}
	if d.drop != nil && d.drop(from, to) {
		return nil
	}
	b = bytes.Clone(b)
	time.AfterFunc(d.delay, func() {
		d.mu.Lock()
		target := d.ports[to]
		if r := d.routers[to.Addr()]; r != nil {
			target = r.in(from, to.Port())
		}
		d.mu.Unlock()
		if target != nil {
			target.receive(b, from)
		}
	})
	return nil
}

// out maps a packet that leaves, and returns the address that the receiver sees.
func (r *Router) out(p *DatagramPort, to netip.AddrPort) netip.AddrPort {
	key := flowKey{inner: p}
	if r.kind == Symmetric {
		key.to = to
	}
	m := r.byInner[key]
	if m == nil {
		m = &mapping{inner: p, outer: p.addr.Port(), heard: map[netip.AddrPort]time.Time{}}
		for r.kind == Symmetric || r.byOuter[m.outer] != nil {
			m.outer, r.next = r.next, max(r.next+1, firstPort)
			if r.byOuter[m.outer] == nil {
				break
			}
		}
		r.byInner[key], r.byOuter[m.outer] = m, m
	}
	m.heard[to] = time.Now()
	return netip.AddrPortFrom(r.addr, m.outer)
}

// in returns the port that gets a packet from outside, or nil.
func (r *Router) in(from netip.AddrPort, port uint16) *DatagramPort {
	m := r.byOuter[port]
	if m == nil {
		return nil
	}
	if r.kind == FullCone {
		return m.inner
	}
	if at, ok := m.heard[from]; !ok || time.Since(at) > natTimeout {
		return nil
	}
	return m.inner
}

// Package simnet simulates a network in memory: hosts with links of limited bandwidth
// and some latency, and connections that behave like TCP.
//
// # Model
//
// Each host has one link with an upload rate and a download rate, which its connections
// share fairly, and a latency, which is the time from the host to the middle of the
// network. The delay between two hosts is the sum of their latencies. No data is lost.
// A connection buffers a limited number of bytes that were written and not yet read, so
// that writers block as on a full socket buffer. Closing, half-closing and resets work
// as in TCP. There are no headers: a link of one million bytes per second moves one
// million bytes of payload per second.
//
// # Implementation
//
// Write copies bytes into the buffer of a connection and Read copies them out. In
// between only byte counts move, as events in one queue: a write begins, a chunk has
// left a link, a chunk has arrived. One timer runs the queue; connections have no
// goroutines. Goroutines wait only on condition variables, channels and timers, so that
// a network that is created inside a testing/synctest bubble runs in simulated time.
//
// # Determinism
//
// The calls of goroutines at one moment take effect one nanosecond later, in an order that
// depends on addresses and not on the scheduler. In a bubble a program with the same
// seed therefore sees the same times, unless its behaviour depends on the order of its
// own goroutines. Options.Lockstep fixes that order too.
//
// The time in a bubble stops when its test function returns. Close all connections, and
// wait for the goroutines that use them, before that.
package simnet

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Options configures a network. The zero value has no jitter.
type Options struct {
	// Seed determines the jitter and the order of simultaneous events.
	Seed uint64
	// Jitter is the largest random time that is added to the latency of a chunk.
	Jitter time.Duration
	// Window is the number of bytes that a connection buffers in each direction until
	// they are read. 0 selects 256 KiB.
	Window int
	// Tick is the time between two runs of the event queue. Events keep their exact
	// times, so that rates are exact, but a program may see an arrival up to one tick
	// late. 0 selects 100 µs.
	Tick time.Duration
	// Lockstep wakes one goroutine at a time: the next event runs only when all goroutines
	// wait again, those included that a timer of the program woke at the same moment. A
	// program whose goroutines interact only through the network and time, or start each
	// other with [Host.Turn], then behaves the same in every run. The network must be used in
	// a bubble, and no other goroutine may call synctest.Wait. Tick is ignored.
	Lockstep bool
	// Backlog is the number of connections that a listener holds until they are
	// accepted. 0 selects 128. Further dials try again as in TCP.
	Backlog int
}

// Link describes the connection of a host to the network: the rates in bytes per
// second, 0 for no limit, and the time from the host to the middle of the network.
type Link struct {
	Up, Down int64
	Latency  time.Duration
}

// ErrOptions is wrapped by the value that [New] and the methods of [Host] panic with.
var ErrOptions = errors.New("bad options of a simulated network")

// Network is a set of hosts that can reach each other. A Network, its hosts, listeners
// and connections are safe for concurrent use.
type Network struct {
	opts  Options
	epoch time.Time

	mu      sync.Mutex // guards the fields below, and those of hosts, listeners and connections
	now     int64      // time of the current event in nanoseconds after epoch
	events  eventHeap
	seq     uint64
	timer   *time.Timer
	armed   int64 // when timer fires, in nanoseconds after epoch
	running bool
	woke    bool // the current event has woken a goroutine
	hosts   map[netip.Addr]*Host
	cuts    map[[2]*Host]bool
	free    []*segment
}

// New returns a network without hosts. It panics if an option is negative.
func New(opts Options) *Network {
	if opts.Jitter < 0 || opts.Window < 0 || opts.Backlog < 0 || opts.Tick < 0 {
		panic(fmt.Errorf("%w: %+v", ErrOptions, opts))
	}
	if opts.Window == 0 {
		opts.Window = 256 << 10
	}
	if opts.Tick == 0 {
		opts.Tick = 100 * time.Microsecond
	}
	if opts.Lockstep {
		opts.Tick = 1
	}
	if opts.Backlog == 0 {
		opts.Backlog = 128
	}
	return &Network{
		opts: opts, epoch: time.Now(), armed: math.MaxInt64,
		hosts: map[netip.Addr]*Host{}, cuts: map[[2]*Host]bool{},
	}
}

// Host is one machine of the network. Its methods Listen and DialContext have the
// signatures of those of net.ListenConfig and net.Dialer.
type Host struct {
	net   *Network
	addrs []netip.Addr
	id    uint64 // derived from the address: the same in every run

	// Guarded by net.mu.
	latency   time.Duration
	up, down  fairQueue
	off       bool
	listeners map[netip.AddrPort]*Listener
	ports     map[uint16]int // number of connections and listeners that use each port
	nextPort  uint16
	conns     map[*Conn]bool
	sent      int64
	received  int64
}

// Host adds a host with one address and returns it. It panics if the address is in use
// or not a unicast address, or if a value of link is negative.
func (n *Network) Host(addr netip.Addr, link Link) *Host {
	h := &Host{
		net: n, id: hashAddr(n.opts.Seed, netip.AddrPortFrom(addr, 0)),
		listeners: map[netip.AddrPort]*Listener{},
		ports:     map[uint16]int{}, nextPort: firstPort,
		conns: map[*Conn]bool{},
	}
	h.up.host, h.down.host = h, h
	h.up.forward, h.down.forward = (*flow).leftUp, (*flow).leftDown
	h.AddAddr(addr)
	h.SetLink(link)
	return h
}

// AddAddr adds an address to the host. It may be of the other address family.
func (h *Host) AddAddr(addr netip.Addr) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	addr = addr.Unmap()
	if !addr.IsValid() || addr.IsUnspecified() || addr.IsLoopback() || addr.IsMulticast() || n.hosts[addr] != nil {
		panic(fmt.Errorf("%w: address %v", ErrOptions, addr))
	}
	h.addrs = append(h.addrs, addr)
	n.hosts[addr] = h
}

// Addr returns the first address of the host.
func (h *Host) Addr() netip.Addr { return h.addrs[0] }

// SetLink changes the link of the host. Chunks that are being sent are not affected.
func (h *Host) SetLink(link Link) {
	if link.Up < 0 || link.Down < 0 || link.Latency < 0 {
		panic(fmt.Errorf("%w: %+v", ErrOptions, link))
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	h.latency = link.Latency
	h.up.setRate(link.Up)
	h.down.setRate(link.Down)
}

// Sent returns the number of payload bytes that left the link of the host.
func (h *Host) Sent() int64 {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.sent
}

// Received returns the number of payload bytes that reached the host.
func (h *Host) Received() int64 {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.received
}

// Conns returns the number of open connection ends of the host.
func (h *Host) Conns() int {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return len(h.conns)
}

// Turn gives the caller a position in the order of events, and returns a function that
// waits for it. With [Options.Lockstep], programs of the host use it for each goroutine
// that they start: the goroutine calls wait first, which returns once all other
// goroutines are blocked. Without Lockstep, wait returns at once.
func (h *Host) Turn() (wait func()) {
	n := h.net
	if !n.opts.Lockstep {
		return func() {}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	turn := make(chan struct{})
	n.schedule(1, event{key: h.id, do: func(*event) {
		n.woke = true
		close(turn)
	}})
	return func() { <-turn }
}

// SetDown unplugs the cable of the host, or plugs it in again. While it is unplugged
// nothing arrives and nothing is refused: dials time out, and connections stall and
// continue afterwards.
func (h *Host) SetDown(down bool) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	h.off = down
	if !down {
		h.resume()
	}
}

// Partition cuts the path between two hosts, or restores it. Connections stall as in
// SetDown.
func (n *Network) Partition(a, b *Host, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if cut {
		n.cuts[pair(a, b)] = true
		return
	}
	delete(n.cuts, pair(a, b))
	a.resume()
}

// Drop resets all connections between two hosts at both ends.
func (n *Network) Drop(a, b *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range a.sortedConns() {
		if c.peer.host == b {
			c.abort(errReset)
			c.peer.abort(errReset)
		}
	}
}

// Crash breaks all connections of the host and closes its listeners, as if its program
// had been killed. The other ends get a reset.
func (h *Host) Crash() {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range h.listeners {
		l.close()
	}
	for _, c := range h.sortedConns() {
		c.sendReset()
		c.abort(errReset)
	}
}

func pair(a, b *Host) [2]*Host {
	if a.id > b.id {
		a, b = b, a
	}
	return [2]*Host{a, b}
}

// blocked reports whether the path from a to b is cut.
func (n *Network) blocked(a, b *Host) bool {
	return a.off || b.off || len(n.cuts) > 0 && n.cuts[pair(a, b)]
}

// sortedConns returns the connections of the host in the same order in every run.
func (h *Host) sortedConns() []*Conn {
	list := make([]*Conn, 0, len(h.conns))
	for c := range h.conns {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *Conn) int {
		if a.out.key < b.out.key {
			return -1
		}
		return 1
	})
	return list
}

// resume continues the connections of the host after a path was restored.
func (h *Host) resume() {
	for _, c := range h.sortedConns() {
		c.out.resume()
		c.in.resume()
	}
}

// delay returns the time from a to b in nanoseconds.
func (n *Network) delay(a, b *Host, rng *rand.PCG) int64 {
	if a == b {
		return 0
	}
	d := a.latency + b.latency
	if n.opts.Jitter > 0 && rng != nil {
		d += time.Duration(rng.Uint64() % uint64(n.opts.Jitter+1))
	}
	return int64(d)
}

// hashAddr hashes an address with the seed. The result is the same in every process.
func hashAddr(seed uint64, a netip.AddrPort) uint64 {
	b := a.Addr().As16()
	h := seed ^ 0x9e3779b97f4a7c15
	for i := 0; i < len(b); i += 8 {
		var v uint64
		for _, c := range b[i : i+8] {
			v = v<<8 | uint64(c)
		}
		h = mix(h ^ v)
	}
	return mix(h ^ uint64(a.Port()))
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

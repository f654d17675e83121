// Package simnet is a network in memory for simulations: hosts with links of
// limited bandwidth and some latency, connections that behave like TCP.
//
// # What is simulated
//
// Each host has one link with a rate up and a rate down, which the connections
// of the host share fairly, and a latency, which is the time from the host to
// the middle of the network: between two hosts it is the sum of both, each way.
// Nothing is lost. A connection holds a bounded number of bytes that were
// written and not yet read, so that writers block as on a full socket buffer.
// Closing, half-closing and resetting go as in TCP. There are no headers: a
// link of a million bytes a second moves a million bytes of payload.
//
// # How
//
// Bytes are copied into the connection's buffer by Write and out of it by Read;
// between the two only counts move, as events in one queue: a write begins, a
// chunk has left a link, a chunk has arrived. One timer serves the queue; there
// is no goroutine a connection. All waiting is on condition variables, channels
// and timers, so that a network that is made inside a testing/synctest bubble
// runs in simulated time.
//
// # Determinism
//
// What goroutines do at one moment takes effect a nanosecond later, in an order
// that depends on the addresses and not on the scheduler. In a bubble the same
// program on the same seed therefore sees the same times, as far as the order
// of its own goroutines does not decide what it does; with Options.Lockstep that
// order is fixed too.
//
// The time of a bubble stands still once its test function has returned: close
// the connections, and wait for the goroutines that use them, before that.
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

// Options of a network. The zero value is a network without jitter.
type Options struct {
	// Seed decides the jitter and the order of what happens at one moment.
	Seed uint64
	// Jitter is the most that is added to the latency of a chunk, at random.
	Jitter time.Duration
	// Window is how many bytes of a connection, each way, may be written and not
	// yet read; 0 stands for 256 KiB.
	Window int
	// Tick is how exactly a program sees the time of what happens: events are
	// handled together once a tick, each with its own time, so that rates stay
	// exact and an arrival is seen up to a tick late. 0 stands for 100 µs.
	Tick time.Duration
	// Lockstep wakes one goroutine at a time: in a bubble the next event waits
	// until all goroutines wait again. A program whose goroutines meet only over
	// the network and over time, or start each other in turn (see Host.Turn), then
	// does the same in every run. Tick is ignored.
	Lockstep bool
	// Backlog is how many connections a listener holds that were not yet
	// accepted; 0 stands for 128. Dials beyond it try again like TCP.
	Backlog int
}

// Link is what connects a host: bytes a second each way, 0 for no limit, and
// the time from the host to the middle of the network.
type Link struct {
	Up, Down int64
	Latency  time.Duration
}

// ErrOptions is the cause of every failure of [New].
var ErrOptions = errors.New("bad options of a simulated network")

// Network is a set of hosts that reach each other. It is safe for use by any
// number of goroutines, as are its hosts, listeners and connections.
type Network struct {
	opts  Options
	epoch time.Time

	mu     sync.Mutex // guards everything below, and in hosts, listeners, connections
	now    int64      // nanoseconds after epoch of the event in hand
	events eventHeap
	seq    uint64
	timer  *time.Timer
	armed  int64 // when timer goes off, nanoseconds after epoch
	inPump bool
	woke   bool // the event in hand woke somebody
	hosts  map[netip.Addr]*Host
	cuts   map[[2]*Host]bool
	free   []*segment
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

// Host is one machine of the network. Its methods Listen and DialContext are
// those of a net.ListenConfig and a net.Dialer.
type Host struct {
	net   *Network
	addrs []netip.Addr
	id    uint64 // by address: the same in every run

	// Guarded by net.mu.
	latency   time.Duration
	up, down  station
	off       bool
	listeners map[netip.AddrPort]*Listener
	ports     map[uint16]int // connections and listeners that use it
	nextPort  uint16
	conns     map[*Conn]bool
	sent      int64
	received  int64
}

// Host adds a host with one address, and returns it. It panics if the address
// is taken or no unicast address, or a number is negative.
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

// AddAddr gives the host another address, of the other family for one.
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

// Addr returns the host's first address.
func (h *Host) Addr() netip.Addr { return h.addrs[0] }

// SetLink changes the host's link. What is under way goes on as it was.
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

// Sent returns how many bytes of payload left the host's link.
func (h *Host) Sent() int64 {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.sent
}

// Received returns how many bytes of payload reached the host.
func (h *Host) Received() int64 {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.received
}

// Conns returns how many of the host's ends of connections are open.
func (h *Host) Conns() int {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return len(h.conns)
}

// Turn takes the caller's place in the order of what happens on the network, and
// returns a function that waits for it. With [Options.Lockstep] the programs of the
// host use it for goroutines that they start: such a one does not begin before all
// others wait, and begins alone. Without, nobody waits.
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

// SetDown pulls the host's cable, or plugs it in again. While it is out nothing
// arrives and nothing is refused: dials time out, connections stall, and go on
// afterwards.
func (h *Host) SetDown(down bool) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	h.off = down
	if !down {
		h.resume()
	}
}

// Partition cuts the way between two hosts, or mends it. It stalls like SetDown.
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

// Drop breaks all connections between two hosts: both ends get a reset at once.
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

// Crash breaks all connections of the host and closes its listeners, as when
// its program is killed: the other ends are told by resets.
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

// blocked reports whether nothing gets from a to b.
func (n *Network) blocked(a, b *Host) bool {
	return a.off || b.off || len(n.cuts) > 0 && n.cuts[pair(a, b)]
}

// sortedConns returns the host's connections in an order that is the same in
// every run.
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

// resume sets the host's connections going again after something was mended.
func (h *Host) resume() {
	for _, c := range h.sortedConns() {
		c.out.resume()
		c.in.resume()
	}
}

// delay returns the time from a to b, in nanoseconds.
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

// hashAddr maps an address to a number that depends on the seed and is the same
// in every process.
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

// mix spreads the bits of x: the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

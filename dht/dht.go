// Package dht is a node of the BitTorrent DHT: it finds the peers of torrents without a
// tracker, announces own peers, and stores what other nodes announce (BEP 5). IPv4 and IPv6
// are two networks that one node takes part in (BEP 32).
//
// [New] makes a node on UDP sockets, and [Node.Run] runs it. The methods that search, such as
// [Node.Peers], may be called by any number of goroutines.
//
// Anybody can run a node that lies. The package follows BEP 42: searches end, and announces
// go, at nodes whose ids fit their addresses. It keeps everything that others send bounded,
// and sends at most four bytes for each byte received to an address that has not shown that it
// receives packets. The peers of an answer can be wrong all the same.
package dht

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"spate/dht/internal/node"
)

// Options configures a node.
type Options struct {
	// Conns are the UDP sockets of the node: one for each address family, or one for both.
	// A socket that is bound to an IPv4 address turns on IPv4, one that is bound to another
	// address turns on IPv6, and one that is bound to the unspecified IPv6 address turns on
	// IPv4 too if no other socket does. Run closes them.
	Conns []net.PacketConn
	// Send sends packets for a node without Conns, whose caller shares a socket with other
	// protocols and passes the received packets to [Node.Receive]. It must not wait, must
	// not call the node, and must not keep the packets.
	Send func(packets []Packet)
	// IPv4 and IPv6 turn on the address families of Send. They are ignored without Send.
	IPv4, IPv6 bool
	// Saved is the result of [Node.Save] in the last run, or nil.
	Saved []byte
	// Known lists nodes to start from beside those of Saved, such as those that a torrent
	// names.
	Known []netip.AddrPort
	// Bootstrap lists nodes as HOST:PORT that are asked if the other nodes do not lead into
	// the network within two seconds. Without any node to start from, the node waits for
	// AddNode and for queries of others.
	Bootstrap []string
	// ReadOnly makes the node answer no queries (BEP 43), which suits a node that runs for a
	// short time or that nobody can reach.
	ReadOnly bool
	// MaxPeers bounds the peers that the node stores for others, for each family. 0 selects
	// 100,000.
	MaxPeers int
	// Log receives messages for operators. They are discarded if Log is nil.
	Log *slog.Logger
}

// Packet is a UDP packet that was received from Addr or is to be sent there.
type Packet struct {
	Addr netip.AddrPort
	// Local is the address of this machine that a received packet was sent to, which the packets
	// that answer it have as their source. The zero value lets the system choose the source.
	Local netip.Addr
	Data  []byte
}

// The errors of a node.
var (
	// ErrNoNodes is returned by a search that no node answered.
	ErrNoNodes = errors.New("dht: no node answered")
	// ErrClosed is returned by a search when Run has returned.
	ErrClosed = errors.New("dht: the node has stopped")
)

// version is sent in every message: two letters of the client and its version (BEP 5).
const version = "Sp\x01\x00"

// maxSearches bounds the searches that run at a time. Others wait.
const maxSearches = 400

// Node is a node of the DHT. Use [New] to make one. Its methods are safe for concurrent use.
type Node struct {
	opt    Options
	log    *slog.Logger
	conns  []conn
	slots  chan struct{} // limits the running searches
	wake   chan struct{} // tells Run that Next has changed
	closed chan struct{} // closed when Run returns

	mu    sync.Mutex // guards the fields below
	core  *node.Node
	out   []Packet      // reused by flush
	next  time.Time     // when Run calls Tick next
	ready chan struct{} // closed when a family is usable
}

// New returns a node that does nothing until Run is called.
func New(opt Options) (*Node, error) {
	if (opt.Send == nil) == (len(opt.Conns) == 0) {
		return nil, errors.New("dht: set either Conns or Send")
	}
	if opt.MaxPeers < 0 {
		return nil, errors.New("dht: MaxPeers is negative")
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	for _, b := range opt.Bootstrap {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("dht: bootstrap node %q is not HOST:PORT: %w", b, err)
		}
	}
	n := &Node{
		opt: opt, log: opt.Log, slots: make(chan struct{}, maxSearches),
		wake: make(chan struct{}, 1), closed: make(chan struct{}), ready: make(chan struct{}),
	}
	o := node.Options{IPv4: opt.IPv4, IPv6: opt.IPv6, ReadOnly: opt.ReadOnly, MaxPeers: opt.MaxPeers, Version: version, Random: random()}
	if opt.Send == nil {
		var err error
		if n.conns, o.IPv4, o.IPv6, err = connsOf(opt.Conns); err != nil {
			return nil, err
		}
	}
	if opt.Saved != nil {
		if err := load(opt.Saved, &o); err != nil {
			return nil, err
		}
	}
	for _, a := range opt.Known {
		o.Known = append(o.Known, unmap(a))
	}
	var err error
	if n.core, err = node.New(time.Now(), o); err != nil {
		return nil, err
	}
	return n, nil
}

// random returns a source of random numbers that others cannot predict.
func random() rand.Source {
	var seed [32]byte
	crand.Read(seed[:]) // crypto/rand.Read never returns an error
	return rand.NewChaCha8(seed)
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Run takes part in the DHT until ctx is done, then returns nil. It closes Conns. It can be
// called once.
func (n *Node) Run(ctx context.Context) error {
	defer close(n.closed)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		for _, c := range n.conns {
			c.Close()
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, c := range n.conns {
		wg.Go(func() { n.read(ctx, c) })
	}
	if len(n.opt.Bootstrap) > 0 {
		wg.Go(func() { n.resolve(ctx) })
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.wake:
		case <-timer.C:
		}
		n.mu.Lock()
		n.core.Tick(time.Now())
		n.flush()
		next := n.next
		n.mu.Unlock()
		timer.Reset(time.Until(next))
	}
}

// flush sends the packets of the core and plans the next tick. The caller holds n.mu.
func (n *Node) flush() {
	n.out = n.out[:0]
	for _, p := range n.core.Packets() {
		n.out = append(n.out, Packet(p))
	}
	if len(n.out) > 0 {
		if n.opt.Send != nil {
			n.opt.Send(n.out)
		} else {
			n.write(n.out)
		}
	}
	if next := n.core.Next(); !next.Equal(n.next) {
		n.next = next
		select {
		case n.wake <- struct{}{}:
		default:
		}
	}
	select {
	case <-n.ready:
	default:
		for _, f := range n.core.Status(time.Now()) {
			if f.Usable {
				close(n.ready)
				break
			}
		}
	}
}

// Receive handles packets that a caller with an own socket received. They belong to the caller
// again when it returns.
func (n *Node) Receive(packets []Packet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	for _, p := range packets {
		n.core.Handle(now, node.Packet{Addr: unmap(p.Addr), Local: p.Local.Unmap(), Data: p.Data})
	}
	n.flush()
}

// Answer appends the reply to a query of another node to out and returns it. It is for packets that
// come in on another UDP socket than that of the node, such as a tracker's, and whose replies go out
// there. It appends at most 1,024 bytes, and nothing if packet is no query or exceeds the limits of
// the node. It keeps neither packet nor out. The node can ask the sender on its own socket whether it
// answers.
func (n *Node) Answer(from netip.AddrPort, packet, out []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	out = n.core.Answer(time.Now(), unmap(from), packet, out)
	n.flush()
	return out
}

// Ready returns a channel that is closed when the node knows enough nodes of one family to search:
// eight, or all that there are in a small network.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// AddNode adds addresses that may be of nodes, such as one that a peer names in a PORT message.
// They are asked soon, and forgotten if they do not answer.
func (n *Node) AddNode(addrs ...netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range addrs {
		n.core.Add(time.Now(), unmap(a))
	}
	n.flush()
}

// resolveEvery is the time between two attempts to resolve the names of bootstrap nodes.
const resolveEvery = time.Minute

// resolve passes the addresses of the bootstrap nodes to the core. It tries again while a name
// has no address and the node is not ready.
func (n *Node) resolve(ctx context.Context) {
	left := n.opt.Bootstrap
	for len(left) > 0 {
		var failed []string
		for _, name := range left {
			host, service, _ := net.SplitHostPort(name) // New has checked it
			port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
			var ips []netip.Addr
			if err == nil {
				ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
			}
			if err != nil {
				failed = append(failed, name)
				n.log.Info("finding the address of a DHT node", "node", name, "err", err)
				continue
			}
			n.mu.Lock()
			for _, ip := range ips {
				n.core.AddBootstrap(time.Now(), netip.AddrPortFrom(ip.Unmap(), uint16(port)))
			}
			n.flush()
			n.mu.Unlock()
		}
		left = failed
		select {
		case <-ctx.Done():
			return
		case <-n.ready:
			return
		case <-time.After(resolveEvery):
		}
	}
}

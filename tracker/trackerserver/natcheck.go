package trackerserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"spate/internal/fairpool"
	"spate/internal/netguard"
	"spate/tracker"
	"spate/tracker/swarm"
)

// NATCheck has the tracker dial each peer's port once in a while. A peer that
// cannot be reached is answered like any other, but others are not told of it
// and it is not counted. Until the first check is done a peer counts as
// reachable. Its zero value is good. What is dialled is the address that the
// announce came from, so nobody can have others' ports tried.
type NATCheck struct {
	// Workers bounds the dials under way at once, 0: 32. What does not fit into
	// their queue is not checked this time.
	Workers int
	// Timeout bounds a dial, 0: 5 s.
	Timeout time.Duration
	// Dial opens a connection; nil: package net.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Bounds of what is remembered of checks.
const (
	natKeep       = 65536         // peers
	natGood       = 2 * time.Hour // how long a good check holds
	natBad        = 20 * time.Minute
	natQueue      = 1024
	natMaxSwarms  = 32 // swarms that a peer is taken out of when its check fails
	natWorkers    = 32
	natTimeout    = 5 * time.Second
	natSweepEvery = time.Minute
)

type natChecker struct {
	NATCheck
	server *Server
	queue  chan netip.AddrPort

	mu     sync.Mutex // guards what follows
	peers  map[netip.AddrPort]*natPeer
	known  *fairpool.Pool[struct{}] // places among peers
	queued *fairpool.Pool[struct{}] // places in the queue
}

// natPeer is what is known of one address.
type natPeer struct {
	pending bool
	bad     bool
	until   time.Time
	swarms  []swarm.Request // where it announced while its check was pending
	known   *fairpool.Member[struct{}]
	queued  *fairpool.Member[struct{}] // while its check is pending
}

func newNATChecker(o NATCheck, s *Server) (*natChecker, error) {
	if o.Workers < 0 || o.Timeout < 0 {
		return nil, errors.New("trackerserver: negative NATCheck limit")
	}
	if o.Workers == 0 {
		o.Workers = natWorkers
	}
	if o.Timeout == 0 {
		o.Timeout = natTimeout
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	places := func(n int) *fairpool.Pool[struct{}] {
		return fairpool.New[struct{}](fairpool.Options{Slots: n, Grace: natGood})
	}
	return &natChecker{
		NATCheck: o, server: s, queue: make(chan netip.AddrPort, natQueue), peers: map[netip.AddrPort]*natPeer{},
		known: places(natKeep), queued: places(natQueue),
	}, nil
}

// apply hides the peer of c, whose request for the table is complete, if it is
// known to be unreachable, and has it checked if it is not known.
func (n *natChecker) apply(c *call) {
	if c.req.Event == tracker.EventStopped {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peers[c.peer]
	if p != nil && p.pending {
		if len(p.swarms) < natMaxSwarms {
			p.swarms = append(p.swarms, c.swarm)
		}
		return
	}
	if p == nil || c.now.After(p.until) {
		p = n.begin(c, p)
	}
	if p != nil && p.bad {
		c.swarm.Addr = netip.AddrPort{} // the table answers and remembers nothing
		c.hidden = true
	}
}

// begin has the peer of c checked if there is a place for it, and returns what is known of
// it. The caller holds n.mu.
func (n *natChecker) begin(c *call, was *natPeer) *natPeer {
	network := fairpool.NetworkOf(c.peer.Addr())
	queued, _ := n.queued.Enter(c.now, network, struct{}{})
	if queued == nil {
		return was
	}
	p := &natPeer{pending: true, swarms: []swarm.Request{c.swarm}, queued: queued}
	if was != nil {
		p.bad, p.known = was.bad, was.known
	} else if p.known, _ = n.known.Enter(c.now, network, struct{}{}); p.known == nil {
		queued.Leave(c.now)
		return nil
	}
	n.peers[c.peer] = p
	n.queue <- c.peer // has room for all who have a place
	return p
}

// run checks peers until ctx is done.
func (n *natChecker) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range n.Workers {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case peer := <-n.queue:
					n.check(ctx, peer)
				}
			}
		})
	}
	tick := time.NewTicker(natSweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			n.forget(n.server.now())
		}
	}
}

// check dials a peer and notes the result; who cannot be reached leaves its
// swarms.
func (n *natChecker) check(ctx context.Context, peer netip.AddrPort) {
	err := n.dial(ctx, peer)
	now := n.server.now()
	n.mu.Lock()
	p := n.peers[peer] // stays while its check is pending
	p.queued.Leave(now)
	var swarms []swarm.Request
	switch {
	case ctx.Err() != nil: // the tracker ends, which says nothing of the peer
		n.drop(now, peer)
	case err != nil:
		swarms = p.swarms
		*p = natPeer{bad: true, until: now.Add(natBad), known: p.known}
	default:
		*p = natPeer{until: now.Add(natGood), known: p.known}
	}
	n.mu.Unlock()
	var reply swarm.Reply
	for i := range swarms {
		swarms[i].Event, swarms[i].NumWant = tracker.EventStopped, 0
		n.server.table.Announce(now, &swarms[i], &reply) // an entry that is gone already is no error
	}
}

// dial returns nil if peer can be connected to. What is no peer's address, such as that
// of a cloud's metadata service, is not dialled.
func (n *natChecker) dial(ctx context.Context, peer netip.AddrPort) error {
	if err := netguard.ToChosen.Check(peer.Addr()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, n.Timeout)
	defer cancel()
	conn, err := n.Dial(ctx, "tcp", peer.String())
	if err == nil {
		conn.Close()
	}
	return err
}

// forget drops what has not been asked about since it lost its worth.
func (n *natChecker) forget(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for peer, p := range n.peers {
		if !p.pending && now.After(p.until.Add(natGood)) {
			n.drop(now, peer)
		}
	}
}

// drop forgets a peer. The caller holds n.mu.
func (n *natChecker) drop(now time.Time, peer netip.AddrPort) {
	n.peers[peer].known.Leave(now)
	delete(n.peers, peer)
}

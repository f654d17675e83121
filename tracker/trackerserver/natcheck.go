package trackerserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"spate/internal/fairpool"
	"spate/internal/netguard"
	"spate/tracker"
	"spate/tracker/swarm"
)

// NATCheck configures a check whether peers accept connections: the tracker connects to
// the address of each peer from time to time. A peer that does not accept gets answers, but
// it is not counted and other peers do not get its address. A peer counts as reachable
// until its first check has failed. The zero value is valid.
//
// The tracker connects only to addresses from which an announce came, or that a peer in a
// private network claimed, so that others cannot use it to scan ports.
type NATCheck struct {
	// Workers limits the number of concurrent connection attempts; default 32. If 1024
	// peers wait for a check, further ones are not checked at this announce.
	Workers int
	// Timeout limits a connection attempt; default 5 s.
	Timeout time.Duration
	// Dial opens a connection; nil selects a [net.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	natKeep       = 65536            // maximum number of peers with a result
	natGood       = 2 * time.Hour    // how long the result of a reachable peer is valid
	natBad        = 20 * time.Minute // how long the result of another peer is valid
	natQueue      = 1024             // maximum number of peers that wait for a check
	natMaxSwarms  = 32               // maximum number of swarms from which a peer is removed
	natWorkers    = 32
	natTimeout    = 5 * time.Second
	natSweepEvery = time.Minute
)

// natChecker checks peers and holds the results.
type natChecker struct {
	NATCheck
	server *Server
	queue  chan netip.AddrPort

	mu     sync.Mutex // guards the fields below
	peers  map[netip.AddrPort]*natPeer
	known  *fairpool.Pool[struct{}] // limits peers, shared fairly by network
	queued *fairpool.Pool[struct{}] // limits queue, shared fairly by network
}

// natPeer is the result for one peer.
type natPeer struct {
	pending bool            // the check has not finished
	bad     bool            // the peer does not accept connections
	until   time.Time       // end of the result
	swarms  []swarm.Request // the announces while the check was pending
	known   *fairpool.Member[struct{}]
	queued  *fairpool.Member[struct{}] // member of the queue while the check is pending
}

func newNATChecker(o NATCheck, s *Server) (*natChecker, error) {
	if o.Workers < 0 || o.Timeout < 0 {
		return nil, fmt.Errorf("trackerserver: negative limit of NATCheck (workers %d, timeout %v)", o.Workers, o.Timeout)
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
	pool := func(n int) *fairpool.Pool[struct{}] {
		return fairpool.New[struct{}](fairpool.Options{Slots: n, Grace: natGood})
	}
	return &natChecker{
		NATCheck: o, server: s, queue: make(chan netip.AddrPort, natQueue), peers: map[netip.AddrPort]*natPeer{},
		known: pool(natKeep), queued: pool(natQueue),
	}, nil
}

// apply hides the peer of c from the store if it is known to be unreachable, and starts a
// check if there is no valid result. c.swarm must be complete.
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
		c.swarm.Addr = netip.AddrPort{} // the store answers without storing the peer
		c.swarm.Blocked = true
		c.hidden = true
	}
}

// begin adds the peer of c to the queue if the queue is not full. was is its last result,
// or nil. begin returns the new result, or was. The caller holds n.mu.
func (n *natChecker) begin(c *call, was *natPeer) *natPeer {
	network := fairpool.NetworkOf(c.peer.Addr())
	queued, _ := n.queued.Enter(c.now, network, struct{}{})
	if queued == nil {
		return was
	}
	p := &natPeer{pending: true, swarms: []swarm.Request{c.swarm}, queued: queued}
	if was != nil {
		p.bad, p.known = was.bad, was.known
	} else {
		p.known, _ = n.known.Enter(c.now, network, struct{}{})
		if p.known == nil {
			queued.Leave(c.now)
			return nil
		}
	}
	n.peers[c.peer] = p
	n.queue <- c.peer // never waits, because n.queued limits the queue
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

// check connects to a peer and stores the result. It removes a peer that does not accept
// from its swarms.
func (n *natChecker) check(ctx context.Context, peer netip.AddrPort) {
	err := n.dial(ctx, peer)
	now := n.server.now()
	n.mu.Lock()
	p := n.peers[peer] // not nil, because the check is pending
	p.queued.Leave(now)
	var swarms []swarm.Request
	switch {
	case ctx.Err() != nil: // the tracker stops: there is no result
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
		n.server.store.Announce(now, &swarms[i], &reply) // an error would mean that there is no such peer
	}
}

// dial returns nil if peer accepts a connection. It does not connect to addresses that
// cannot be peers, such as that of a cloud's metadata service.
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

// forget removes results that ended long ago.
func (n *natChecker) forget(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for peer, p := range n.peers {
		if !p.pending && now.After(p.until.Add(natGood)) {
			n.drop(now, peer)
		}
	}
}

// drop removes a result. The caller holds n.mu.
func (n *natChecker) drop(now time.Time, peer netip.AddrPort) {
	n.peers[peer].known.Leave(now)
	delete(n.peers, peer)
}

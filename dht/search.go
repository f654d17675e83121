package dht

import (
	"context"
	"net/netip"
	"time"

	"spate"
	"spate/dht/internal/krpc"
	"spate/dht/internal/node"
)

// Result describes a search that has ended.
type Result struct {
	Peers   []netip.AddrPort // the peers that were found, each once, at most 2000
	Queries int              // queries that were sent
	Answers int              // nodes that answered
	Stored  int              // nodes that accepted an announce or an item
}

// Announcement describes the own peer.
type Announcement struct {
	// Port is the port at which others connect to the peer.
	Port uint16
	// ImpliedPort tells nodes to use the port that the packet comes from, which suits a peer
	// behind a NAT that uses the same UDP port for everything.
	ImpliedPort bool
	// Seed says that the peer has all pieces (BEP 33).
	Seed bool
}

// Peers searches for the peers of a torrent. It calls found, if it is not nil, for each peer
// as soon as it is found. It returns what it has found together with the error if ctx ends
// first, and [ErrNoNodes] if no node answers.
func (n *Node) Peers(ctx context.Context, infoHash spate.InfoHash, found func(peer netip.AddrPort)) (Result, error) {
	return n.search(ctx, node.Request{Method: krpc.GetPeers, Target: infoHash}, found)
}

// Announce searches for the peers of a torrent as [Node.Peers] does, and announces the own peer
// to the nodes closest to the info-hash. Nodes forget the peer after a time that they choose:
// announce it again every 15 minutes.
func (n *Node) Announce(ctx context.Context, infoHash spate.InfoHash, a Announcement, found func(peer netip.AddrPort)) (Result, error) {
	return n.search(ctx, node.Request{
		Method: krpc.GetPeers, Target: infoHash,
		Announce: &node.Announcement{Port: a.Port, Implied: a.ImpliedPort, Seed: a.Seed},
	}, found)
}

// ScrapeResult is an estimate of the size of a swarm (BEP 33).
type ScrapeResult struct {
	Seeds    int
	Leechers int
	Queries  int
	Answers  int
}

// Scrape estimates how many peers a torrent has (BEP 33). Peers that only nodes without BEP 33
// name count as leechers.
func (n *Node) Scrape(ctx context.Context, infoHash spate.InfoHash) (ScrapeResult, error) {
	var s *node.Search
	res, err := n.searchFor(ctx, node.Request{Method: krpc.GetPeers, Target: infoHash, Scrape: true}, nil, &s)
	if err != nil {
		return ScrapeResult{}, err
	}
	seeds, leechers := s.Swarm()
	return ScrapeResult{Seeds: seeds, Leechers: leechers, Queries: res.Queries, Answers: res.Answers}, nil
}

// SampleResult has info-hashes that nodes of the DHT store (BEP 51).
type SampleResult struct {
	InfoHashes []spate.InfoHash // each once, at most 10,000
	// Interval is the longest time that a node asked for: until then the nodes return the same
	// info-hashes again.
	Interval time.Duration
	Sampled  int // nodes that gave a sample, which may be empty
	Queries  int
	Answers  int
}

// Sample asks the nodes on the way to a target, each once, for info-hashes that they store (BEP
// 51).
func (n *Node) Sample(ctx context.Context, target [20]byte) (SampleResult, error) {
	var s *node.Search
	res, err := n.searchFor(ctx, node.Request{Method: krpc.SampleInfohashes, Target: target}, nil, &s)
	if err != nil {
		return SampleResult{}, err
	}
	out := SampleResult{Interval: s.Interval, Sampled: s.Sampled, Queries: res.Queries, Answers: res.Answers}
	known := map[spate.InfoHash]bool{}
	for _, h := range s.Samples {
		if !known[h] {
			known[h] = true
			out.InfoHashes = append(out.InfoHashes, h)
		}
	}
	return out, nil
}

func (n *Node) search(ctx context.Context, r node.Request, found func(netip.AddrPort)) (Result, error) {
	var s *node.Search
	return n.searchFor(ctx, r, found, &s)
}

// searchFor runs a search to its end and sets *s to it. Nobody changes the search after that.
func (n *Node) searchFor(ctx context.Context, r node.Request, found func(netip.AddrPort), s **node.Search) (res Result, err error) {
	select {
	case n.slots <- struct{}{}:
	case <-ctx.Done():
		return res, ctx.Err()
	case <-n.closed:
		return res, ErrClosed
	}
	defer func() { <-n.slots }()
	done, news := make(chan struct{}), make(chan struct{}, 1)
	r.Done = func(*node.Search) { close(done) }
	r.Found = func(*node.Search) {
		select {
		case news <- struct{}{}:
		default:
		}
	}
	n.mu.Lock()
	*s = n.core.Search(time.Now(), r)
	n.flush()
	n.mu.Unlock()
	for running := true; running; {
		select {
		case <-news:
		case <-done:
			running = false
		case <-ctx.Done():
			running, err = false, ctx.Err()
		case <-n.closed:
			running, err = false, ErrClosed
		}
		n.mu.Lock()
		if err != nil {
			n.core.Cancel(*s)
		}
		before := len(res.Peers)
		res = Result{Peers: (*s).Peers, Queries: (*s).Queries, Answers: (*s).Answers, Stored: (*s).Written}
		n.mu.Unlock()
		for _, p := range res.Peers[before:] {
			if found != nil {
				found(p)
			}
		}
	}
	if err == nil && res.Answers == 0 && len(res.Peers) == 0 {
		err = ErrNoNodes
	}
	return res, err
}

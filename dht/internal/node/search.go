package node

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"spate/dht/internal/itemstore"
	"spate/dht/internal/krpc"
	"spate/dht/internal/limit"
	"spate/dht/internal/lookup"
	"spate/dht/internal/nodeid"
	"spate/dht/internal/peerstore"
	"spate/dht/internal/table"
)

// Limits of a search.
const (
	maxFound    = 2000 // peers that a search collects
	maxFromOne  = 200  // peers that one node may contribute
	maxSamples  = 10_000
	maxInterval = 6 * 60 * 60 // seconds that a node may ask others to wait (BEP 51)
	startFrom   = 2 * table.K // nodes of the table that a search starts from
)

// Search is a search that runs in the DHTs of all families. Its exported fields may be read
// when it has ended, and in Request.Found.
type Search struct {
	n        *Node
	r        Request
	target   ID
	lookups  [2]*lookup.Lookup // by index of the family; nil if it has ended or is off
	finished [2]*lookup.Lookup // those that have ended, from which the next search of a walk continues
	writes   int               // queries that write and wait for an answer
	ended    time.Time         // zero while the search runs

	Peers    []netip.AddrPort // peers that were found, each once
	Seeds    peerstore.Filter // union of the Bloom filters of seeds (BEP 33)
	Leechers peerstore.Filter // union of the Bloom filters of other peers (BEP 33)
	Samples  []ID             // info-hashes (BEP 51)
	Sampled  int              // nodes that gave info-hashes, or said that they have none
	Interval time.Duration    // the longest time that one of them asks others to wait
	Item     *itemstore.Item  // the newest version of the item (BEP 44), or nil
	Closest  []lookup.Result  // the nodes at which the search ended
	Queries  int              // queries that were sent
	Answers  int              // answers that counted
	Written  int              // nodes that accepted a write
	known    map[netip.AddrPort]struct{}
}

// Announcement is what a search for peers announces at the nodes at which it ends.
type Announcement struct {
	Port    uint16
	Implied bool // other nodes use the port that the packet comes from
	Seed    bool
}

// Request describes a search.
type Request struct {
	Method krpc.Method // FindNode, GetPeers, Get or SampleInfohashes
	Target ID
	// Announce is sent to the nodes at which a search for peers ends, if it is not nil.
	Announce *Announcement
	// Put is an item that is written to the nodes at which a search for it ends, if it is not
	// nil. CAS is the number of the version that it must replace, or nil (BEP 44).
	Put *itemstore.Item
	CAS *int64
	// Salt is the salt of the mutable item that is searched.
	Salt   []byte
	Scrape bool // ask for Bloom filters (BEP 33)
	NoSeed bool // ask for no peers that have all pieces (BEP 33)
	// After is a search for a near target that has ended, or nil. This one starts from its nodes.
	After *Search
	// Found is called when an answer has new peers or samples.
	Found func(*Search)
	// Done is called when the search has ended.
	Done func(*Search)
	// only restricts the search to one family.
	only *family
}

// Search starts a search. It ends at once if no node is known. The caller passes Packets on.
func (n *Node) Search(now time.Time, r Request) *Search {
	s := &Search{n: n, r: r, target: r.Target, known: map[netip.AddrPort]struct{}{}}
	n.searches[s] = struct{}{}
	for i, f := range n.families {
		if r.only != nil && r.only != f {
			continue
		}
		l := lookup.New(f.id, r.Target)
		if r.After != nil && r.After.finished[i] != nil {
			l = r.After.finished[i].Continue(f.id, r.Target)
		}
		l.Start(f.table.Closest(nil, r.Target, startFrom))
		s.lookups[i] = l
	}
	s.r.After = nil // or else all searches of a walk would stay in memory
	for _, f := range n.families {
		switch r.Method {
		case krpc.GetPeers:
			s.ownPeers(now, f)
		case krpc.Get:
			s.ownItem(now, f)
		}
	}
	s.proceed(now)
	return s
}

// find starts a search of one family for the nodes close to a target.
func (n *Node) find(now time.Time, f *family, target ID, done func(*Search)) *Search {
	return n.Search(now, Request{Method: krpc.FindNode, Target: target, Done: done, only: f})
}

// WalkFrom returns the target of a search with which a walk from first to last begins: a random point
// of the key space around them. Its nodes name others than those that all nodes name for the targets of
// the walk, which may be gone.
func (n *Node) WalkFrom(first, last ID) ID {
	return nodeid.WithPrefix(first, max(nodeid.CommonBits(first, last)-2, 0), n.randomID())
}

// Cancel ends a search without calling Done.
func (n *Node) Cancel(s *Search) { delete(n.searches, s) }

// Running returns the number of searches that run.
func (n *Node) Running() int { return len(n.searches) }

// Swarm estimates the number of seeds and of other peers (BEP 33). Peers that only nodes
// without BEP 33 named count as other peers, unless a Bloom filter of seeds contains them.
func (s *Search) Swarm() (seeds, leechers int) {
	all := s.Leechers
	for _, p := range s.Peers {
		var one peerstore.Filter
		one.Insert(p.Addr())
		with := s.Seeds
		with.Merge(&one)
		if with != s.Seeds {
			all.Merge(&one)
		}
	}
	return int(math.Round(s.Seeds.Estimate())), int(math.Round(all.Estimate()))
}

// live reports whether the search still runs.
func (s *Search) live() bool {
	_, ok := s.n.searches[s]
	return ok
}

// proceed sends the next queries of a search, and ends it when nothing is left to do.
func (s *Search) proceed(now time.Time) {
	if !s.live() {
		return
	}
	running := false
	for i, f := range s.n.families {
		l := s.lookups[i]
		if l == nil {
			continue
		}
		for {
			c, ok := l.Next()
			if !ok {
				break
			}
			s.ask(now, f, c)
		}
		if !l.Done() {
			running = true
			continue
		}
		s.lookups[i], s.finished[i] = nil, l
		found := l.Closest()
		s.Closest = append(s.Closest, found...)
		s.store(now, f, found)
	}
	if running || s.writes > 0 {
		return
	}
	s.ended = now
	delete(s.n.searches, s)
	if s.r.Done != nil {
		s.r.Done(s)
	}
}

// ask sends the query of the search to a node.
func (s *Search) ask(now time.Time, f *family, c Contact) {
	n := s.n
	n.out = krpc.Message{Method: s.r.Method, Target: s.target, HasTarget: true, Scrape: s.r.Scrape, NoSeed: s.r.NoSeed}
	if len(n.families) > 1 && s.r.only == nil {
		n.out.Want = krpc.Want4 | krpc.Want6
	}
	s.Queries++
	n.ask(now, f, c, s)
}

// store writes what the search stores to the nodes that gave a token, and to the own node if it
// is one of the closest to the target, as other nodes do.
func (s *Search) store(now time.Time, f *family, found []lookup.Result) {
	if s.r.Announce == nil && s.r.Put == nil {
		return
	}
	for _, r := range found {
		if len(r.Token) > 0 {
			s.write(now, f, r.Node, r.Token)
		}
	}
	if s.n.o.ReadOnly || len(found) >= lookup.K && nodeid.Compare(s.target, f.id, found[len(found)-1].ID) > 0 {
		return
	}
	var err error
	if s.r.Put != nil {
		err = f.items.Put(now, netip.IPv6Loopback(), s.r.Put, s.r.CAS)
	} else {
		err = f.peers.Announce(now, s.target, f.own(s.r.Announce), s.r.Announce.Seed)
	}
	if err == nil {
		s.Written++
	}
}

// write sends what the search stores to a node.
func (s *Search) write(now time.Time, f *family, to Contact, token []byte) *query {
	if s.r.Put != nil {
		s.n.out = putOf(&s.r, token)
	} else {
		a := s.r.Announce
		s.n.out = krpc.Message{Method: krpc.AnnouncePeer, Target: s.target, HasTarget: true, Token: token, Port: a.Port, ImpliedPort: a.Implied, Seed: a.Seed}
	}
	s.writes++
	s.Queries++
	q := s.n.ask(now, f, to, s)
	q.token = token
	return q
}

// ownPeers adds the peers that the own node stores.
func (s *Search) ownPeers(now time.Time, f *family) {
	m := krpc.Message{Values: f.peers.AppendValues(nil, now, s.target, limit.MaxPacket, s.r.NoSeed)}
	if s.addPeers(m.AppendPeers(nil, maxFromOne), true) && s.r.Found != nil {
		s.r.Found(s)
	}
}

// index returns the index of a family in lookups.
func (s *Search) index(f *family) int { return slices.Index(s.n.families, f) }

// answered handles the response in n.in to a query of the search.
func (s *Search) answered(now time.Time, f *family, q *query) {
	if !s.live() {
		return
	}
	if q.token != nil {
		s.writes--
		s.Written++
		s.proceed(now)
		return
	}
	m := &s.n.in
	if l := s.lookups[s.index(f)]; l != nil {
		s.n.nodes = s.nodesOf(m, f)
		if l.Answered(q.to.Addr, m.ID, m.Token, s.n.nodes) {
			s.Answers++
			s.take(m, q.to.Addr)
		}
		for i, other := range s.n.families {
			if other != f && s.lookups[i] != nil {
				s.n.nodes = s.nodesOf(m, other)
				s.lookups[i].Extend(s.n.nodes)
			}
		}
	}
	s.proceed(now)
}

// nodesOf returns the nodes of a family that a response names.
func (s *Search) nodesOf(m *krpc.Message, f *family) []Contact {
	if f.v6 {
		return krpc.AppendNodes6(s.n.nodes[:0], m.Nodes6, lookup.MaxPerReply)
	}
	return krpc.AppendNodes4(s.n.nodes[:0], m.Nodes, lookup.MaxPerReply)
}

// take collects what a response contributes beside nodes.
func (s *Search) take(m *krpc.Message, from netip.AddrPort) {
	news := s.addPeers(m.AppendPeers(nil, maxFromOne), nodeid.Exempt(from.Addr()))
	s.takeItem(m)
	if len(m.Seeds) == len(s.Seeds) && len(m.Peers) == len(s.Leechers) {
		s.Seeds.Merge((*peerstore.Filter)(m.Seeds))
		s.Leechers.Merge((*peerstore.Filter)(m.Peers))
	}
	if m.Sampled {
		s.Sampled++
		s.Interval = max(s.Interval, time.Duration(min(m.Interval, maxInterval))*time.Second)
	}
	for b := m.Samples; len(b) >= len(ID{}) && len(s.Samples) < maxSamples; b = b[len(ID{}):] {
		s.Samples = append(s.Samples, ID(b[:len(ID{})]))
		news = true
	}
	if news && s.r.Found != nil {
		s.r.Found(s)
	}
}

// addPeers adds peers that are new. Nodes outside cannot name peers of the local network.
func (s *Search) addPeers(peers []netip.AddrPort, local bool) (news bool) {
	for _, p := range peers {
		a := p.Addr()
		if p.Port() == 0 || !a.IsGlobalUnicast() && !a.IsLoopback() || !local && nodeid.Exempt(a) || len(s.Peers) >= maxFound {
			continue
		}
		if _, known := s.known[p]; !known {
			s.known[p] = struct{}{}
			s.Peers = append(s.Peers, p)
			news = true
		}
	}
	return news
}

// refused handles an error in answer to a query of the search.
func (s *Search) refused(now time.Time, f *family, q *query) {
	q.again = true // another attempt would be refused too
	s.failed(now, f, q)
}

// failed handles a query of the search that was not answered. A query that writes is sent once
// more, because the node has answered a moment before, so that the packet was probably lost.
func (s *Search) failed(now time.Time, f *family, q *query) {
	if !s.live() {
		return
	}
	if q.token != nil {
		s.writes--
		if !q.again {
			s.write(now, f, q.to, q.token).again = true
		}
	} else if l := s.lookups[s.index(f)]; l != nil {
		l.Failed(q.to.Addr)
	}
	s.proceed(now)
}

// slowed handles a query of the search whose answer is late.
func (s *Search) slowed(now time.Time, f *family, q *query) {
	if !s.live() {
		return
	}
	if l := s.lookups[s.index(f)]; l != nil {
		l.Slow(q.to.Addr)
	}
	s.proceed(now)
}

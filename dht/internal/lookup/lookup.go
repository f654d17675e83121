// Package lookup decides which nodes of the DHT to ask in the iterative search for a target
// (BEP 5), and when the search ends.
//
// Other nodes supply most of what a lookup knows, and some of them lie. A lookup therefore
// keeps few candidates, sends a bounded number of queries, and ends only at nodes whose ids
// fit their addresses (BEP 42): an attacker cannot choose such an id freely. Other nodes are
// asked too, because many honest programs do not follow BEP 42.
//
// A lookup has no clock, no socket and no lock.
package lookup

import (
	"net/netip"
	"slices"

	"spate/dht/internal/krpc"
	"spate/dht/internal/nodeid"
)

// ID is a point of the key space.
type ID = krpc.ID

// Node is the address of a node.
type Node = krpc.Node

// Limits of a lookup.
const (
	K             = 8   // nodes at which a lookup ends (BEP 5)
	Alpha         = 4   // queries that wait for an answer at a time
	MaxQueries    = 200 // queries of a lookup
	MaxCandidates = 100 // nodes that a lookup remembers
	MaxPerReply   = 16  // nodes that are taken from one reply; most programs send 8
	maxPerIP      = 4   // nodes with one public address, such as those behind one carrier's NAT
	maxFails      = 2   // lookups of a walk in which a node is asked that does not answer
	freeInsecure  = 8   // queries to nodes with an id that BEP 42 forbids, beyond one for each other query
)

// state is the progress of a candidate.
type state uint8

const (
	fresh    state = iota // not asked yet
	asked                 // waits for an answer
	slow                  // waits for an answer, and another node is asked meanwhile
	answered              // has answered
	dropped               // has not answered, or has lied
)

// candidate is a node that a lookup may ask.
type candidate struct {
	Node
	state  state
	secure bool // BEP 42 allows the id for the address
	known  bool // the id is from an answer of this node to an earlier query
	token  []byte

	// For the lookups of a walk, see [Lookup.Continue].
	alive bool  // the node answered an earlier lookup of the walk
	again bool  // the query has been sent twice, because the node is alive
	fails uint8 // lookups of the walk in which the node did not answer
}

// Lookup is the search for the nodes closest to a target. Use [New] to make one.
type Lookup struct {
	target   ID
	self     ID
	list     []candidate // the closest first
	waiting  int         // candidates in state asked
	slow     int         // candidates in state slow
	secure   int         // queries to secure candidates
	insecure int         // queries to other candidates
}

// New returns a lookup of the node self for a target.
func New(self, target ID) *Lookup {
	return &Lookup{self: self, target: target}
}

// Continue returns a lookup of the node self for a target near that of l, which has ended. A walk of
// such lookups along the key space asks nodes that the lookups before have found. It does not ask
// nodes again that did not answer twice, and it asks a node twice that has answered before, because
// its answer was probably lost.
func (l *Lookup) Continue(self, target ID) *Lookup {
	next := New(self, target)
	for _, c := range l.list {
		switch c.state {
		case answered:
			c.known, c.alive, c.fails = true, true, 0
		case slow, dropped:
			c.alive = false
			c.fails = min(c.fails+1, maxFails)
		}
		c.state, c.token, c.again = fresh, nil, false
		if c.fails == maxFails {
			c.state = dropped
		}
		next.insert(c)
	}
	return next
}

// Target returns the target.
func (l *Lookup) Target() ID { return l.target }

// Queries returns the number of queries that the lookup has sent.
func (l *Lookup) Queries() int { return l.secure + l.insecure }

// Start adds nodes of the routing table, which have answered queries with their ids.
func (l *Lookup) Start(nodes []Node) {
	for _, n := range nodes {
		l.add(n, true)
	}
}

// Hint adds nodes that may be in the network, such as those of a torrent. Their ids are not
// known, and count as far away until they answer.
func (l *Lookup) Hint(addrs []netip.AddrPort) {
	for _, a := range addrs {
		id := l.target
		for i := range id {
			id[i] = ^id[i]
		}
		l.add(Node{ID: id, Addr: a}, false)
	}
}

// add adds a candidate if the list has room or the candidate is closer than others in it.
func (l *Lookup) add(n Node, known bool) {
	ip := n.Addr.Addr()
	if !n.Addr.IsValid() || n.Addr.Port() == 0 || ip.IsUnspecified() || ip.IsMulticast() || n.ID == l.self {
		return
	}
	sharing := 0
	for i := range l.list {
		switch c := &l.list[i]; {
		case c.Addr == n.Addr:
			return
		case c.Addr.Addr() == ip:
			sharing++
		}
	}
	if sharing >= maxPerIP && !nodeid.Exempt(ip) {
		return
	}
	c := candidate{Node: n, known: known, secure: nodeid.Valid(n.ID, ip)}
	if len(l.list) >= MaxCandidates && !l.makeRoom(&c) {
		return
	}
	l.insert(c)
}

// insert puts a candidate at its place in the list.
func (l *Lookup) insert(c candidate) {
	at, _ := slices.BinarySearchFunc(l.list, c.ID, func(o candidate, id ID) int { return nodeid.Compare(l.target, o.ID, id) })
	l.list = slices.Insert(l.list, at, c)
}

// makeRoom removes the farthest candidate that has not been asked and that is less useful
// than c. Insecure candidates are less useful than secure ones.
func (l *Lookup) makeRoom(c *candidate) bool {
	for _, secure := range []bool{false, true} {
		if secure && !c.secure {
			break
		}
		for i := len(l.list) - 1; i >= 0; i-- {
			o := &l.list[i]
			if (o.state != fresh && o.state != dropped) || o.secure != secure {
				continue
			}
			if o.secure == c.secure && nodeid.Compare(l.target, c.ID, o.ID) >= 0 {
				break
			}
			l.list = slices.Delete(l.list, i, i+1)
			return true
		}
	}
	return false
}

// Next returns the node to ask next, and counts it as asked. It returns false while enough
// queries wait for answers, and when the lookup needs no further answers.
func (l *Lookup) Next() (Node, bool) {
	if l.waiting >= Alpha || l.Queries() >= MaxQueries {
		return Node{}, false
	}
	front := 0 // secure candidates that have answered or may answer soon
	for i := range l.list {
		c := &l.list[i]
		if c.state == fresh && (c.secure || l.insecure < freeInsecure+l.secure) {
			c.state = asked
			l.waiting++
			if c.secure {
				l.secure++
			} else {
				l.insecure++
			}
			return c.Node, true
		}
		if c.secure && (c.state == asked || c.state == answered) {
			front++
			if front == K {
				break
			}
		}
	}
	return Node{}, false
}

// Done reports whether the lookup has ended: no query waits for an answer, and no node is to
// be asked. The caller must have called Next until it returned false.
func (l *Lookup) Done() bool {
	return l.waiting == 0 && (l.slow == 0 || l.ends() >= K)
}

// ends returns the number of nodes at which the lookup can end.
func (l *Lookup) ends() (n int) {
	for i := range l.list {
		if l.list[i].secure && l.list[i].state == answered {
			n++
		}
	}
	return n
}

// find returns the candidate with that address that waits for an answer, or nil.
func (l *Lookup) find(addr netip.AddrPort) *candidate {
	for i := range l.list {
		if c := &l.list[i]; c.Addr == addr && (c.state == asked || c.state == slow) {
			return c
		}
	}
	return nil
}

// leave counts a candidate as no longer waiting.
func (l *Lookup) leave(c *candidate, to state) {
	if c.state == asked {
		l.waiting--
	} else {
		l.slow--
	}
	c.state = to
}

// Slow records that a node is slow to answer, so that another node is asked meanwhile.
func (l *Lookup) Slow(addr netip.AddrPort) {
	c := l.find(addr)
	if c == nil || c.state == slow {
		return
	}
	l.waiting--
	if c.alive && !c.again {
		c.state, c.again = fresh, true
		return
	}
	l.slow++
	c.state = slow
}

// Failed records that a node has not answered.
func (l *Lookup) Failed(addr netip.AddrPort) {
	if c := l.find(addr); c != nil {
		l.leave(c, dropped)
	}
}

// Answered records the answer of a node with the id that it gave, its token and the nodes
// that it named. It reports whether the answer counts. It does not count if the node has
// answered with another id before, because such a node chooses its id for each query. The
// token is copied.
func (l *Lookup) Answered(addr netip.AddrPort, id ID, token []byte, nodes []Node) bool {
	c := l.find(addr)
	if c == nil {
		return false
	}
	if c.ID != id && c.known {
		l.leave(c, dropped)
		c.fails = maxFails
		return false
	}
	l.leave(c, answered)
	c.token = slices.Clone(token)
	if c.ID != id {
		// Whoever named the node was wrong about its id.
		moved := *c
		moved.ID, moved.secure = id, nodeid.Valid(id, addr.Addr())
		i := slices.IndexFunc(l.list, func(o candidate) bool { return o.Addr == addr })
		l.list = slices.Delete(l.list, i, i+1)
		l.insert(moved)
	}
	l.extend(nodes, nodeid.Exempt(addr.Addr()))
	return true
}

// Extend adds nodes that a node of the other address family named (BEP 32).
func (l *Lookup) Extend(nodes []Node) { l.extend(nodes, false) }

// extend adds nodes that another node named. Only nodes of the local network can name others
// there.
func (l *Lookup) extend(nodes []Node, local bool) {
	for _, n := range nodes[:min(len(nodes), MaxPerReply)] {
		if local || !nodeid.Exempt(n.Addr.Addr()) {
			l.add(n, false)
		}
	}
}

// Result is a node that answered, with the token that it gave.
type Result struct {
	Node
	Token []byte
}

// Closest returns the nodes at which the lookup ended, the closest first. They are at most K
// nodes with an id that BEP 42 allows. Other nodes fill the list only if fewer than K such
// nodes have answered in the whole lookup, which happens in networks that are small or whose
// programs do not follow BEP 42.
func (l *Lookup) Closest() (found []Result) {
	for _, secure := range []bool{true, false} {
		for i := range l.list {
			if c := &l.list[i]; c.state == answered && c.secure == secure && len(found) < K {
				found = append(found, Result{Node: c.Node, Token: c.token})
			}
		}
	}
	slices.SortFunc(found, func(a, b Result) int { return nodeid.Compare(l.target, a.ID, b.ID) })
	return found
}

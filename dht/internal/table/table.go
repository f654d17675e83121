// Package table holds the routing table of a DHT node (BEP 5) for one address family: which
// nodes the node knows, which of them answer, and which to ask next.
//
// The table has no clock and no lock: now is an argument. Only nodes that have answered a
// query are in the table, so that nobody can fill it with invented addresses.
package table

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"spate/dht/internal/krpc"
	"spate/dht/internal/nodeid"
)

// ID is a point of the key space.
type ID = krpc.ID

// Node is the address of a node.
type Node = krpc.Node

// Sizes and times.
const (
	K          = 8                // nodes of a bucket (BEP 5)
	spares     = 8                // nodes of the replacement cache of a bucket
	GoodFor    = 15 * time.Minute // time for which a node is good after its last message (BEP 5)
	badAfter   = 2                // failed queries in a row after which a node is bad (BEP 5)
	dropAfter  = 5                // failed queries in a row after which a node is removed even if nothing replaces it
	retryAfter = 20 * time.Second // time between two pings of one node
	maxPerIP   = 3                // nodes of the table that share one public address, such as those of one carrier's NAT
)

// entry is a node of the table.
type entry struct {
	Node
	network   uint64    // as networkOf returns it
	responded time.Time // when the node last answered
	queried   time.Time // when the node last sent a query
	pinged    time.Time // when Due last returned the node
	fails     int       // failed queries since the last answer
}

// good reports whether the node counts as good (BEP 5).
func (e *entry) good(now time.Time) bool {
	return e.fails == 0 && (now.Sub(e.responded) < GoodFor || now.Sub(e.queried) < GoodFor)
}

// bucket holds the nodes whose ids have a number of leading bits in common with the own id.
type bucket struct {
	live      []entry // at most K
	spare     []entry // replace nodes that fail; at most spares, the newest last
	refreshed time.Time
}

// Table is a routing table. Use [New] to make one. It is not safe for concurrent use.
type Table struct {
	self    ID
	buckets []bucket // bucket i has i bits in common with self, the last one at least that many
	n       int      // nodes in live
}

// New returns an empty table of the node with the id self.
func New(self ID) *Table {
	return &Table{self: self, buckets: make([]bucket, 1)}
}

// Self returns the id of the own node.
func (t *Table) Self() ID { return t.self }

// Len returns the number of nodes in the table.
func (t *Table) Len() int { return t.n }

// Good returns the number of good nodes in the table.
func (t *Table) Good(now time.Time) (n int) {
	for i := range t.buckets {
		for j := range t.buckets[i].live {
			if t.buckets[i].live[j].good(now) {
				n++
			}
		}
	}
	return n
}

// Nodes appends all nodes of the table that do not fail to dst.
func (t *Table) Nodes(dst []Node) []Node {
	for i := range t.buckets {
		dst = appendAnswering(dst, t.buckets[i].live)
	}
	return dst
}

// Rebase gives the own node another id, and puts the nodes into the buckets that fit it.
func (t *Table) Rebase(self ID) {
	old := t.buckets
	*t = *New(self)
	for _, b := range old {
		for _, e := range b.live {
			t.insert(e)
		}
	}
}

// bucket returns the bucket for an id.
func (t *Table) bucket(id ID) *bucket {
	return &t.buckets[t.index(id)]
}

func (t *Table) index(id ID) int {
	return min(nodeid.CommonBits(t.self, id), len(t.buckets)-1)
}

// find returns the index of the node with that id in a list, or -1.
func find(list []entry, id ID) int {
	for i := range list {
		if list[i].ID == id {
			return i
		}
	}
	return -1
}

// at returns the index of the node with that address in a list, or -1.
func at(list []entry, addr netip.AddrPort) int {
	for i := range list {
		if list[i].Addr == addr {
			return i
		}
	}
	return -1
}

// IDOf returns the id of the node at an address, if it is in the table.
func (t *Table) IDOf(addr netip.AddrPort) (ID, bool) {
	for i := range t.buckets {
		if j := at(t.buckets[i].live, addr); j >= 0 {
			return t.buckets[i].live[j].ID, true
		}
	}
	return ID{}, false
}

// Contains reports whether the node is in the table.
func (t *Table) Contains(n Node) bool {
	b := t.bucket(n.ID)
	i := find(b.live, n.ID)
	return i >= 0 && b.live[i].Addr == n.Addr
}

// Responded records an answer of a node to a query, and adds the node if the table has a
// place for it. A node that answers from a known address with another id replaces the old
// entry.
func (t *Table) Responded(n Node, now time.Time) {
	if n.ID == t.self || n.ID == (ID{}) || !n.Addr.IsValid() || n.Addr.Port() == 0 {
		return
	}
	b := t.bucket(n.ID)
	if i := find(b.live, n.ID); i >= 0 {
		e := &b.live[i]
		if e.Addr != n.Addr {
			if e.good(now) {
				return // the known address still answers
			}
			t.Remove(n.Addr)
			i = find(b.live, n.ID)
			e = &b.live[i]
			e.Addr, e.network = n.Addr, networkOf(n.Addr.Addr())
		}
		e.responded, e.fails = now, 0
		return
	}
	t.Remove(n.Addr)
	if !local(n.Addr.Addr()) && t.sharing(n.Addr.Addr()) >= maxPerIP {
		return
	}
	t.insert(entry{Node: n, network: networkOf(n.Addr.Addr()), responded: now})
}

// Queried records a query of a node. It reports whether the table has a place for the node,
// so that the caller asks the node whether it answers.
func (t *Table) Queried(n Node, now time.Time) (wanted bool) {
	if n.ID == t.self || n.ID == (ID{}) || !n.Addr.IsValid() || n.Addr.Port() == 0 {
		return false
	}
	i := t.index(n.ID)
	b := &t.buckets[i]
	if j := find(b.live, n.ID); j >= 0 {
		if b.live[j].Addr == n.Addr {
			b.live[j].queried = now
		}
		return false
	}
	return len(b.live) < K || i == len(t.buckets)-1 && i < nodeid.Bits-1 ||
		slices.ContainsFunc(b.live, func(e entry) bool { return e.fails >= badAfter })
}

// Failed records that a node has not answered a query. A node that fails twice is replaced
// by a node of the replacement cache.
func (t *Table) Failed(n Node) {
	b := t.bucket(n.ID)
	i := find(b.live, n.ID)
	if i < 0 || b.live[i].Addr != n.Addr {
		b.spare = slices.DeleteFunc(b.spare, func(e entry) bool { return e.Addr == n.Addr })
		return
	}
	e := &b.live[i]
	e.fails++
	switch last := len(b.spare) - 1; {
	case e.fails >= badAfter && last >= 0:
		*e = b.spare[last]
		b.spare = b.spare[:last]
	case e.fails >= dropAfter:
		b.live = slices.Delete(b.live, i, i+1)
		t.n--
	}
}

// Remove removes the node with that address, if the table contains it.
func (t *Table) Remove(addr netip.AddrPort) {
	for i := range t.buckets {
		b := &t.buckets[i]
		if j := at(b.live, addr); j >= 0 {
			b.live = slices.Delete(b.live, j, j+1)
			t.n--
		}
		if j := at(b.spare, addr); j >= 0 {
			b.spare = slices.Delete(b.spare, j, j+1)
		}
	}
}

// sharing returns the number of nodes that have a host address.
func (t *Table) sharing(a netip.Addr) (n int) {
	for i := range t.buckets {
		for j := range t.buckets[i].live {
			if t.buckets[i].live[j].Addr.Addr() == a {
				n++
			}
		}
	}
	return n
}

// insert adds a node that is not in the table, or puts it into the replacement cache.
func (t *Table) insert(e entry) {
	if e.ID == t.self {
		return
	}
	for {
		i := t.index(e.ID)
		b := &t.buckets[i]
		if j := find(b.spare, e.ID); j >= 0 {
			b.spare = slices.Delete(b.spare, j, j+1)
		}
		switch {
		case len(b.live) < K:
			b.live = append(b.live, e)
			t.n++
			return
		case i == len(t.buckets)-1 && i < nodeid.Bits-1:
			t.split()
			continue
		}
		if j := b.place(&e); j < 0 {
			b.keep(e)
		} else if old := b.live[j]; old.fails < badAfter {
			b.live[j] = e
			b.keep(old)
		} else {
			b.live[j] = e
		}
		return
	}
}

// place returns the index of the node that e replaces in a full bucket, or -1. It is a bad
// node or, so that no network fills the bucket, the newest node of the network that has most
// nodes in it, if the network of e has at least two fewer.
func (b *bucket) place(e *entry) int {
	most, at, own := 1, -1, 0
	for i := range b.live {
		o := &b.live[i]
		if o.fails >= badAfter {
			return i
		}
		if e.sameNetwork(o) {
			own++
		}
		n := 0
		for j := range b.live {
			if o.sameNetwork(&b.live[j]) {
				n++
			}
		}
		if n > 1 && n >= most {
			most, at = n, i
		}
	}
	if most < own+2 {
		return -1
	}
	return at
}

// keep puts a node into the replacement cache. If the cache is full, the node replaces the
// oldest one of its own network, or the oldest of all.
func (b *bucket) keep(e entry) {
	b.spare = slices.DeleteFunc(b.spare, func(o entry) bool { return o.ID == e.ID || o.Addr == e.Addr })
	if len(b.spare) >= spares {
		i := max(slices.IndexFunc(b.spare, func(o entry) bool { return e.sameNetwork(&o) }), 0)
		b.spare = slices.Delete(b.spare, i, i+1)
	}
	b.spare = append(b.spare, e)
}

// split divides the last bucket, which covers the own id, into two.
func (t *Table) split() {
	last := len(t.buckets) - 1
	old := t.buckets[last]
	t.buckets[last] = bucket{refreshed: old.refreshed}
	t.buckets = append(t.buckets, bucket{refreshed: old.refreshed})
	for _, e := range old.live {
		b := t.bucket(e.ID)
		b.live = append(b.live, e)
	}
	for _, e := range old.spare {
		if b := t.bucket(e.ID); len(b.live) < K {
			b.live = append(b.live, e)
			t.n++
		} else {
			b.keep(e)
		}
	}
}

// local reports whether an address belongs to a local network, whose nodes are not counted
// by network.
func local(a netip.Addr) bool { return nodeid.Exempt(a) }

// networkOf returns a number for the network of a public address, which is a /24 of IPv4 or a
// /48 of IPv6, and 0 for a local address.
func networkOf(a netip.Addr) uint64 {
	if local(a) {
		return 0
	}
	if a.Is4() {
		ip := a.As4()
		return 1<<63 | uint64(binary.BigEndian.Uint32(ip[:])>>8)
	}
	ip := a.As16()
	return binary.BigEndian.Uint64(ip[:])>>16 | 1<<62
}

// sameNetwork reports whether two nodes are in one public network.
func (e *entry) sameNetwork(o *entry) bool { return e.network == o.network && e.network != 0 }

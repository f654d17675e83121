// Package vote finds the external address of a node by the votes of other nodes: each reply
// says from which address its query came (the key "ip" of BEP 42).
//
// Each network has one vote, so that the nodes of one network, which may belong to one liar,
// cannot decide. Only a node that knows of very few networks, as in a private DHT, counts the votes
// of single nodes. Only nodes that this node asked by its own choice should vote.
package vote

import (
	"net/netip"
	"slices"
	"time"

	"spate/dht/internal/nodeid"
)

const (
	// lifetime is the time for which a vote counts.
	lifetime = 30 * time.Minute

	// maxVotes is the number of votes that are kept; a further one replaces the oldest. After a
	// change of the address, a little more than half of them must come anew.
	maxVotes = 24

	// quorum is the minimum number of votes that agree about an address, and the maximum number
	// of kept votes of one network.
	quorum = 4
)

// Result is what the nodes agree about.
type Result struct {
	// Addr is the external address. It is invalid while too few nodes agree.
	Addr netip.Addr
	// Port is the external port that all agreeing nodes but a few see. It is 0 if there is no
	// such port, as behind a NAT that uses another port for each destination.
	Port uint16
	// Several reports that enough nodes agree about each of at least two addresses. A NAT with
	// several outer addresses, of which it chooses one for each destination, causes this for
	// ever. A change of the address causes it until more nodes have voted, so that it is worth
	// asking some.
	Several bool
}

// Poll collects the votes about one address family. The zero Poll is ready to use. A Poll is not
// safe for concurrent use.
type Poll struct {
	votes   []vote // oldest first
	current netip.Addr
}

type vote struct {
	voter    netip.Addr
	network  netip.Prefix // of the voter
	observed netip.AddrPort
	at       time.Time
}

// Add counts the vote of the node at address voter, which replied to a query and observed that it
// came from the address observed. It replaces the earlier vote of the same node. Add ignores
// addresses that cannot be external, and nodes on local networks, which may see another address
// than the rest of the world.
func (p *Poll) Add(now time.Time, voter netip.Addr, observed netip.AddrPort) {
	voter = voter.Unmap()
	observed = netip.AddrPortFrom(observed.Addr().Unmap(), observed.Port())
	a := observed.Addr()
	if !voter.IsValid() || nodeid.Exempt(voter) || !a.IsGlobalUnicast() || nodeid.Exempt(a) || a.Is4() != voter.Is4() || observed.Port() == 0 {
		return
	}
	v := vote{voter, network(voter), observed, now}
	drop := slices.IndexFunc(p.votes, func(o vote) bool { return o.voter == voter })
	if drop < 0 {
		drop = p.surplus(v.network)
	}
	if drop >= 0 {
		p.votes = slices.Delete(p.votes, drop, drop+1)
	}
	p.votes = append(p.votes, v)
}

// surplus returns the index of the vote that one of network n replaces, or -1.
func (p *Poll) surplus(n netip.Prefix) int {
	oldest, count := -1, 0
	for i, v := range p.votes {
		if v.network != n {
			continue
		}
		if oldest < 0 {
			oldest = i
		}
		count++
	}
	if count >= quorum {
		return oldest
	}
	if len(p.votes) >= maxVotes {
		return 0
	}
	return -1
}

// network returns the network of a voter: an IPv4 /16 or an IPv6 /32, which are allocations
// that few can have several of.
func network(a netip.Addr) netip.Prefix {
	size := 32
	if a.Is4() {
		size = 16
	}
	n, _ := a.Prefix(size) // the size fits the family
	return n
}

// Result returns what the nodes agree about. The first address is the one with the most votes,
// of a quorum. It changes only if more than half of all votes are for another address, so that
// neither a few liars nor a NAT with several addresses makes it change back and forth. It becomes
// invalid when its last vote has expired and there is no quorum for another.
func (p *Poll) Result(now time.Time) Result {
	p.votes = slices.DeleteFunc(p.votes, func(v vote) bool { return now.Sub(v.at) >= lifetime })
	votes := p.counted()
	counts := map[netip.Addr]int{}
	for _, v := range votes {
		counts[v.observed.Addr()]++
	}
	var best netip.Addr
	agreed := 0
	for a, n := range counts {
		if n > counts[best] || n == counts[best] && a.Less(best) {
			best = a
		}
		if n >= quorum {
			agreed++
		}
	}
	if counts[p.current] == 0 {
		p.current = netip.Addr{}
	}
	if n := counts[best]; n >= quorum && (!p.current.IsValid() || 2*n > len(votes)) {
		p.current = best
	}
	return Result{p.current, port(votes, p.current), agreed > 1}
}

// counted returns the newest vote of each network, or all votes if they come from fewer networks
// than a quorum.
func (p *Poll) counted() []vote {
	var newest []vote
	for _, v := range slices.Backward(p.votes) {
		if !slices.ContainsFunc(newest, func(o vote) bool { return o.network == v.network }) {
			newest = append(newest, v)
		}
	}
	if len(newest) < quorum {
		return p.votes
	}
	return newest
}

// port returns the port that at least three quarters of the votes for address a have, or 0.
func port(votes []vote, a netip.Addr) (most uint16) {
	counts, all := map[uint16]int{}, 0
	for _, v := range votes {
		if v.observed.Addr() != a {
			continue
		}
		all++
		n := v.observed.Port()
		counts[n]++
		if counts[n] > counts[most] {
			most = n
		}
	}
	if 4*counts[most] < 3*all {
		return 0
	}
	return most
}

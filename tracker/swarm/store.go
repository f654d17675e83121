package swarm

import (
	"iter"
	"net/netip"
	"time"

	"spate"
)

// Store holds the swarms of a tracker: the peers of each torrent, its counters, and the
// protection and the origins that its publisher gave it. [Table] is the implementation in
// memory. Another implementation must pass the tests of [spate/tracker/swarm/swarmtest].
//
// All methods are safe for concurrent use. Announce and Scrape are called for each
// request, so they must not wait. A Store has no clock: the time is an argument, and it
// is seldom before that of an earlier call.
type Store interface {
	// Announce processes r, adds, changes or removes its peer, and sets all fields of
	// rep, whose slices it reuses. It may count a peer that announces over both address families
	// once. It must retain neither r nor rep. The errors are
	// [ErrFull] and [ErrAddr]; rep is valid with both.
	Announce(now time.Time, r *Request, rep *Reply) error
	// CountSockets sets the numbers of peers of a swarm that have no address. They are in all
	// counts, but no reply contains them. They do not expire, and the swarm is kept while there
	// are any, unless the space is needed. CountSockets sets all fields of rep except those
	// about the peer's entry, and returns no peers. The error is [ErrFull]; rep is valid with
	// it.
	CountSockets(now time.Time, r *Sockets, rep *Reply) error
	// Scrape returns the counts of one swarm (BEP 48), of both address families. ok is
	// false if the swarm is unknown.
	Scrape(now time.Time, ih spate.InfoHash) (seeders, leechers, completed uint32, ok bool)
	// Sweep removes peers that have not announced for Options.Expire. It examines
	// about max peers and swarms and continues where the last call stopped; if max is 0
	// it examines all. It returns how many peers it examined and removed.
	Sweep(now time.Time, max int) (seen, expired int)

	// Totals returns the totals over all swarms.
	Totals() Totals
	// All iterates over all swarms in any order. Changes in the meantime may be
	// missed. The loop body may call the other methods.
	All() iter.Seq[Stats]
	// Busiest returns up to n swarms with the most peers, in decreasing order, without
	// swarms that have no peers.
	Busiest(n int) []Stats
	// Options returns the options with the defaults filled in. The tracker uses
	// NumWant, Interval and MinInterval. They do not change.
	Options() Options

	// Protect keeps the swarm of ih, even without peers, until Unprotect. It creates
	// the swarm if needed. The error is [ErrFull] if there is no space.
	Protect(ih spate.InfoHash) error
	// Unprotect undoes Protect and Pin. It does nothing if the swarm is unknown.
	Unprotect(ih spate.InfoHash)
	// Pin makes addrs, up to 16 addresses, the origins of the swarm of ih. They are in
	// every reply to a leecher although they do not announce, and count as seeds, where
	// an IPv4 and an IPv6 address count as one. A store may keep private addresses from
	// peers outside of the private network. Pin replaces earlier origins and
	// protects the swarm. The errors are [ErrFull], [ErrPins] and [ErrAddr].
	Pin(ih spate.InfoHash, addrs ...netip.AddrPort) error
	// Unpin removes the origins of a swarm, which stays protected.
	Unpin(ih spate.InfoHash)
	// SetCompleted raises the completion counter of a swarm to n if it is lower. It
	// creates the swarm if needed. The error is [ErrFull].
	SetCompleted(ih spate.InfoHash, n uint32) error
	// Drop removes the swarm of ih with its peers and counters.
	Drop(ih spate.InfoHash)
}

var _ Store = (*Table)(nil)

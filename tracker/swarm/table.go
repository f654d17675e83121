package swarm

import (
	"errors"
	"io"
	"iter"
	"net/netip"
	"time"

	"spate"
	"spate/tracker"
)

// Errors of [Table.Announce]. The reply is filled in all the same: who is not
// remembered is still told of the others.
var (
	// ErrFull says that the peer was not remembered, for a cap is reached and
	// nothing can be evicted for it.
	ErrFull = errors.New("swarm table: full")
	// ErrAddr says that the request has no usable address or port 0.
	ErrAddr = errors.New("swarm table: no usable address")
)

// Request is one announce, as far as the table is concerned.
type Request struct {
	InfoHash spate.InfoHash
	// PeerID and Key say who announces: the key where it is not 0, else the
	// peer id. An entry is found by its address alone, but only who made it
	// can stop it.
	PeerID spate.PeerID
	Key    uint32
	// Addr is where the peer accepts connections. IPv4-mapped addresses count
	// as IPv4, zones are dropped.
	Addr netip.AddrPort
	// Seed says that nothing is left to download.
	Seed  bool
	Event tracker.Event
	// NumWant is the number of peers wanted of both families together; negative:
	// the default. More than Options.MaxNumWant is cut to that.
	NumWant int
	// Want4 and Want6 ask for IPv4 and IPv6 peers.
	Want4, Want6 bool
}

// Reply is the answer to a [Request]. The caller keeps it for the next one: the
// table appends to Peers4[:0] and Peers6[:0] and sets the rest.
type Reply struct {
	// Seeders and Leechers count both address families, the one that announced,
	// and pinned origins. Completed counts downloads that became complete.
	Seeders, Leechers, Completed uint32
	// Peers4 and Peers6 are compact lists (BEP 23, BEP 7): 6 and 18 bytes a peer.
	Peers4, Peers6 []byte
	// Interval and MinInterval are in whole seconds.
	Interval, MinInterval time.Duration
	// Counted says that this announce was counted as a completion.
	Counted bool
	// New says that the peer was not in the swarm before.
	New bool
	// Moved says that a leecher became a seed by this announce.
	Moved bool
	// Removed says that this announce took the peer out of the swarm.
	Removed bool
}

// Stats is what the table knows of one swarm.
type Stats struct {
	InfoHash spate.InfoHash
	// Seeders and Leechers count both families; Seeders also pinned origins.
	Seeders, Leechers, Completed uint32
	// Peers6 is how many of the seeders and leechers are IPv6.
	Peers6 uint32
	// Protected says that the swarm is never evicted: see [Table.Protect].
	Protected bool
}

// Totals are sums over the table.
type Totals struct {
	// Swarms counts those that are remembered, Active those of them that have
	// peers or pinned origins.
	Swarms, Active int
	// Seeders and Leechers count entries by address family, without pins.
	Seeders4, Seeders6, Leechers4, Leechers6 int
	// Pinned counts pinned origins of all swarms.
	Pinned int
	// Completed is the sum of the completions of the swarms remembered.
	Completed uint64
	// Since the table was made: entries that expired, entries and swarms that
	// were evicted for others, announces that were not remembered.
	Expired, EvictedPeers, EvictedSwarms, Refused uint64
	// Bytes is the memory that the table holds for all this.
	Bytes int64
}

// Peers is the number of entries of both kinds and families.
func (t *Totals) Peers() int { return t.Seeders4 + t.Seeders6 + t.Leechers4 + t.Leechers6 }

// Table is the peers of all torrents. All methods may be called concurrently.
type Table struct {
	opt Options
	tmp temp
}

// New returns an empty table. now is any time at or before those that its
// methods will be given.
func New(opt Options) (*Table, error) {
	if err := opt.fill(); err != nil {
		return nil, err
	}
	return &Table{opt: opt}, nil
}

// Close returns the table's memory. No method may be called afterwards or at
// the same time.
func (t *Table) Close() error { return nil }

// Options returns the options in force, defaults filled in.
func (t *Table) Options() Options { return t.opt }

// Announce notes what r says and answers it into rep, whose slices are reused.
// It takes the lock of one shard and allocates nothing once rep's slices have
// grown. The errors are [ErrFull] and [ErrAddr]; rep is valid with both.
func (t *Table) Announce(now time.Time, r *Request, rep *Reply) error {
	return t.tmp.announce(t, now, r, rep)
}

// Scrape returns the counts of one swarm (BEP 48); ok is false where the table
// does not know it.
func (t *Table) Scrape(now time.Time, ih spate.InfoHash) (seeders, leechers, completed uint32, ok bool) {
	return t.tmp.scrape(t, now, ih)
}

// Protect says that the swarm of ih was published here: it is remembered
// without peers too, and neither it nor its peers are evicted for those of
// swarms that are not protected. It reports whether there is room for it.
func (t *Table) Protect(ih spate.InfoHash) error { return t.tmp.protect(ih, true) }

// Unprotect takes back [Table.Protect] and [Table.Pin]. Peers and counters stay
// until they expire.
func (t *Table) Unprotect(ih spate.InfoHash) { t.tmp.protect(ih, false) }

// Pin makes addrs the origins of the swarm of ih: they count as seeds and are in
// every answer to a leecher, without ever announcing. It replaces earlier ones,
// and protects the swarm.
func (t *Table) Pin(ih spate.InfoHash, addrs ...netip.AddrPort) error { return t.tmp.pin(ih, addrs) }

// Unpin takes the origins out of the swarm, which stays protected.
func (t *Table) Unpin(ih spate.InfoHash) { t.tmp.pin(ih, nil) }

// Drop forgets the swarm of ih with its peers and counters.
func (t *Table) Drop(ih spate.InfoHash) { t.tmp.drop(ih) }

// SetCompleted raises the completions of a swarm to n where it counts fewer, and
// remembers the swarm for it.
func (t *Table) SetCompleted(ih spate.InfoHash, n uint32) error { return t.tmp.setCompleted(ih, n) }

// Sweep takes out peers that have not announced for Options.Expire. It looks at
// about max peers (0: at all), goes on where the last call stopped, and holds no
// lock for more than a few microseconds. It returns how many peers it looked at
// and how many expired.
func (t *Table) Sweep(now time.Time, max int) (seen, expired int) { return t.tmp.sweep(t, now) }

// Totals sums up the table; it locks one shard at a time, for an instant.
func (t *Table) Totals() Totals { return t.tmp.totals() }

// Busiest returns the n swarms with the most peers, the greatest first.
func (t *Table) Busiest(n int) []Stats { return t.tmp.busiest(n) }

// All iterates over every swarm that is remembered, in no order. No lock is held
// while the body runs; a swarm that comes or goes meanwhile may be missed.
func (t *Table) All() iter.Seq[Stats] { return t.tmp.all() }

// Snapshot writes everything that the table remembers to w; [Table.Restore]
// reads it. Announces go on meanwhile: each swarm is as it was at one moment of
// the call.
func (t *Table) Snapshot(now time.Time, w io.Writer) error { return nil }

// Restore adds what a snapshot remembers. The time between the two does not age
// the peers, up to Options.Expire; after a longer one only counters are kept. A
// snapshot that is damaged is a [*SnapshotError], and leaves the table with what
// came before the damage.
func (t *Table) Restore(now time.Time, r io.Reader) error { return nil }

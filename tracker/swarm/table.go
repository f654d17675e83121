package swarm

import (
	"errors"
	"math/bits"
	"net/netip"
	"sync/atomic"
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
	// Seed says that nothing is left to download. Seeking says that the peer wants
	// to know of seeds all the same.
	Seed, Seeking bool
	Event         tracker.Event
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

// Table is the peers of all torrents. All methods may be called concurrently.
type Table struct {
	opt   Options
	keys  keys
	ident atomic.Pointer[keys] // hashes identities; goes with the snapshot
	shift uint                 // of a hash, to the number of its shard

	expire int // in units of stamps
	adopt  int // the age from which on an entry may change its maker

	shards []shard
	pool   pool
	pins   pinSets
	store  *Store // notes completions; nil: none. Set before there are any

	epoch   atomic.Pointer[time.Time] // an hour before the first time that the table was given
	lastSec atomic.Uint32             // the second that it was given last
	peers   atomic.Int64              // entries of all shards
	swarms  atomic.Int64              // records of all shards
	sweepAt atomic.Uint32             // the shard that is swept
}

// New returns an empty table. It must be closed.
func New(opt Options) (*Table, error) {
	if err := opt.fill(); err != nil {
		return nil, err
	}
	t := &Table{
		opt:    opt,
		keys:   newKeys(opt.Seed),
		shift:  uint(64 - bits.Len(uint(opt.Shards-1))),
		expire: int(opt.Expire / (stampUnit * time.Second)),
		adopt:  int(opt.Interval * 17 / 10 / (stampUnit * time.Second)),
		shards: make([]shard, opt.Shards),
	}
	t.ident.Store(&t.keys)
	t.pins.init()
	for i := range t.shards {
		s := &t.shards[i]
		s.t = t
		s.arena.pool = &t.pool
		s.rng = rng(t.keys.hash1(uint64(i), 7))
	}
	return t, nil
}

// Close returns the table's memory to the system. No method may be called
// afterwards or at the same time.
func (t *Table) Close() error {
	t.pool.close()
	t.shards = nil
	return nil
}

// Options returns the options in force, defaults filled in.
func (t *Table) Options() Options { return t.opt }

// seconds is the time of the table: monotonic where now has that reading.
func (t *Table) seconds(now time.Time) uint32 {
	e := t.epoch.Load()
	if e == nil {
		first := now.Add(-time.Hour)
		t.epoch.CompareAndSwap(nil, &first)
		e = t.epoch.Load()
	}
	sec := uint32(max(now.Sub(*e)/time.Second, 0))
	if t.lastSec.Load() != sec {
		t.lastSec.Store(sec)
	}
	return sec
}

func stampOf(sec uint32) uint16 { return uint16(sec / stampUnit) }

func (t *Table) shard(ih *spate.InfoHash) (*shard, uint64) {
	h := t.keys.hash20((*[20]byte)(ih))
	return &t.shards[h>>t.shift], h
}

// Announce notes what r says and answers it into rep, whose slices are reused.
// It takes the lock of one shard and allocates nothing once rep's slices have
// grown. The errors are [ErrFull] and [ErrAddr]; rep is valid with both.
func (t *Table) Announce(now time.Time, r *Request, rep *Reply) error {
	*rep = Reply{Peers4: rep.Peers4[:0], Peers6: rep.Peers6[:0]}
	a := announce{req: r, rep: rep, id: t.ident.Load().identity(r), sec: t.seconds(now), self: place{list: -1}}
	a.now = stampOf(a.sec)
	a.setAddr(r.Addr)
	s, h := t.shard(&r.InfoHash)
	a.hash = h
	s.mu.Lock()
	err := s.announce(&a)
	s.mu.Unlock()
	return err
}

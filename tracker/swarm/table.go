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

// Errors of [Table.Announce]. It sets the reply even if it returns one of them, so that
// a peer that was not stored still gets the other peers.
var (
	// ErrFull is returned if the peer was not stored, because a limit is reached and
	// nothing can be evicted.
	ErrFull = errors.New("swarm table: full")
	// ErrAddr is returned if the request has no usable address or has port 0.
	ErrAddr = errors.New("swarm table: no usable address")
)

// Request is an announce to the table.
type Request struct {
	InfoHash spate.InfoHash
	// PeerID and Key identify the peer: the key if it is not 0, otherwise the peer id.
	// An entry is found by its address alone, but only the identity that made it can
	// stop it.
	PeerID spate.PeerID
	Key    uint32
	// Addr is the address at which the peer accepts connections. IPv4-mapped addresses
	// count as IPv4, and zones are dropped.
	Addr netip.AddrPort
	// Seed means that the peer has nothing left to download. Seeking means that the
	// peer wants seeds nevertheless.
	Seed, Seeking bool
	Event         tracker.Event
	// NumWant is the number of peers wanted of both address families together. A
	// negative number selects the default. Options.MaxNumWant limits it.
	NumWant int
	// Want4 and Want6 select the address families of the peers that are wanted.
	Want4, Want6 bool
}

// Reply is the reply to a [Request]. The caller reuses it for the next request: the
// table appends to Peers4[:0] and Peers6[:0] and sets all other fields.
type Reply struct {
	// Seeders and Leechers are the numbers of both address families, including the
	// announcing peer and pinned origins. A peer that announces over both families counts
	// once if it sends a key. Completed is the number of completed
	// downloads.
	Seeders, Leechers, Completed uint32
	// Peers4 and Peers6 are compact lists (BEP 23, BEP 7) with 6 and 18 bytes for each
	// peer.
	Peers4, Peers6 []byte
	// Interval and MinInterval are whole numbers of seconds.
	Interval, MinInterval time.Duration
	// Counted means that this announce was counted as a completion.
	Counted bool
	// New means that the peer was not in the swarm before.
	New bool
	// Moved means that a leecher became a seed.
	Moved bool
	// Removed means that the peer was removed from the swarm.
	Removed bool
}

// Table holds the peers of all torrents. It is safe for concurrent use.
type Table struct {
	opt   Options
	keys  keys
	ident atomic.Pointer[keys] // hashes identities; saved in snapshots
	shift uint                 // number of bits by which a hash is shifted right to get its shard

	expire int // age at which an entry expires, in units of stamps
	adopt  int // minimum age at which another identity can take over an entry

	shards []shard
	pool   pool
	pins   pinSets
	dir    *Dir // records completions; may be nil; set before the first announce

	epoch   atomic.Pointer[time.Time] // one hour before the first time that was passed to the table
	lastSec atomic.Uint32             // the last second that was passed to the table
	peers   atomic.Int64              // number of entries of all shards
	swarms  atomic.Int64              // number of records of all shards
	sweepAt atomic.Uint32             // number of the shard that is being swept
}

// New returns an empty table. The caller must close it.
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

// Close returns the memory of the table to the system. No method may be called during
// or after it.
func (t *Table) Close() error {
	t.pool.close()
	t.shards = nil
	return nil
}

// Options returns the options including defaults.
func (t *Table) Options() Options { return t.opt }

// seconds returns the time of the table in seconds. It is monotonic if now has a
// monotonic clock reading.
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

// Announce processes r and stores the reply in rep, whose slices it reuses. It locks
// one shard, and allocates nothing once the slices of rep have grown. The errors are
// [ErrFull] and [ErrAddr]; rep is valid with both.
func (t *Table) Announce(now time.Time, r *Request, rep *Reply) error {
	*rep = Reply{Peers4: rep.Peers4[:0], Peers6: rep.Peers6[:0]}
	a := announce{req: r, rep: rep, id: t.ident.Load().identity(r), sec: t.seconds(now), self: position{list: -1}}
	a.now = stampOf(a.sec)
	a.setAddr(r.Addr)
	s, h := t.shard(&r.InfoHash)
	a.hash = h
	s.mu.Lock()
	err := s.announce(&a)
	s.mu.Unlock()
	return err
}

package itemstore

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"time"

	"spate/dht/internal/limit"
	"spate/dht/internal/nodeid"
	"spate/dht/internal/siphash"
)

const (
	// RepublishAfter is the age from which an item should be put again to stay in the DHT (BEP
	// 44).
	RepublishAfter = time.Hour

	// copies is the number of nodes that should store an item.
	copies = 8
)

// NeedsRepublish reports whether a node that wants an item to stay should put it again. age is
// the time since the node last put it, found the number of nodes that have its newest version,
// and closest how many of the eight closest nodes that accept items have it (BEP 44).
func NeedsRepublish(age time.Duration, found, closest int) bool {
	return age >= RepublishAfter && (found <= copies || closest < copies)
}

// Options are the limits of a [Store]. A zero value means the default.
type Options struct {
	MaxItems   int           // maximum number of items; default 2000
	MaxBytes   int           // maximum memory of all items in bytes; default 2 MiB
	Lifetime   time.Duration // time after which an item that is not put again is forgotten; default 2 hours
	Signatures limit.Options // signatures to check for an address and a network; default: DefaultSignatures
}

const (
	defaultMaxItems = 2000
	defaultMaxBytes = 2 << 20
	defaultLifetime = 2 * time.Hour

	// overhead is the memory of an item beside its strings.
	overhead = 256

	// sweepEvery is the time after which expired items are removed.
	sweepEvery = time.Minute
)

// DefaultSignatures is the default of Options.Signatures.
var DefaultSignatures = limit.Options{Address: limit.Rate{PerSecond: 2, Burst: 20}, Network: limit.Rate{PerSecond: 20, Burst: 100}, Cells: 1024}

// Store is a bounded set of items, ordered by the distance between their targets and our node
// id. The zero Store is not usable. A Store is not safe for concurrent use.
type Store struct {
	o          Options
	self       [20]byte
	items      []*stored // closest first
	bytes      int       // memory of items
	swept      time.Time // time of the last sweep
	signatures *limit.Rates
}

type stored struct {
	distance [20]byte
	item     Item
	at       time.Time // time of the last put
	network  uint64    // of the node that put the item first
}

func (e *stored) size() int { return size(&e.item) }

// size returns the memory that an item takes.
func size(i *Item) int {
	if i.Key == nil {
		return overhead + len(i.Value)
	}
	return overhead + len(i.Value) + len(i.Key) + len(i.Salt) + len(i.Sig)
}

// New returns an empty Store with a random key. self is our node id, and now the current time.
func New(self [20]byte, key siphash.Key, now time.Time, o Options) (*Store, error) {
	if o.MaxItems < 0 || o.MaxBytes < 0 || o.Lifetime < 0 {
		return nil, errors.New("itemstore: a limit is negative")
	}
	if o.MaxItems == 0 {
		o.MaxItems = defaultMaxItems
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Lifetime == 0 {
		o.Lifetime = defaultLifetime
	}
	if o.Signatures == (limit.Options{}) {
		o.Signatures = DefaultSignatures
	}
	signatures, err := limit.NewRates(key, now, o.Signatures)
	if err != nil {
		return nil, err
	}
	return &Store{o: o, self: self, swept: now, signatures: signatures}, nil
}

// Len returns the number of stored items. It counts those that have expired since the last
// sweep.
func (s *Store) Len() int { return len(s.items) }

// Bytes returns the approximate memory of the stored items in bytes.
func (s *Store) Bytes() int { return s.bytes }

// Get returns the item of a target, or nil. The caller must not change it.
func (s *Store) Get(now time.Time, target [20]byte) *Item {
	at, found := s.find(nodeid.Distance(s.self, target))
	if !found || !s.live(now, s.items[at]) {
		return nil
	}
	return &s.items[at].item
}

// Put stores an item that the node at address from sent with a valid token, or renews it. cas is
// nil, or the number of the version that the item replaces. Put copies the item. The error is an
// *Error for the sender.
//
// If the store is full, an item replaces the furthest. A store that is more than half full accepts
// no further items of a network (an IPv4 /24 or an IPv6 /48) that has a sixteenth of MaxItems, so
// that a few hosts cannot replace the items of all others.
func (s *Store) Put(now time.Time, from netip.Addr, i *Item, cas *int64) error {
	if err := i.check(); err != nil {
		return err
	}
	if now.Sub(s.swept) >= sweepEvery {
		s.Sweep(now)
	}
	distance := nodeid.Distance(s.self, i.Target())
	at, found := s.find(distance)
	var old *stored
	if found && s.live(now, s.items[at]) {
		old = s.items[at]
	}
	if old != nil {
		if renewed, err := s.compare(now, old, i, cas); renewed || err != nil {
			return err
		}
	}
	more := size(i)
	if found {
		more -= s.items[at].size()
	}
	evict, ok := s.makesRoom(distance, found, more)
	if !ok {
		return &Error{CodeServer, "the store is full of closer items"}
	}
	network := limit.Network(from)
	if !found && s.crowded(network) {
		return &Error{CodeServer, "the network has too many items"}
	}
	if i.Key != nil {
		if !s.signatures.Allow(now, from, 1) {
			return &Error{CodeServer, "too many signatures to check"}
		}
		if err := i.verifySignature(); err != nil {
			return err
		}
	}
	for range evict {
		last := len(s.items) - 1
		s.bytes -= s.items[last].size()
		s.items = slices.Delete(s.items, last, last+1)
	}
	e := &stored{distance, clone(i), now, network}
	if found {
		e.network = s.items[at].network
		s.items[at] = e
	} else {
		s.items = slices.Insert(s.items, at, e)
	}
	s.bytes += more
	return nil
}

// compare applies the rules for an item that is stored already. It renews the stored item and
// returns true if the item is the same.
func (s *Store) compare(now time.Time, old *stored, i *Item, cas *int64) (renewed bool, err error) {
	same := bytes.Equal(old.item.Value, i.Value)
	switch {
	case i.Key == nil:
		old.at = now
		return true, nil
	case cas != nil && *cas != old.item.Seq:
		return false, &Error{CodeCASMismatch, "the stored item has another sequence number than cas"}
	case i.Seq < old.item.Seq || i.Seq == old.item.Seq && !same:
		return false, &Error{CodeSeqTooLow, "the stored item is as new or newer"}
	case i.Seq == old.item.Seq && bytes.Equal(old.item.Sig, i.Sig):
		old.at = now
		return true, nil
	}
	return false, nil
}

// makesRoom returns how many of the furthest items must go so that an item at a distance fits,
// which needs more bytes. It returns false if that would take closer items.
func (s *Store) makesRoom(distance [20]byte, replaces bool, more int) (evict int, ok bool) {
	items, all := len(s.items), s.bytes+more
	if !replaces {
		items++
	}
	for items > s.o.MaxItems || all > s.o.MaxBytes {
		last := len(s.items) - 1 - evict
		if last < 0 || bytes.Compare(s.items[last].distance[:], distance[:]) <= 0 {
			return 0, false
		}
		all -= s.items[last].size()
		items--
		evict++
	}
	return evict, true
}

// crowded reports whether a network has too many items for another one. All networks may have
// any number while the store is at most half full.
func (s *Store) crowded(network uint64) bool {
	if network == 0 || len(s.items) <= s.o.MaxItems/2 && s.bytes <= s.o.MaxBytes/2 {
		return false
	}
	count := 0
	for _, e := range s.items {
		if e.network == network {
			count++
		}
	}
	return count >= max(1, s.o.MaxItems/16)
}

// Sweep removes the items that have expired. Put calls it once a minute.
func (s *Store) Sweep(now time.Time) {
	s.swept = now
	s.items = slices.DeleteFunc(s.items, func(e *stored) bool {
		if s.live(now, e) {
			return false
		}
		s.bytes -= e.size()
		return true
	})
}

// SetSelf changes our node id, and with it the order of the items.
func (s *Store) SetSelf(self [20]byte) {
	s.self = self
	for _, e := range s.items {
		e.distance = nodeid.Distance(self, e.item.Target())
	}
	slices.SortFunc(s.items, func(a, b *stored) int { return bytes.Compare(a.distance[:], b.distance[:]) })
}

func (s *Store) live(now time.Time, e *stored) bool { return now.Sub(e.at) < s.o.Lifetime }

// find returns the index of the item at a distance, or the index where it belongs.
func (s *Store) find(distance [20]byte) (int, bool) {
	return slices.BinarySearchFunc(s.items, distance, func(e *stored, d [20]byte) int {
		return bytes.Compare(e.distance[:], d[:])
	})
}

// clone copies the parts of an item that belong to its kind.
func clone(i *Item) Item {
	if i.Key == nil {
		return Item{Value: bytes.Clone(i.Value)}
	}
	return Item{bytes.Clone(i.Value), bytes.Clone(i.Key), bytes.Clone(i.Salt), i.Seq, bytes.Clone(i.Sig)}
}

// Package peerstore stores the peers that other nodes announced to this node (BEP 5), with
// what BEP 33 (scrapes) and BEP 51 (samples of info-hashes) ask for.
//
// A Store has the peers of one address family, because IPv4 and IPv6 are two DHTs with two
// node ids (BEP 32). All entries of the store are in one order: by the distance between the
// info-hash and our node id, then by address. So the peers of one info-hash are adjacent, and
// the last entries are those that other nodes are closer to. The entries lie in blocks of
// memory without pointers, as in the leaves of a B+ tree.
package peerstore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"spate/dht/internal/nodeid"
)

// Errors of [Store.Announce].
var (
	ErrAddress   = errors.New("no address for peers")                       // port 0, multicast, or the wrong family
	ErrFull      = errors.New("the store is full of closer info-hashes")    // see [Options.MaxPeers]
	ErrCrowded   = errors.New("the network of the peer has too many peers") // see [Store.Announce]
	ErrSwarmFull = errors.New("the store has enough peers of the torrent")  // see [Options.MaxPerHash]
)

// Options are the limits of a [Store]. A zero value means the default.
type Options struct {
	MaxPeers   int           // maximum number of peers; default 100,000
	MaxPerHash int           // maximum number of peers of one info-hash; default 6000 (BEP 33)
	Lifetime   time.Duration // time after which a peer that does not announce again is forgotten; default 45 minutes, at most 4 hours
	Random     rand.Source   // chooses peers and samples; default: a random one
}

const (
	defaultMaxPeers   = 100_000
	defaultMaxPerHash = 6000
	defaultLifetime   = 45 * time.Minute
	maxLifetime       = 4 * time.Hour

	// sweepEvery is the time after which expired peers are removed.
	sweepEvery = time.Minute

	// crowd is the number of records of a random sample of the store that a network may have. A
	// network with a sixteenth of the store reaches it in about half of all samples.
	crowd      = 4
	sampleSize = 64

	// minCrowd is the number of peers from which on networks are compared. In a small store, a
	// few peers are a large part.
	minCrowd = 1000

	// maxPerSubnet is the maximum number of peers of one info-hash in an IPv6 /64, in which
	// one host can have any number of addresses.
	maxPerSubnet = 8
)

// Store is a bounded set of peers. The zero Store is not usable. A Store is not safe for
// concurrent use.
type Store struct {
	o     Options
	self  [20]byte
	v6    bool
	start time.Time // time of stamp 0
	rng   *rand.Rand

	records
	swept   time.Time // time of the last sweep
	samples samples
	scrapes map[[20]byte]*scrape // of large swarms
}

// New returns an empty Store for IPv4 or IPv6 peers. self is our node id, and now the current
// time.
func New(self [20]byte, v6 bool, now time.Time, o Options) (*Store, error) {
	switch {
	case o.MaxPeers < 0:
		return nil, errors.New("peerstore: the maximum number of peers is negative")
	case o.MaxPerHash < 0:
		return nil, errors.New("peerstore: the maximum number of peers of an info-hash is negative")
	case o.Lifetime < 0 || o.Lifetime > maxLifetime:
		return nil, errors.New("peerstore: the lifetime of peers is not from 0 to 4 hours")
	}
	if o.MaxPeers == 0 {
		o.MaxPeers = defaultMaxPeers
	}
	if o.MaxPerHash == 0 {
		o.MaxPerHash = defaultMaxPerHash
	}
	if o.Lifetime == 0 {
		o.Lifetime = defaultLifetime
	}
	if o.Random == nil {
		o.Random = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	return &Store{o: o, self: self, v6: v6, start: now, swept: now, rng: rand.New(o.Random), records: newRecords(v6)}, nil
}

// Len returns the number of stored peers. It counts those that have expired since the last
// sweep.
func (s *Store) Len() int { return s.peers }

// Hashes returns the number of info-hashes that have stored peers.
func (s *Store) Hashes() int { return s.hashes }

// Announce stores a peer of an info-hash, or updates it. A torrent has one entry for each IP
// address (BEP 33), of which the last port and seed status count. If the store is full, the
// peer replaces one of the info-hash that is furthest from our node id.
//
// A store that is more than half full accepts no more peers of a network (an IPv4 /24 or an IPv6
// /48) that has about a sixteenth of all, so that a few hosts cannot replace the peers of all
// others with spam close to our node id.
func (s *Store) Announce(now time.Time, hash [20]byte, peer netip.AddrPort, seed bool) error {
	var k recordKey
	if !s.setKey(&k, hash, peer.Addr()) || peer.Port() == 0 {
		return ErrAddress
	}
	s.sweepIfDue(now)
	p, found := s.find(k[:s.keyLen])
	if !found {
		if err := s.makeRoom(now, k); err != nil {
			return err
		}
		p = s.insert(k[:s.keyLen])
	}
	s.set(p, peer.Port(), s.stamp(now), seed)
	return nil
}

// makeRoom removes a peer if there are too many for one more entry.
func (s *Store) makeRoom(now time.Time, k recordKey) error {
	if s.v6 {
		from, to := k, k
		fill(from[28:], 0)
		fill(to[28:], 0xff)
		if subnet := s.between(from[:s.keyLen], to[:s.keyLen]); subnet.n >= maxPerSubnet {
			s.remove(s.oldest(now, subnet))
			return nil
		}
	}
	if s.span(k.distance()).n >= s.o.MaxPerHash {
		return ErrSwarmFull
	}
	if s.peers >= max(s.o.MaxPeers/2, minCrowd) && s.crowded(&k) {
		return ErrCrowded
	}
	if s.peers < s.o.MaxPeers {
		return nil
	}
	last := s.lastSpan()
	if string(k[:20]) > string(s.at(last.from)[:20]) {
		return ErrFull
	}
	s.remove(s.oldest(now, last))
	return nil
}

// crowded reports whether the network of a key has a large part of the store. It looks at a
// random sample.
func (s *Store) crowded(k *recordKey) bool {
	network := k[20:23] // an IPv4 /24
	if s.v6 {
		network = k[20:26] // an IPv6 /48
	}
	if k[20] == 127 && !s.v6 || s.v6 && [16]byte(k[20:]) == netip.IPv6Loopback().As16() {
		return false // loopback, which all programs of the machine share
	}
	count := 0
	for range sampleSize {
		b := s.rng.IntN(len(s.blocks))
		rec := s.at(position{b, s.rng.IntN(s.size(b))})
		if bytes.Equal(rec[20:20+len(network)], network) {
			count++
		}
	}
	return count >= crowd
}

// Full reports whether the store accepts no further peer of an info-hash. BEP 33 wants no
// write token in replies about such an info-hash.
func (s *Store) Full(hash [20]byte) bool {
	d := nodeid.Distance(s.self, hash)
	return s.span(d).n >= s.o.MaxPerHash ||
		s.peers >= s.o.MaxPeers && string(d[:]) > string(s.at(s.lastSpan().from)[:20])
}

// Sweep removes the peers that have expired. The other methods call it once a minute, so that
// callers need it only to free memory while nothing happens.
func (s *Store) Sweep(now time.Time) {
	all := now.Sub(s.swept) >= s.o.Lifetime+sweepEvery // the ages in the records may be wrong
	s.swept = now
	stamp := s.stamp(now)
	s.filter(func(rec []byte) bool { return !all && s.live(stamp, rec) })
}

func (s *Store) sweepIfDue(now time.Time) {
	if now.Sub(s.swept) >= sweepEvery {
		s.Sweep(now)
	}
}

// SetSelf changes our node id, and with it the order of the entries.
func (s *Store) SetSelf(self [20]byte) {
	change := nodeid.Distance(s.self, self)
	s.self = self
	s.reorder(change)
}

// setKey sets k to the key of an info-hash and an address. It reports whether a peer can have
// that address.
func (s *Store) setKey(k *recordKey, hash [20]byte, a netip.Addr) bool {
	a = a.Unmap()
	if a.Is4() == s.v6 || !a.IsGlobalUnicast() && !a.IsLoopback() {
		return false
	}
	d := nodeid.Distance(s.self, hash)
	copy(k[:], d[:])
	if s.v6 {
		ip := a.As16()
		copy(k[20:], ip[:])
	} else {
		ip := a.As4()
		copy(k[20:], ip[:])
	}
	return true
}

// stampUnit is the unit of the 15-bit times in entries.
const stampUnit = 2 * time.Second

// stamp returns the time of an entry.
func (s *Store) stamp(now time.Time) uint16 { return uint16(now.Sub(s.start)/stampUnit) & stampMask }

// age returns the time in units from the time of an entry to stamp. It is right for 18 hours,
// and sweeps remove entries long before.
func (s *Store) age(stamp uint16, rec []byte) uint16 { return (stamp - s.stampOf(rec)) & stampMask }

// live reports whether an entry has not expired at the time stamp.
func (s *Store) live(stamp uint16, rec []byte) bool {
	return s.age(stamp, rec) < uint16(s.o.Lifetime/stampUnit)
}

// oldest returns the position of the oldest of the last entries of a span. It looks at one
// block, so that its time is bounded.
func (s *Store) oldest(now time.Time, found span) position {
	p, stamp := found.last, s.stamp(now)
	best, most := p, uint16(0)
	for ; ; p.i-- {
		if age := s.age(stamp, s.at(p)); age > most {
			best, most = p, age
		}
		if p.i == 0 || p == found.from {
			return best
		}
	}
}

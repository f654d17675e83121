package swarm

import (
	"crypto/rand"
	"fmt"
	"math/bits"
	"time"
)

// Options are the settings of a [Table]. The zero value of each field is the
// default that its comment names.
type Options struct {
	// Shards is the number of independently locked parts, a power of two up to
	// 4,096; default 64.
	Shards int
	// MaxPeers caps the entries in all; default 5,000,000.
	MaxPeers int
	// MaxSwarms caps the swarms in all; default 1,000,000.
	MaxSwarms int
	// MaxPerSwarm caps the entries of one swarm; default 500,000.
	MaxPerSwarm int
	// MaxPerAddr caps the entries that one IPv4 address or one IPv6 /64 has in
	// one swarm; default 64. The oldest of them makes room.
	MaxPerAddr int
	// MaxMemory caps the memory of the table, in bytes; default: only the other
	// caps do. At least 32 KiB a shard.
	MaxMemory int64
	// NumWant is what a request gets that does not say; default 50. MaxNumWant is
	// the most that any gets; default 100.
	NumWant, MaxNumWant int
	// Interval is the announce interval of an ordinary swarm; default 30 min. A
	// swarm without seeds has a third of it, one with thousands of peers up to
	// one and a half. Each answer is jittered by a tenth.
	Interval time.Duration
	// MinInterval is the least that a client may wait; default a sixth of
	// Interval.
	MinInterval time.Duration
	// Expire is the age at which a peer that did not announce is gone; default
	// twice Interval and 5 min. At least 1.7 times Interval, at most 36 h.
	Expire time.Duration
	// Seed keys the hashes and the random choices; zero: random. A fixed one
	// makes a table repeatable, for tests.
	Seed [16]byte
}

const (
	maxShards = 4096
	maxExpire = 36 * time.Hour
)

// fill sets defaults and checks the rest.
func (o *Options) fill() error {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&o.Shards, 64)
	def(&o.MaxPeers, 5_000_000)
	def(&o.MaxSwarms, 1_000_000)
	def(&o.MaxPerSwarm, 500_000)
	def(&o.MaxPerAddr, 64)
	def(&o.MaxNumWant, 100)
	def(&o.NumWant, min(50, o.MaxNumWant))
	if o.Interval == 0 {
		o.Interval = 30 * time.Minute
	}
	if o.MinInterval == 0 {
		o.MinInterval = (o.Interval / 6).Round(time.Second)
	}
	if o.Expire == 0 {
		o.Expire = min(2*o.Interval+5*time.Minute, maxExpire)
	}
	if o.Seed == [16]byte{} {
		rand.Read(o.Seed[:]) // never fails: see crypto/rand
	}
	return o.check()
}

func (o *Options) check() error {
	switch {
	case o.Shards < 1 || o.Shards > maxShards || bits.OnesCount(uint(o.Shards)) != 1:
		return fmt.Errorf("swarm: shards %d: not a power of two up to %d", o.Shards, maxShards)
	case o.MaxPeers < 1 || o.MaxSwarms < 1 || o.MaxPerSwarm < 1 || o.MaxPerAddr < 1:
		return fmt.Errorf("swarm: a cap below 1 (peers %d, swarms %d, per swarm %d, per address %d)",
			o.MaxPeers, o.MaxSwarms, o.MaxPerSwarm, o.MaxPerAddr)
	case o.MaxMemory != 0 && o.MaxMemory < int64(o.Shards)*4*segSize:
		return fmt.Errorf("swarm: max memory %d: want at least %d for %d shards", o.MaxMemory, o.Shards*4*segSize, o.Shards)
	case o.NumWant < 0 || o.NumWant > o.MaxNumWant || o.MaxNumWant > 10_000:
		return fmt.Errorf("swarm: numwant %d of at most %d: want 0 to 10000", o.NumWant, o.MaxNumWant)
	case o.Interval < time.Second || o.MinInterval < 0 || o.MinInterval > o.Interval:
		return fmt.Errorf("swarm: interval %v, min interval %v: want at least 1s, and the second no longer", o.Interval, o.MinInterval)
	case o.Expire < o.Interval+o.Interval*7/10 || o.Expire > maxExpire:
		return fmt.Errorf("swarm: expiry %v: want 1.7 intervals (%v) to %v", o.Expire, o.Interval+o.Interval*7/10, maxExpire)
	}
	return nil
}

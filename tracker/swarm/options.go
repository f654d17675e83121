package swarm

import (
	"crypto/rand"
	"fmt"
	"math/bits"
	"time"

	"spate/internal/units"
)

// Options configures a [Table]. The zero value of each field selects the default in its
// comment.
type Options struct {
	// Shards is the number of parts with separate locks, a power of two up to 4,096;
	// default 64.
	Shards int
	// MaxPeers limits the total number of entries; default 5,000,000.
	MaxPeers int
	// MaxSwarms limits the total number of swarms; default 1,000,000.
	MaxSwarms int
	// MaxPerSwarm limits the entries of one swarm; default 500,000.
	MaxPerSwarm int
	// MaxPerAddr limits the entries of one IPv4 address or one IPv6 /64 in one swarm;
	// default 64. A new entry replaces the oldest one.
	MaxPerAddr int
	// MaxMemory limits the memory of the table in bytes; default no limit. The minimum
	// is 32 KiB per shard.
	MaxMemory int64
	// NumWant is the number of peers returned when numwant is absent; default 50.
	// MaxNumWant limits the number of peers returned; default 100.
	NumWant, MaxNumWant int
	// Interval is the announce interval; default 30 min. A swarm without seeds gets a
	// third of it, and a swarm of thousands of peers up to 1.5 times as much. Each
	// reply varies it randomly by up to 10 %.
	Interval time.Duration
	// Budget makes the intervals follow the swarm: peers of young and small swarms are told
	// 10 seconds to ten minutes, as long as all peers together make at most Budget announces
	// a second. Beyond that the intervals grow up to twice Interval. The default is
	// [DefaultBudget] if Interval is 0, and otherwise none: the interval is fixed.
	Budget int
	// MinInterval is the minimum time between two announces of a peer. The default is a sixth
	// of a fixed Interval; with a Budget it is one minute, longer for longer intervals, and
	// shorter for peers that have just joined a small swarm or are alone in it.
	MinInterval time.Duration
	// Expire is the time after the last announce at which a peer is removed; default
	// twice Interval plus 5 min, or with a Budget four times. It must be at least 1.7 times
	// Interval and at most 36 h. With a Budget, a peer that was told a shorter interval is
	// removed earlier: after twice that interval plus 5 min, but at least 15 min.
	Expire time.Duration
	// Seed is the key of the hashes and of the random choices; zero selects a random
	// key. A fixed one makes tests repeatable.
	Seed [16]byte

	defaultLeast bool // MinInterval is the default with a Budget
}

const (
	maxShards = 4096
	maxExpire = 36 * time.Hour
)

// fill sets defaults and checks the other values.
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
		def(&o.Budget, DefaultBudget)
		o.Interval = 30 * time.Minute
	}
	minInterval, longest := (o.Interval / 6).Round(time.Second), o.Interval
	if o.Budget > 0 {
		minInterval, longest = min(time.Minute, o.Interval), strain*o.Interval
	}
	if o.MinInterval == 0 {
		o.MinInterval, o.defaultLeast = minInterval, o.Budget > 0
	}
	if o.Expire == 0 {
		o.Expire = min(2*longest+expireSlack*time.Second, maxExpire)
	}
	if o.Seed == [16]byte{} {
		rand.Read(o.Seed[:]) // crypto/rand.Read never returns an error
	}
	return o.check()
}

func (o *Options) check() error {
	switch {
	case o.Shards < 1 || o.Shards > maxShards || bits.OnesCount(uint(o.Shards)) != 1:
		return fmt.Errorf("swarm: shards %d: not a power of two up to %d", o.Shards, maxShards)
	case o.MaxPeers < 1 || o.MaxSwarms < 1 || o.MaxPerSwarm < 1 || o.MaxPerAddr < 1:
		return fmt.Errorf("swarm: limits must be at least 1 (peers %d, swarms %d, per swarm %d, per address %d)",
			o.MaxPeers, o.MaxSwarms, o.MaxPerSwarm, o.MaxPerAddr)
	case o.MaxMemory != 0 && o.MaxMemory < int64(o.Shards)*4*segSize:
		return fmt.Errorf("swarm: max memory %d: want at least %d for %s", o.MaxMemory, o.Shards*4*segSize, units.Plural(o.Shards, "shard"))
	case o.NumWant < 0 || o.NumWant > o.MaxNumWant || o.MaxNumWant > 10_000:
		return fmt.Errorf("swarm: numwant %d of at most %d: want 0 to 10000", o.NumWant, o.MaxNumWant)
	case o.Interval < time.Second || o.MinInterval < 0 || o.MinInterval > o.Interval:
		return fmt.Errorf("swarm: interval %v, min interval %v: want at least 1s, and a min interval that is not longer", o.Interval, o.MinInterval)
	case o.Budget < 0:
		return fmt.Errorf("swarm: budget %d: want a number of announces a second, or 0", o.Budget)
	case o.Expire < o.Interval+o.Interval*7/10 || o.Expire > maxExpire:
		return fmt.Errorf("swarm: expiry %v: want 1.7 intervals (%v) to %v", o.Expire, o.Interval+o.Interval*7/10, maxExpire)
	}
	return nil
}

package trackerserver

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"

	"spate/internal/fairpool"
)

// RateLimit bounds the announces and scrapes of one network: an IPv4 /24 or an
// IPv6 /48. Loopback is not limited.
type RateLimit struct {
	// PerSecond is the lasting rate, 0: [DefaultRate]; negative: no limit.
	PerSecond float64
	// Burst is what may come at once, 0: ten seconds' worth.
	Burst int
}

// DefaultRate is the default of RateLimit.PerSecond. A /24 of a carrier may hide
// thousands of customers, each of which announces twice an hour for each of its
// torrents.
const DefaultRate = 50

// limiter is a table of fixed size with an entry for each active network. An
// entry holds the time at which the network will have paid for what it asked
// (the generic cell rate algorithm), in nanoseconds since start. When more
// networks are active than fit, the one that owes least is forgotten.
type limiter struct {
	step  int64 // what one request costs
	burst int64 // how far a network may run ahead
	seed  maphash.Seed
	start time.Time
	parts [limiterParts]limiterPart
}

const (
	limiterParts = 64
	limiterSets  = 256 // in a part
	limiterWays  = 4   // entries of a set
)

type limiterPart struct {
	mu   sync.Mutex
	sets [limiterSets][limiterWays]limiterEntry // guarded by mu
}

type limiterEntry struct {
	network fairpool.Network
	paid    int64
}

// newLimiter returns nil, which limits nothing, for a negative rate.
func newLimiter(r RateLimit, now time.Time) *limiter {
	if r.PerSecond < 0 {
		return nil
	}
	if r.PerSecond == 0 {
		r.PerSecond = DefaultRate
	}
	if r.Burst == 0 {
		r.Burst = max(1, int(min(10*r.PerSecond, math.MaxInt32)))
	}
	step := max(1, int64(float64(time.Second)/r.PerSecond))
	return &limiter{step: step, burst: step * int64(r.Burst), seed: maphash.MakeSeed(), start: now}
}

// allow takes a request of a into account and returns 0, or, for one too many,
// how long a should wait; that one costs nothing.
func (l *limiter) allow(now time.Time, a netip.Addr) time.Duration {
	if l == nil || a.IsLoopback() {
		return 0
	}
	network := fairpool.Prefix(a)
	h := maphash.Comparable(l.seed, network)
	t := int64(now.Sub(l.start))
	p := &l.parts[h%limiterParts]
	p.mu.Lock()
	defer p.mu.Unlock()
	set := &p.sets[h/limiterParts%limiterSets]
	e := &set[0]
	for i := range set {
		if set[i].network == network {
			e = &set[i]
			break
		}
		if set[i].paid < e.paid {
			e = &set[i]
		}
	}
	if e.network != network {
		*e = limiterEntry{network: network}
	}
	paid := max(e.paid, t) + l.step
	if over := paid - t - l.burst; over > 0 {
		return time.Duration(over)
	}
	e.paid = paid
	return 0
}

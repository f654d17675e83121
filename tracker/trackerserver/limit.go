package trackerserver

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"

	"spate/internal/fairpool"
)

// RateLimit limits the announces and scrapes of one network: an IPv4 /24 or an IPv6 /48.
// Loopback is not limited.
type RateLimit struct {
	// PerSecond is the number of requests per second in the long run; 0 selects
	// [DefaultRate], and a negative number disables the limit.
	PerSecond float64
	// Burst is the number of requests that are answered at once; 0 selects ten times
	// PerSecond.
	Burst int
}

// DefaultRate is the default of RateLimit.PerSecond. A /24 of a carrier can have thousands
// of customers, each of which announces each of its torrents twice an hour.
const DefaultRate = 50

// limiter is a table of fixed size with an entry for each active network, and uses the
// generic cell rate algorithm: each request costs step, and an entry holds the time up to
// which the requests of the network are paid. If too many networks are active, the entry
// with the earliest time is replaced. Times are in nanoseconds.
type limiter struct {
	step  int64 // cost of a request
	burst int64 // how far paid may be ahead of the time
	seed  maphash.Seed
	start time.Time
	parts [limiterParts]limiterPart
}

const (
	limiterParts = 64
	limiterSets  = 256 // sets of a part
	limiterWays  = 4   // entries of a set
)

type limiterPart struct {
	mu   sync.Mutex
	sets [limiterSets][limiterWays]limiterEntry // guarded by mu
}

type limiterEntry struct {
	network fairpool.Network
	paid    int64 // time since start
}

// newLimiter returns a limiter, or nil if the rate is negative.
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

// allow counts a request from a and returns 0. If the request exceeds the limit, it is not
// counted, and allow returns the time that a has to wait. A nil limiter allows everything.
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

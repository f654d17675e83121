package trackerserver

import (
	"sync"
	"time"

	"spate/internal/fairpool"
)

// bucket limits a rate: it is the time, in nanoseconds since 1970, up to which all events are paid.
type bucket int64

// take counts an event, or returns how long it must wait.
func (b *bucket) take(now time.Time, step time.Duration, burst int) time.Duration {
	t := now.UnixNano()
	paid := max(int64(*b), t) + int64(step)
	if over := time.Duration(paid - t - int64(burst)*int64(step)); over > 0 {
		return over
	}
	*b = bucket(paid)
	return 0
}

// pay counts an event in any case, and returns how long it must wait.
func (b *bucket) pay(now time.Time, step time.Duration, burst int) time.Duration {
	t := now.UnixNano()
	paid := max(int64(*b), t) + int64(step)
	*b = bucket(paid)
	return max(0, time.Duration(paid-t-int64(burst)*int64(step)))
}

// The rate at which a client is handed offers of others, as for offerStep and offerBurst.
const (
	takeStep, takeBurst = 200 * time.Millisecond, 50
	// lastTaken is the number of offers of which it is known who made them.
	lastTaken = 8
)

// takenOffers limits the offers of others that a client is handed. A network that made half of the
// last ones leaves half of the burst to others, so that it cannot keep them from the client.
type takenOffers struct {
	mu   sync.Mutex // guards the fields below
	paid bucket
	last [lastTaken]fairpool.Network // who made the last offers, in a ring
	next int                         // the oldest one in last
}

// take counts an offer of a network, and reports whether the client takes it.
func (o *takenOffers) take(now time.Time, from fairpool.Network) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	made := 0
	for _, n := range o.last {
		if n == from {
			made++
		}
	}
	burst := takeBurst
	if made >= lastTaken/2 {
		burst /= 2
	}
	if o.paid.take(now, takeStep, burst) > 0 {
		return false
	}
	o.last[o.next] = from
	o.next = (o.next + 1) % lastTaken
	return true
}

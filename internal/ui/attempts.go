package ui

import (
	"net/netip"
	"time"
)

// Limits of the attempts to sign in. A token has 128 bits, so that guesses are hopeless; the limits
// keep a guesser from using the processor, and show in the answers that somebody guesses.
const (
	addressBurst = 5
	addressEvery = 15 * time.Second // one more attempt of an address after this time
	totalBurst   = 60
	totalEvery   = time.Second // one more attempt of all addresses together
)

// attempts limits failed attempts to sign in, for each address and for all together. The table is
// bounded by the limit for all. The caller holds a lock.
type attempts struct {
	all bucket
	by  map[netip.Prefix]*bucket
}

// bucket counts failures. It forgets one after each interval.
type bucket struct {
	failures float64
	at       time.Time // when failures was computed
}

// drain forgets the failures for which the time has come.
func (b *bucket) drain(now time.Time, every time.Duration) {
	b.failures = max(0, b.failures-now.Sub(b.at).Seconds()/every.Seconds())
	b.at = now
}

// take counts one failure, or returns the time to wait until there is room for it.
func (b *bucket) take(now time.Time, every time.Duration, burst float64) time.Duration {
	b.drain(now, every)
	if over := b.failures + 1 - burst; over > 0 {
		return max(time.Second, time.Duration(over*float64(every)))
	}
	b.failures++
	return 0
}

// networkOf returns the addresses that count as one: an IPv4 address, or a network of 64 bits,
// which one household has.
func networkOf(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// take counts an attempt of an address as failed, or returns the time to wait before the next one.
func (a *attempts) take(from netip.Addr, now time.Time) (wait time.Duration) {
	if a.by == nil {
		a.by = map[netip.Prefix]*bucket{}
	}
	for key, b := range a.by {
		b.drain(now, addressEvery)
		if b.failures == 0 {
			delete(a.by, key)
		}
	}
	key := networkOf(from)
	b := a.by[key]
	if b == nil {
		b = &bucket{at: now}
	}
	if wait = b.take(now, addressEvery, addressBurst); wait > 0 {
		return wait
	}
	if wait = a.all.take(now, totalEvery, totalBurst); wait > 0 {
		b.failures--
		return wait
	}
	a.by[key] = b
	return 0
}

// succeeded takes back what take has counted for an attempt.
func (a *attempts) succeeded(from netip.Addr) {
	a.all.failures = max(0, a.all.failures-1)
	if b := a.by[networkOf(from)]; b != nil {
		b.failures = max(0, b.failures-1)
	}
}

package utp

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// Bounds of the packets of unknown connections that may be wrong guesses.
const (
	guessPeriod = 10 * time.Second
	// maxGuesses is the number for an address in a period after which only strict proofs count. A
	// peer whose connection this side has forgotten, because it was started again, sends up to a
	// window of packets before it sees a RESET. With 102 a second, 2^24 guesses take 45 hours.
	maxGuesses = 1024
	// maxStrict is the number after which no proof counts. With 3,277 a second, 2^29 guesses take
	// 45 hours too.
	maxStrict    = 32 * maxGuesses
	guessCounter = 4096 // counters, which all addresses share
)

// guesses counts the packets that belong to no connection and open none, by the address of the
// sender. Somebody who forges this address may be trying all proofs. While there are many, the address
// has to show a proof that is harder to guess, which a peer that is near and loses no packet still
// can; while there are too many, none of its packets opens a connection. This side can still dial
// peers at this address.
type guesses struct {
	seed   maphash.Seed // so that nobody knows which addresses share a counter
	period time.Duration
	counts *[guessCounter]uint16
}

func newGuesses() guesses {
	return guesses{seed: maphash.MakeSeed(), counts: new([guessCounter]uint16)}
}

// counter returns the counter of an address, or of a network of IPv6.
func (g *guesses) counter(a netip.Addr, now time.Duration) *uint16 {
	if p := now.Truncate(guessPeriod); p != g.period {
		g.period = p
		clear(g.counts[:])
	}
	b := a.As16()
	if !a.Is4() {
		clear(b[8:])
	}
	return &g.counts[maphash.Bytes(g.seed, b[:])%guessCounter]
}

// wrong counts a packet.
func (g *guesses) wrong(a netip.Addr, now time.Duration) { *g.counter(a, now)++ }

// limits returns which proofs of an address count: whether there are any, and the longest round-trip
// time and the number of packets ahead in them.
func (g *guesses) limits(a netip.Addr, now time.Duration) (roundTrip time.Duration, ahead int, some bool) {
	switch n := *g.counter(a, now); {
	case n < maxGuesses:
		return mostRoundTrip, maxLostFirst, true
	case n < maxStrict:
		return strictRoundTrip, 0, true
	}
	return 0, 0, false
}

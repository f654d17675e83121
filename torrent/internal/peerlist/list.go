// Package peerlist keeps the addresses at which peers of a torrent may be, and
// says which to connect to next.
//
// A candidate is known once, whatever the number of sources that name it. It is
// idle, being tried (from [List.Next] on), or connected. Fewer failures go
// first, then the better source, then the higher canonical priority (BEP 40),
// on which all peers of a swarm agree so that nobody can crowd out the others.
// Failures are followed by a growing pause and at last by oblivion. The list is
// bounded; what is worst makes room for what is better.
//
// It is plain data: no clock, no lock. The caller holds the torrent's lock.
package peerlist

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"spate"
)

// Source says who named an address. A greater one is tried first.
type Source uint8

// The sources, least trusted first.
const (
	SourcePEX      Source = iota // a peer (BEP 11): anybody can fill it
	SourceDHT                    // BEP 5
	SourceOther                  // a way that the engine does not know
	SourceIncoming               // it connected to us and said on which port it listens
	SourceResume                 // was useful before the restart
	SourceTracker                // BEP 3
	SourceLSD                    // heard on the local network (BEP 14)
	SourceLink                   // named in a magnet link (BEP 9)
	SourceCaller                 // the program around the engine, or a tracker on this machine
	SourceManual                 // the user
)

// String returns the source's name as it is shown.
func (s Source) String() string {
	names := [...]string{"pex", "dht", "other", "incoming", "resume", "tracker", "lsd", "link", "caller", "manual"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// ForPrivate reports whether a private torrent takes candidates from the source (BEP 27):
// trackers, the user and the program around the engine choose its peers, and a peer that
// connected to us names its own port.
func (s Source) ForPrivate() bool {
	return s == SourceTracker || s == SourceIncoming || s >= SourceLink
}

// waitedFor reports whether somebody waits for just the addresses of this source: they
// are tried again soon, and not forgotten.
func (s Source) waitedFor() bool { return s >= SourceLink }

// Bounds.
const (
	DefaultMax       = 3000
	maxBans, maxSelf = 10_000, 64
	localShare       = 10 // of all candidates, one in so many may be of the local network: anybody there can name any
)

// Options of a List. The zero value is documented at each field.
type Options struct {
	Max        int            // candidates; 0: 3000
	AllowLocal bool           // takes loopback addresses from every source, else only from the user and the caller
	Private    bool           // takes candidates only from sources for which [Source.ForPrivate] is true (BEP 27)
	Self       netip.AddrPort // where we listen, which is never a candidate; the IP may be unspecified
	Advertised uint16         // the port that other peers are told; 0: the one of Self
	Seed       uint64         // orders candidates while our own address is not known; 0: random
}

// List is described in the package comment. Make one with [New].
type List struct {
	opt       Options
	all       []candidate
	index     map[netip.AddrPort]int // into all
	self      map[netip.AddrPort]bool
	own       [2]netip.Addr // our address as others see it, IPv4 and IPv6
	seeding   bool
	local     int // candidates that the local network named
	banned    map[netip.AddrPort]struct{}
	banOrder  []netip.AddrPort // a ring: the oldest ban makes room
	banAt     int
	notBefore time.Time // no candidate is ready before
	last6     bool      // the last candidate that Next gave is an IPv6 one
	out       []netip.AddrPort
}

type state uint8

const (
	idle state = iota
	trying
	connected
)

type candidate struct {
	addr       netip.AddrPort
	retry      time.Time // not before
	prio       uint32    // BEP 40
	failures   int32
	useless    uint8 // connections in a row
	unanswered uint8 // handshakes in a row
	source     Source
	state      state
	seed       bool  // has everything, as far as known
	proved     bool  // was useful once
	heard      uint8 // how often its pause ended because it was heard of
}

// New returns an empty list.
func New(opt Options) *List {
	if opt.Max <= 0 {
		opt.Max = DefaultMax
	}
	if opt.Seed == 0 {
		opt.Seed = rand.Uint64()
	}
	opt.Self = spate.CanonicalAddr(opt.Self)
	return &List{
		opt: opt, index: map[netip.AddrPort]int{}, self: map[netip.AddrPort]bool{}, banned: map[netip.AddrPort]struct{}{},
	}
}

// Len is the number of known candidates.
func (l *List) Len() int { return len(l.all) }

// Add takes addresses from a source and returns how many were new. It drops what
// cannot be a peer (see [List.Usable]) and what is banned. An address that is
// known keeps its failures and takes the better source.
func (l *List) Add(addrs []netip.AddrPort, src Source) int {
	n := 0
	for _, a := range addrs {
		if l.add(a, src) {
			n++
		}
	}
	return n
}

func (l *List) add(a netip.AddrPort, src Source) bool {
	a = spate.CanonicalAddr(a)
	if !l.Usable(a, src) || l.Banned(a) {
		return false
	}
	if src == SourceLSD && l.local >= max(1, l.opt.Max/localShare) {
		return false
	}
	if i, known := l.index[a]; known {
		if c := &l.all[i]; src > c.source {
			l.counted(c, -1)
			c.source = src
			l.counted(c, 1)
		}
		return false
	}
	c := candidate{addr: a, source: src, prio: l.priority(a)}
	l.notBefore = time.Time{}
	if len(l.all) < l.opt.Max {
		l.index[a] = len(l.all)
		l.all = append(l.all, c)
		l.counted(&c, 1)
		return true
	}
	worst := -1
	for i := range l.all {
		if l.all[i].state == idle && (worst < 0 || l.all[worst].before(&l.all[i])) {
			worst = i
		}
	}
	if worst < 0 || !c.before(&l.all[worst]) {
		return false
	}
	delete(l.index, l.all[worst].addr)
	l.counted(&l.all[worst], -1)
	l.all[worst], l.index[a] = c, worst
	l.counted(&c, 1)
	return true
}

// counted keeps the number of candidates of the local network.
func (l *List) counted(c *candidate, by int) {
	if c.source == SourceLSD {
		l.local += by
	}
}

// before tells whether c is to be tried before d.
func (c *candidate) before(d *candidate) bool {
	switch {
	case c.failures != d.failures:
		return c.failures < d.failures
	case c.source != d.source:
		return c.source > d.source
	}
	return c.prio > d.prio
}

// Next returns up to n candidates to connect to now, best first; of those that are
// equal but for their priority (BEP 40) an IPv4 and an IPv6 one in turn. They count
// as being tried until Connected, Failed or Unused is called for them. The slice is
// valid until the next call.
func (l *List) Next(now time.Time, n int) []netip.AddrPort {
	l.out = l.out[:0]
	if now.Before(l.notBefore) {
		return l.out
	}
	for len(l.out) < n {
		best := -1
		var soonest time.Time
		for i := range l.all {
			c := &l.all[i]
			switch {
			case c.state != idle || c.seed && l.seeding:
			case now.Before(c.retry):
				if soonest.IsZero() || c.retry.Before(soonest) {
					soonest = c.retry
				}
			case best < 0 || l.sooner(c, &l.all[best]):
				best = i
			}
		}
		if best < 0 {
			if l.notBefore = soonest; soonest.IsZero() {
				l.notBefore = now.Add(maxPause) // until something changes
			}
			break
		}
		l.all[best].state = trying
		l.last6 = l.all[best].addr.Addr().Is6()
		l.out = append(l.out, l.all[best].addr)
	}
	return l.out
}

// sooner is before for candidates that are to be connected to: the address families
// take turns, so that neither waits behind the other where one of them fails.
func (l *List) sooner(c, d *candidate) bool {
	c6 := c.addr.Addr().Is6()
	if c.failures == d.failures && c.source == d.source && c6 != d.addr.Addr().Is6() {
		return c6 != l.last6
	}
	return c.before(d)
}

// find returns the candidate at a, or nil.
func (l *List) find(a netip.AddrPort) *candidate {
	if i, ok := l.index[spate.CanonicalAddr(a)]; ok {
		return &l.all[i]
	}
	return nil
}

// Source returns who named the candidate at a: the best source, if several did.
func (l *List) Source(a netip.AddrPort) (src Source, known bool) {
	c := l.find(a)
	if c == nil {
		return 0, false
	}
	return c.source, true
}

// Take makes a candidate count as being tried, as if Next had given it.
func (l *List) Take(a netip.AddrPort) {
	if c := l.find(a); c != nil && c.state == idle {
		c.state = trying
	}
}

// Unused takes a candidate of Next back: it was not tried after all.
func (l *List) Unused(a netip.AddrPort) {
	if c := l.find(a); c != nil && c.state == trying {
		c.state = idle
		l.notBefore = time.Time{}
	}
}

// Remove forgets a candidate, as when PEX or a tracker says that it left. One
// that is being tried or connected stays.
func (l *List) Remove(a netip.AddrPort) {
	if c := l.find(a); c != nil && c.state == idle {
		l.remove(c.addr)
	}
}

func (l *List) remove(a netip.AddrPort) {
	i, ok := l.index[a]
	if !ok {
		return
	}
	l.counted(&l.all[i], -1)
	last := len(l.all) - 1
	l.all[i] = l.all[last]
	l.index[l.all[i].addr] = i
	l.all = l.all[:last]
	delete(l.index, a)
}

// SetSeed notes whether the peer at a has everything.
func (l *List) SetSeed(a netip.AddrPort, seed bool) {
	if c := l.find(a); c != nil {
		c.seed = seed
		l.notBefore = time.Time{}
	}
}

// SetSeeding says whether we have everything: seeds do not connect to seeds.
func (l *List) SetSeeding(seeding bool) {
	l.seeding = seeding
	l.notBefore = time.Time{}
}

// Worth appends up to n addresses that are worth keeping over a restart: those
// that are connected or were useful, best first.
func (l *List) Worth(dst []netip.AddrPort, n int) []netip.AddrPort {
	var good []*candidate
	for i := range l.all {
		if c := &l.all[i]; c.proved || c.state == connected {
			good = append(good, c)
		}
	}
	slices.SortFunc(good, func(a, b *candidate) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	for _, c := range good[:min(n, len(good))] {
		dst = append(dst, c.addr)
	}
	return dst
}

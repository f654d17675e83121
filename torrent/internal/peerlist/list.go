// Package peerlist keeps the addresses of possible peers of a torrent, the candidates, and
// chooses the next ones to connect to.
//
// A candidate is idle, is being tried (after [List.Next] returned it), or is connected.
// [List.Next] prefers candidates with fewer failures, then candidates of a better source,
// then those with a higher canonical priority (BEP 40). All peers of a swarm agree on that
// priority, so that no peer can crowd out the others. After a failure a candidate is not
// tried for some time, which grows with each failure; after several failures it is
// forgotten. The list is bounded: a better candidate replaces the worst one.
//
// The list is plain data. It has no clock and no lock; the caller holds the torrent's lock.
package peerlist

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"spate"
)

// Source says where an address comes from. Candidates of a greater source are tried first.
type Source uint8

// The sources, least trusted first.
const (
	SourcePEX          Source = iota // other peers (BEP 11), which can name any address
	SourceDHT                        // BEP 5
	SourceOther                      // a source that the engine does not know
	SourceIncoming                   // the peer connected to us and named the port that it listens on
	SourceTracker                    // BEP 3
	SourceLSD                        // the local network (BEP 14)
	SourceLink                       // a magnet link (BEP 9)
	SourceLocalTracker               // a tracker on this machine, which may name addresses of this machine
	SourceCaller                     // the program around the engine
	SourceManual                     // the user

	NumSources = iota
)

// String returns the name of the source for people.
func (s Source) String() string {
	names := [...]string{"pex", "dht", "other", "incoming", "tracker", "lsd", "link", "tracker", "caller", "manual"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// ForPrivate reports whether a private torrent accepts candidates from the source (BEP 27).
// It accepts them from trackers, the user, magnet links, the program around the engine, and
// peers that connected to us and named their own port.
func (s Source) ForPrivate() bool {
	return s == SourceTracker || s == SourceIncoming || s >= SourceLink
}

// chosen reports whether the user, the caller or a magnet link chose the addresses of the
// source. They are tried again soon after a failure, and are not forgotten.
func (s Source) chosen() bool { return s >= SourceLink }

// Bounds of a list.
const (
	DefaultMax       = 3000
	maxBans, maxSelf = 10_000, 64
	localShare       = 10 // one in this many candidates may be of SourceLSD, because any host on the local network can send any address
)

// Options configure a [List].
type Options struct {
	Max        int                   // the number of candidates; 0 selects 3000
	AllowLocal bool                  // accepts loopback addresses from every source, not only from the user and the caller
	Private    bool                  // accepts candidates only from sources for which [Source.ForPrivate] is true (BEP 27)
	Self       netip.AddrPort        // our own address, which is never a candidate; the IP may be unspecified
	Advertised uint16                // the port that other peers are told; 0 means the port of Self
	Blocked    func(netip.Addr) bool // addresses that it reports are never candidates; nil: none is blocked
	Seed       uint64                // orders candidates while our own address is unknown; 0 selects a random one
}

// List is a list of candidates; see the package comment. Use [New] to make one.
type List struct {
	opt       Options
	all       []candidate
	index     map[netip.AddrPort]int // index in all
	self      map[netip.AddrPort]bool
	own       [2]netip.Addr // our IPv4 and IPv6 address as other peers see it
	seeding   bool
	local     int // candidates of SourceLSD
	banned    map[netip.AddrPort]struct{}
	banOrder  []netip.AddrPort // a ring buffer; the oldest ban is replaced
	banAt     int
	notBefore time.Time // Next returns no candidate before this time
	last6     bool      // the last candidate that Next returned has an IPv6 address
	found     [NumSources]int
	out       []netip.AddrPort
	worst     worstFirst
}

type state uint8

const (
	idle state = iota
	trying
	connected
)

type candidate struct {
	addr       netip.AddrPort
	retry      time.Time // the candidate is not tried before this time
	prio       uint32    // BEP 40
	failures   int32
	useless    uint8 // useless connections in a row
	unanswered uint8 // unanswered handshakes in a row
	source     Source
	state      state
	seed       bool // the peer has every piece, as far as is known
	failure    Failure
	heard      uint8 // how often Heard ended a pause
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

// Len returns the number of candidates.
func (l *List) Len() int { return len(l.all) }

// counted adds by to the number of candidates of SourceLSD, if c is such a candidate.
func (l *List) counted(c *candidate, by int) {
	if c.source == SourceLSD {
		l.local += by
	}
}

// before reports whether c should be tried before d.
func (c *candidate) before(d *candidate) bool {
	switch {
	case c.failures != d.failures:
		return c.failures < d.failures
	case c.source != d.source:
		return c.source > d.source
	}
	return c.prio > d.prio
}

// Next returns up to n candidates to connect to now, the best first. Among candidates that
// differ only in their priority (BEP 40), IPv4 and IPv6 addresses alternate. The candidates
// are being tried until Connected, Failed or Unused is called for them. The slice is valid
// until the next call.
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
			l.notBefore = soonest
			if soonest.IsZero() {
				l.notBefore = now.Add(maxPause) // or until a candidate changes
			}
			break
		}
		l.all[best].state = trying
		l.last6 = l.all[best].addr.Addr().Is6()
		l.out = append(l.out, l.all[best].addr)
	}
	return l.out
}

// sooner reports whether Next returns c before d. The address families alternate, so that
// one family does not wait while connections of the other fail.
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

// Source returns the best source of a, and whether a is a candidate.
func (l *List) Source(a netip.AddrPort) (src Source, known bool) {
	c := l.find(a)
	if c == nil {
		return 0, false
	}
	return c.source, true
}

// Take marks a candidate as being tried, as if Next had returned it.
func (l *List) Take(a netip.AddrPort) {
	if c := l.find(a); c != nil && c.state == idle {
		c.state = trying
	}
}

// Unused marks a candidate that Next returned as idle, because it was not tried.
func (l *List) Unused(a netip.AddrPort) {
	if c := l.find(a); c != nil && c.state == trying {
		c.state = idle
		l.notBefore = time.Time{}
	}
}

// remove forgets the candidate at a.
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

// SetSeed sets whether the peer at a has every piece.
func (l *List) SetSeed(a netip.AddrPort, seed bool) {
	if c := l.find(a); c != nil {
		c.seed = seed
		l.notBefore = time.Time{}
	}
}

// SetSeeding sets whether we have every piece. If so, Next returns no seeds.
func (l *List) SetSeeding(seeding bool) {
	l.seeding = seeding
	l.notBefore = time.Time{}
}

package stun

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"spate/internal/fairpool"
)

// The rates at which requests are answered: the time for each request in the long run, and how
// many are answered at once. A page asks a few times when it opens.
const (
	addrStep, addrBurst       = 200 * time.Millisecond, 30 // of one IPv4 address or IPv6 /64
	networkStep, networkBurst = 10 * time.Millisecond, 500 // of one IPv4 /24 or IPv6 /48
)

// Server answers binding requests at a limited rate for each address and network, because the
// sender of a request may have put another's address into it. The zero Server is ready. It is safe
// for concurrent use.
type Server struct {
	mu       sync.Mutex // guards the fields below
	seed     maphash.Seed
	start    time.Time // the time of the first request; zero before it
	addrs    table
	networks table
}

const (
	tableSets = 1024
	tableWays = 4
)

// table has an entry for each active source, and uses the generic cell rate algorithm: an entry
// holds the time up to which the requests of the source are paid. If too many sources are active,
// the entry of a set with the earliest time is replaced.
type table [tableSets][tableWays]entry

type entry struct {
	key  uint64
	paid time.Duration // since Server.start
}

// Answer is like the function [Answer], at the time now. It returns nil also if the source has sent
// too many requests. Loopback is not limited.
func (s *Server) Answer(now time.Time, dst, packet []byte, from netip.AddrPort) []byte {
	out := Answer(dst, packet, from)
	if out == nil || !s.allow(now, from.Addr().Unmap()) {
		return nil
	}
	return out
}

func (s *Server) allow(now time.Time, a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	host := a.WithZone("")
	if a.Is6() {
		p, _ := host.Prefix(64) // never fails
		host = p.Addr()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start.IsZero() {
		s.start, s.seed = now, maphash.MakeSeed()
	}
	t := now.Sub(s.start)
	one := s.addrs.find(maphash.Comparable(s.seed, host))
	all := s.networks.find(maphash.Comparable(s.seed, fairpool.Prefix(a)))
	if !one.fits(t, addrStep, addrBurst) || !all.fits(t, networkStep, networkBurst) {
		return false
	}
	one.paid, all.paid = max(one.paid, t)+addrStep, max(all.paid, t)+networkStep
	return true
}

// find returns the entry of a source, which may be a new one.
func (t *table) find(key uint64) *entry {
	set := &t[key%tableSets]
	e := &set[0]
	for i := range set {
		if set[i].key == key {
			return &set[i]
		}
		if set[i].paid < e.paid {
			e = &set[i]
		}
	}
	*e = entry{key: key}
	return e
}

// fits reports whether one more request is within the limit.
func (e *entry) fits(t, step time.Duration, burst int) bool {
	return max(e.paid, t)-t+step <= time.Duration(burst)*step
}

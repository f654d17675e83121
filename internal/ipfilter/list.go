// Package ipfilter reads lists of IP addresses that peers may not have, and looks addresses up in
// them. It reads lists of CIDR prefixes, eMule's .dat and PeerGuardian's .p2p, plain or packed with
// gzip.
package ipfilter

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// List is a set of ranges of addresses. It does not change. The zero List is empty.
type List struct {
	v4 []span[uint32]
	v6 []span[wide]
	// Skipped is the number of lines that could not be read, and FirstSkipped the number of the
	// first of them, beginning with 1.
	Skipped, FirstSkipped int
}

// span is a range of addresses with both ends.
type span[A any] struct{ first, last A }

// wide is an IPv6 address as a number.
type wide struct{ high, low uint64 }

func (a wide) compare(b wide) int {
	switch {
	case a == b:
		return 0
	case a.high < b.high || a.high == b.high && a.low < b.low:
		return -1
	}
	return 1
}

func compare4(a, b uint32) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func number4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func number6(a netip.Addr) wide {
	b := a.As16()
	return wide{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Len returns the number of ranges after overlapping ones were joined.
func (l *List) Len() int { return len(l.v4) + len(l.v6) }

// Contains reports whether the list contains the address. An IPv4 address in IPv6 form counts as an
// IPv4 address.
func (l *List) Contains(a netip.Addr) bool {
	switch a = a.Unmap(); {
	case a.Is4():
		return contains4(l.v4, number4(a))
	case a.Is6():
		return contains(l.v6, number6(a), wide.compare)
	}
	return false
}

// contains4 does what contains does, in a third of the time.
func contains4(spans []span[uint32], a uint32) bool {
	low, high := 0, len(spans) // the first range that begins after a is in this part
	for low < high {
		if middle := int(uint(low+high) / 2); spans[middle].first <= a {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low > 0 && a <= spans[low-1].last
}

func contains[A any](spans []span[A], a A, compare func(A, A) int) bool {
	i, found := slices.BinarySearchFunc(spans, a, func(s span[A], a A) int { return compare(s.first, a) })
	return found || i > 0 && compare(a, spans[i-1].last) <= 0
}

// join sorts the ranges and joins those that overlap.
func join[A any](spans []span[A], compare func(A, A) int) []span[A] {
	byFirst := func(a, b span[A]) int { return compare(a.first, b.first) }
	if !slices.IsSortedFunc(spans, byFirst) { // most lists are sorted
		slices.SortFunc(spans, byFirst)
	}
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && compare(s.first, out[n-1].last) <= 0 {
			if compare(s.last, out[n-1].last) > 0 {
				out[n-1].last = s.last
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// add adds a range if it is one: both addresses have the same family, and the first is not greater.
func (l *List) add(first, last netip.Addr) bool {
	first, last = first.Unmap(), last.Unmap()
	if first.Is4() != last.Is4() || last.Less(first) {
		return false
	}
	if first.Is4() {
		l.v4 = append(l.v4, span[uint32]{number4(first), number4(last)})
	} else {
		l.v6 = append(l.v6, span[wide]{number6(first), number6(last)})
	}
	return true
}

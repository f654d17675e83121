package peerstore

import (
	"crypto/sha1"
	"math"
	"math/bits"
	"net/netip"
)

// Filter is a bloom filter of IP addresses (BEP 33). It shows about how many addresses it has,
// and the union of several filters shows the number of all their addresses.
type Filter [256]byte

// Insert adds an address. An IPv4-mapped address counts as IPv4.
func (f *Filter) Insert(a netip.Addr) {
	var sum [sha1.Size]byte
	if a = a.Unmap(); a.Is4() {
		ip := a.As4()
		sum = sha1.Sum(ip[:])
	} else {
		ip := a.As16()
		sum = sha1.Sum(ip[:])
	}
	for _, i := range [2]int{int(sum[0]) | int(sum[1])<<8, int(sum[2]) | int(sum[3])<<8} {
		i %= 8 * len(f)
		f[i/8] |= 1 << (i % 8)
	}
}

// Merge adds the addresses of g to f.
func (f *Filter) Merge(g *Filter) {
	for i := range f {
		f[i] |= g[i]
	}
}

// Estimate returns the approximate number of addresses in f. It is too small from about 6000
// addresses on.
func (f *Filter) Estimate() float64 {
	const m = 8 * float64(len(f))
	zeros := m
	for _, b := range f {
		zeros -= float64(bits.OnesCount8(b))
	}
	c := max(1, min(m-1, zeros)) // a full filter has no finite estimate
	if zeros == m {
		return 0
	}
	return math.Log(c/m) / (2 * math.Log(1-1/m))
}

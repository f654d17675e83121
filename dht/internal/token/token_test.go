package token

import (
	"net/netip"
	"testing"
	"time"

	"spate/dht/internal/siphash"
)

var (
	start = time.Unix(1_700_000_000, 0)
	alice = netip.MustParseAddr("203.0.113.7")
	bob   = netip.MustParseAddr("203.0.113.8")
	carol = netip.MustParseAddr("2001:db8::1")
	dave  = netip.MustParseAddr("2001:db8::2")
)

// TestTokenHoldsForItsAddressOnly checks tokens of IPv4 and IPv6 addresses against each other
// and against other issuers.
func TestTokenHoldsForItsAddressOnly(t *testing.T) {
	s, other := New(siphash.Key{1}, start), New(siphash.Key{2}, start)
	addrs := []netip.Addr{alice, bob, carol, dave}
	for _, a := range addrs {
		token := s.Token(start, a)
		for _, b := range addrs {
			if got := s.Valid(start, b, token[:]); got != (a == b) {
				t.Errorf("the token of %s is valid for %s: %v", a, b, got)
			}
		}
		if other.Valid(start, a, token[:]) {
			t.Errorf("the token of %s is valid at another issuer", a)
		}
	}
	token := s.Token(start, alice)
	if mapped := netip.MustParseAddr("::ffff:203.0.113.7"); !s.Valid(start, mapped, token[:]) {
		t.Errorf("the token of %s is not valid for %s", alice, mapped)
	}
}

// TestChangedTokenIsInvalid changes each bit and the length of a token.
func TestChangedTokenIsInvalid(t *testing.T) {
	s := New(siphash.Key{1}, start)
	token := s.Token(start, alice)
	for bit := range 8 * Size {
		changed := token
		changed[bit/8] ^= 1 << (bit % 8)
		if s.Valid(start, alice, changed[:]) {
			t.Errorf("the token is valid with bit %d changed", bit)
		}
	}
	for _, bad := range [][]byte{nil, {}, token[:Size-1], append(token[:], 0)} {
		if s.Valid(start, alice, bad) {
			t.Errorf("%x is valid, the token is %x", bad, token)
		}
	}
}

// TestTokenExpires checks that a token is valid for five to ten minutes, depending on when the
// secret changes, and stays invalid.
func TestTokenExpires(t *testing.T) {
	for made := time.Duration(0); made < 3*period; made += 37 * time.Second {
		s := New(siphash.Key{1}, start)
		issued := start.Add(made)
		token := s.Token(issued, alice)
		end := time.Duration(0)
		for age := time.Duration(0); age < 3*MaxAge; age += time.Second {
			if s.Valid(issued.Add(age), alice, token[:]) {
				if end > 0 {
					t.Fatalf("the token of second %v is valid again at age %v", made, age)
				}
			} else if end == 0 {
				end = age
			}
		}
		if end <= MaxAge/2-time.Second || end > MaxAge {
			t.Errorf("the token made after %v is valid for %v", made, end)
		}
	}
}

// TestNothingAllocates protects the speed of replies.
func TestNothingAllocates(t *testing.T) {
	s := New(siphash.Key{1}, start)
	valid := true
	allocs := testing.AllocsPerRun(100, func() {
		token := s.Token(start, carol)
		valid = valid && s.Valid(start, carol, token[:])
	})
	if allocs != 0 || !valid {
		t.Errorf("%v allocations, valid: %v", allocs, valid)
	}
}

func BenchmarkToken(b *testing.B) {
	s := New(siphash.Key{1}, start)
	for b.Loop() {
		s.Token(start, alice)
	}
}

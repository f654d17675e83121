package siphash

import (
	"net/netip"
	"testing"
)

// TestReferenceVectors checks vectors of the reference implementation: the key is 00 to 0f and
// the message is 00, 01, 02 and so on.
func TestReferenceVectors(t *testing.T) {
	var key Key
	for i := range key {
		key[i] = byte(i)
	}
	words := []uint64{0x0706050403020100, 0x0f0e0d0c0b0a0908, 0x1716151413121110, 0x1f1e1d1c1b1a1918}
	for n, want := range []uint64{
		0x726fdb47dd0e0e31, 0x93f5f5799a932462, 0x3f2acc7f57c29bdb, 0xb8ad50c6f649af94, 0x7127512f72f27cce,
	} {
		if got := Sum(key, words[:n]...); got != want {
			t.Errorf("Sum of %d words is %#x, want %#x", n, got, want)
		}
	}
}

// TestWordsOfAddresses checks that different addresses have different words, and the two forms
// of an IPv4 address the same.
func TestWordsOfAddresses(t *testing.T) {
	seen := map[[2]uint64]string{}
	for _, s := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:1::1", "::192.0.2.1"} {
		high, low := Words(netip.MustParseAddr(s))
		if other := seen[[2]uint64{high, low}]; other != "" {
			t.Errorf("%s and %s have the same words", s, other)
		}
		seen[[2]uint64{high, low}] = s
	}
	high, low := Words(netip.MustParseAddr("::ffff:192.0.2.1"))
	if seen[[2]uint64{high, low}] != "192.0.2.1" {
		t.Error("::ffff:192.0.2.1 and 192.0.2.1 have different words")
	}
}

func BenchmarkSum(b *testing.B) {
	for b.Loop() {
		Sum(Key{1}, 1, 2, 3)
	}
}

// TestDerivedKeysDiffer checks that keys of different numbers and secrets differ in both halves.
func TestDerivedKeysDiffer(t *testing.T) {
	t.Parallel()
	halves := map[[8]byte]bool{}
	for _, secret := range []Key{{}, {1}, {15: 1}} {
		for number := range uint64(10) {
			k := secret.Derive(number)
			halves[[8]byte(k[:8])], halves[[8]byte(k[8:])] = true, true
		}
	}
	if len(halves) != 60 {
		t.Errorf("60 halves of keys have %d values", len(halves))
	}
}

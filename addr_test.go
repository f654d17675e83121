package spate_test

import (
	"net/netip"
	"testing"

	"spate"
)

// TestCanonicalAddr checks which addresses keep their zone.
func TestCanonicalAddr(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:1":            "192.0.2.1:1",
		"[::ffff:192.0.2.1]:1":   "192.0.2.1:1",
		"[::ffff:169.254.1.1]:1": "169.254.1.1:1",
		"[2001:db8::1]:1":        "[2001:db8::1]:1",
		"[2001:db8::1%eth0]:1":   "[2001:db8::1]:1",
		"[::1%lo]:1":             "[::1]:1",
		"[ff02::1%eth0]:1":       "[ff02::1]:1",
		"[fe80::1]:1":            "[fe80::1]:1",
		"[fe80::1%eth0]:1":       "[fe80::1%eth0]:1",
		"[febf::1%3]:1":          "[febf::1%3]:1",
		"[fec0::1%3]:1":          "[fec0::1]:1",
	} {
		if got := spate.CanonicalAddr(netip.MustParseAddrPort(in)); got.String() != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := spate.CanonicalAddr(netip.AddrPort{}); got.IsValid() {
		t.Errorf("the zero address: %v", got)
	}
}

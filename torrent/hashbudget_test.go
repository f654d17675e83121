package torrent

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestHashBudgetCountsBytesOfAnAddress checks that a burst of bytes is hashed for the peers at an
// address, then hashRate a second, whatever ports they use, and that other addresses have budgets
// of their own.
func TestHashBudgetCountsBytesOfAnAddress(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{16 << 10, hashLeast, 4 << 20, 64 << 20, maxHashedPiece} {
		var b hashBudgets
		now := time.Unix(1e9, 0)
		port := uint16(0)
		takeAll := func(addr string) (n int64) {
			for {
				port++
				if !b.take(peerKeyOf(netip.AddrPortFrom(netip.MustParseAddr(addr), port)), size, now) {
					return n
				}
				n++
			}
		}
		cost := max(size, hashLeast)
		for _, addr := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"} {
			if n := takeAll(addr); n != hashBurst/cost {
				t.Errorf("pieces of %d for %s: %d are hashed at first, want %d", size, addr, n, hashBurst/cost)
			}
		}
		for _, addr := range []string{"::ffff:192.0.2.1", "2001:db8::2", "2001:db8::ffff:1"} {
			if n := takeAll(addr); n != 0 {
				t.Errorf("pieces of %d: %d more are hashed for %s, which shares a budget", size, n, addr)
			}
		}
		now = now.Add(time.Duration(cost) * time.Second / hashRate)
		if n := takeAll("192.0.2.1"); n != 1 {
			t.Errorf("pieces of %d: %d are hashed after the time of one piece", size, n)
		}
		now = now.Add(time.Hour)
		if n := takeAll("192.0.2.1"); n != hashBurst/cost {
			t.Errorf("pieces of %d: %d are hashed after an hour, want %d", size, n, hashBurst/cost)
		}
	}
}

// TestHashBudgetsAreBounded checks that the number of budgets is bounded, and that an address which
// has spent its budget does not get a new one because of many other addresses.
func TestHashBudgetsAreBounded(t *testing.T) {
	t.Parallel()
	var b hashBudgets
	now := time.Unix(1e9, 0)
	greedy := peerKeyOf(netip.MustParseAddrPort("192.0.2.1:1"))
	for b.take(greedy, 64<<20, now) {
	}
	for i := range 3 * maxHashBudgets {
		b.take(peerKeyOf(netip.MustParseAddrPort(fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255))), 1, now)
		if len(b.by) > maxHashBudgets {
			t.Fatalf("%d budgets are kept", len(b.by))
		}
	}
	if b.take(greedy, 64<<20, now) {
		t.Error("the address that has spent its budget got a new one")
	}
	if now = now.Add(time.Hour); !b.take(peerKeyOf(netip.MustParseAddrPort("10.1.0.1:1")), 1, now) || len(b.by) != 1 {
		t.Errorf("%d budgets are kept after an hour, want one", len(b.by))
	}
}

package trackerserver

import (
	"net/netip"
	"testing"
	"time"
)

// TestRateLimit checks the burst and the rate of a network, and that loopback has no limit.
func TestRateLimit(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := newServer(t, Options{Limit: RateLimit{PerSecond: 2, Burst: 4}, Now: func() time.Time { return now }})
	count := func(from string, tries int) (good int) {
		for range tries {
			if _, err := announce(t, s, from, peer(1)); err == nil {
				good++
			} else {
				refusedFor(t, err, "too many")
			}
		}
		return good
	}
	for from, want := range map[string]int{"192.0.2.1:9": 4, "192.0.2.200:9": 0, "192.0.3.1:9": 4, "[2001:db8:1::1]:9": 4, "127.0.0.1:9": 20} {
		if from == "192.0.2.200:9" {
			continue // the address is in the network of the first one, and is checked below
		}
		if got := count(from, 20); got != want {
			t.Errorf("%s: %d announces, want %d", from, got, want)
		}
	}
	if got := count("192.0.2.200:9", 3) + count("[2001:db8:1:ffff::9]:9", 3); got != 0 {
		t.Errorf("%d announces from networks that have used their burst", got)
	}
	now = now.Add(time.Second)
	if got := count("192.0.2.1:9", 20); got != 2 {
		t.Errorf("%d announces a second later, want 2", got)
	}
	if c := s.Counts(); c.Limited == 0 || c.Limited != c.Refused {
		t.Errorf("%+v", c)
	}
}

// TestRateLimitManyNetworks checks that a request of a new network is answered, however many
// networks are active.
func TestRateLimitManyNetworks(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := newLimiter(RateLimit{PerSecond: 1, Burst: 10}, now)
	for n := range 300_000 {
		a := netip.AddrFrom4([4]byte{byte(n >> 16), byte(n >> 8), byte(n), 1})
		if l.allow(now, a) != 0 {
			t.Fatalf("network %d is refused its first request", n)
		}
	}
}

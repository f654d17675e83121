package daemon

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"spate/tracker"
)

// sees is a tracker that sees an address.
type sees netip.Addr

func (a sees) Announce(context.Context, string, *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	return &tracker.AnnounceResponse{ExternalIP: netip.Addr(a)}, nil
}

// TestOthersCorrectTheRoutersAddress checks which address of this machine is used when a router names
// another one than trackers and the nodes of the DHT see: theirs if two sources agree, none sees
// another, and they have seen it since the router named its address. If a single one sees another,
// or several do not agree, the router's address is a guess.
func TestOthersCorrectTheRoutersAddress(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	router, second, actual, moved := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8"), netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("203.0.113.8")
	var nobody netip.Addr
	a := &seenAddr{now: func() time.Time { return now }}
	seen := func(host string, addr netip.Addr) {
		now = now.Add(time.Second)
		a.Announcer = sees(addr)
		if _, err := a.Announce(t.Context(), "http://"+host+"/announce", nil); err != nil {
			t.Fatal(err)
		}
	}
	peers := map[netip.Addr]time.Time{}
	reached := func(own netip.Addr) time.Time { return peers[own] }
	check := func(when string, router, nodes netip.Addr, want externalAddr) {
		t.Helper()
		now = now.Add(time.Minute)
		if got := a.judge(router, nodes, reached, now); got != want {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	uses := func(when string, router, nodes, want netip.Addr) {
		t.Helper()
		check(when, router, nodes, externalAddr{use: want})
	}
	doubts := func(when string, router, nodes, other netip.Addr) {
		t.Helper()
		check(when, router, nodes, externalAddr{router, other})
	}
	uses("nobody else has said", router, nobody, router)
	doubts("the DHT alone", router, actual, actual)
	seen("one.example:1", actual)
	uses("the DHT and a tracker", router, actual, actual)
	doubts("one tracker", router, nobody, actual)
	seen("one.example:2", actual)
	doubts("one tracker at two ports", router, nobody, actual)
	seen("two.example", actual)
	uses("two trackers", router, nobody, actual)
	uses("two trackers and the router", actual, nobody, actual)
	uses("the router names another address than before", router, nobody, router)
	doubts("the DHT sees the former address", router, actual, actual)
	seen("one.example", actual)
	uses("a tracker sees the former address too", router, actual, actual)
	uses("the home has a new address", second, actual, second)
	seen("one.example", moved)
	doubts("a tracker sees a new address, the DHT not yet", second, actual, moved)
	seen("two.example", actual)
	doubts("the trackers do not agree", second, moved, moved)
	seen("two.example", netip.MustParseAddr("192.168.1.1"))
	seen("two.example", moved)
	uses("all agree", second, moved, moved)
	seen("one.example", second)
	uses("one of three sees the router's address", second, moved, second)
	for i := range 2 * maxSightings {
		seen(string(rune('a'+i))+".example", moved)
	}
	if len(a.trackers) > maxSightings {
		t.Errorf("%d trackers are remembered", len(a.trackers))
	}
}

// TestPeersProveTheAddress checks which address is used if only one source contradicts the router: the
// one to which peers connect. If peers name both, the router's stays. What peers named before the
// router's address changed does not count, and an address that only peers name is never used.
func TestPeersProveTheAddress(t *testing.T) {
	t.Parallel()
	start := time.Unix(1e9, 0)
	router, second, actual := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8"), netip.MustParseAddr("203.0.113.7")
	var nobody netip.Addr
	peers := map[netip.Addr]time.Time{}
	var s sightings
	for i, c := range []struct {
		when          string
		named         netip.Addr // the address that a peer names now; the zero Addr: none does
		router, nodes netip.Addr
		want          externalAddr
	}{
		{"nobody has connected", nobody, router, nobody, externalAddr{use: router}},
		{"a peer names another address", actual, router, nobody, externalAddr{use: router}},
		{"the DHT too", nobody, router, actual, externalAddr{use: actual}},
		{"a peer names the router's address", router, router, actual, externalAddr{use: router}},
		{"a tracker sees the other address too, to which peers connect", nobody, router, actual, externalAddr{use: actual}},
		{"the router names another address", nobody, second, actual, externalAddr{use: second}},
		{"the DHT loses its vote", nobody, second, nobody, externalAddr{use: second}},
		{"the DHT sees the former address", nobody, second, actual, externalAddr{second, actual}},
		{"a peer still connects to it", actual, second, actual, externalAddr{use: actual}},
	} {
		now := start.Add(time.Duration(i) * time.Minute)
		if c.named.IsValid() {
			peers[c.named] = now
		}
		if strings.HasPrefix(c.when, "a tracker") {
			s.tracker("one.example", actual, now)
		}
		if got := s.judge(c.router, c.nodes, func(a netip.Addr) time.Time { return peers[a] }, now); got != c.want {
			t.Errorf("%s: %v, want %v", c.when, got, c.want)
		}
	}
}

// TestSightingsOfTrackersEnd checks that what a tracker saw counts for two hours, so that a tracker
// that is gone does not contradict others for ever, and that a new tracker takes the place of the one
// that is silent for the longest time.
func TestSightingsOfTrackersEnd(t *testing.T) {
	t.Parallel()
	start := time.Unix(1e9, 0)
	router, former, actual := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("203.0.113.8")
	var s sightings
	reached := func(netip.Addr) time.Time { return time.Time{} }
	s.judge(router, actual, reached, start)
	s.tracker("gone.example", former, start.Add(time.Minute))
	s.tracker("one.example", actual, start.Add(time.Hour))
	for _, c := range []struct {
		after      time.Duration
		used, last netip.Addr
	}{
		{90 * time.Minute, router, actual}, // the trackers do not agree
		{2*time.Hour + 2*time.Minute, actual, actual},
		{3*time.Hour + time.Minute, router, netip.Addr{}}, // only the DHT is left
	} {
		now := start.Add(c.after)
		if used, last := s.judge(router, actual, reached, now).use, s.lastByTracker(now); used != c.used || last != c.last {
			t.Errorf("after %v: %v is used, want %v; the last is %v, want %v", c.after, used, c.used, last, c.last)
		}
	}
	for i := range maxSightings + 1 {
		s.tracker(string(rune('A'+i)), actual, start.Add(time.Duration(i)))
	}
	_, first := s.trackers["A"]
	_, last := s.trackers[string(rune('A'+maxSightings))]
	if first || !last || len(s.trackers) != maxSightings {
		t.Errorf("%d trackers are remembered; the first is %v, the last %v", len(s.trackers), first, last)
	}
}

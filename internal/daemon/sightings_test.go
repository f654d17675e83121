package daemon

import (
	"context"
	"net/netip"
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
// another, and they have seen it since the router named its address.
func TestOthersCorrectTheRoutersAddress(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	router, second, actual, moved := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8"), netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("203.0.113.8")
	var nobody netip.Addr
	a := &seenAddr{now: func() time.Time { return now }}
	seen := func(host string, addr netip.Addr) {
		a.Announcer = sees(addr)
		if _, err := a.Announce(t.Context(), "http://"+host+"/announce", nil); err != nil {
			t.Fatal(err)
		}
	}
	uses := func(when string, router, nodes, want netip.Addr) {
		t.Helper()
		now = now.Add(time.Minute)
		if got := a.correct(router, nodes, now); got != want {
			t.Errorf("%s: %v is used, want %v", when, got, want)
		}
	}
	uses("nobody else has said", router, nobody, router)
	uses("the DHT alone", router, actual, router)
	seen("one.example:1", actual)
	uses("the DHT and a tracker", router, actual, actual)
	uses("one tracker", router, nobody, router)
	seen("one.example:2", actual)
	uses("one tracker at two ports", router, nobody, router)
	seen("two.example", actual)
	uses("two trackers", router, nobody, actual)
	uses("two trackers and the router", actual, nobody, actual)
	uses("the router names another address than before", router, nobody, router)
	uses("the DHT sees the former address", router, actual, router)
	seen("one.example", actual)
	uses("a tracker sees the former address too", router, actual, actual)
	uses("the home has a new address", second, actual, second)
	seen("one.example", moved)
	uses("a tracker sees a new address, the DHT not yet", second, actual, second)
	seen("two.example", actual)
	uses("the trackers do not agree", second, moved, second)
	seen("two.example", netip.MustParseAddr("192.168.1.1"))
	seen("two.example", moved)
	uses("all agree", second, moved, moved)
	for i := range 2 * maxSightings {
		seen(string(rune('a'+i))+".example", moved)
	}
	if len(a.trackers) > maxSightings {
		t.Errorf("%d trackers are remembered", len(a.trackers))
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
	s.correct(router, actual, start)
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
		if used, last := s.correct(router, actual, now), s.lastByTracker(now); used != c.used || last != c.last {
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

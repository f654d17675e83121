package trackerserver

import (
	"testing"
	"time"

	"spate/tracker"
)

// TestStarvingPeerIsToldAShortInterval checks that a peer that announces again without having
// received anything is told a minute, and one that receives data is not.
func TestStarvingPeerIsToldAShortInterval(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := newServer(t, Options{Now: func() time.Time { return now }})
	seed := peer(1)
	seed.Left = 0
	announce(t, s, "192.0.2.1:9", seed)
	p := peer(2)
	announce(t, s, "192.0.2.2:9", p)
	now = now.Add(14 * time.Minute)
	p.Event, p.Downloaded = tracker.EventNone, 1
	if r, err := announce(t, s, "192.0.2.2:9", p); err != nil || r.Interval < 3*time.Minute {
		t.Errorf("a peer that receives data is told %v (%v)", r.Interval, err)
	}
	p.Downloaded = 0
	r, err := announce(t, s, "192.0.2.2:9", p)
	if err != nil || r.Interval > 70*time.Second || r.MinInterval != time.Minute {
		t.Errorf("a peer that receives nothing is told %v, at least %v (%v)", r.Interval, r.MinInterval, err)
	}
}

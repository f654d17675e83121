package torrent

import (
	"testing"
	"time"
)

// TestBackstop checks how long peers must be slow before web seeds are used, and how long
// they must be fast before web seeds are not used any more.
func TestBackstop(t *testing.T) {
	var b backstop
	now := time.Unix(1e9, 0)
	for i, step := range []struct {
		secs  int // the time in seconds
		rate  float64
		conns int
		on    bool // after that time
	}{
		{2, 0, 0, false},   // no peer is connected yet
		{13, 50, 3, false}, // slow peers
		{1, 50, 3, true},
		{60, 199, 3, true}, // faster, but below twice the slow rate
		{30, 300, 3, false},
		{100, 110, 3, false},
		{30, 100, 3, false}, // not slow
		{2, 0, 3, false},
		{2, 500, 3, false}, // a gap, then a burst
		{15, 0, 3, false},
		{20, 0, 3, true},
		{5, 5000, 3, true}, // fast, but not for long enough
		{5, 5000, 3, false},
		{3, 5000, 0, false}, // the last peer has left
		{1, 5000, 0, true},
	} {
		for range step.secs {
			now = now.Add(time.Second)
			b.decide(now, step.rate, 100, step.conns, false)
		}
		if b.on != step.on {
			t.Fatalf("step %d %+v: %v", i, step, b.on)
		}
	}
	b = backstop{}
	if !b.decide(now, 0, 100, 0, true) {
		t.Error("web seeds are not used at once although no peer is known")
	}
}

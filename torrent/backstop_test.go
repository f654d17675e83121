package torrent

import (
	"testing"
	"time"
)

// TestBackstop: the swarm has its time before web seeds are asked, and has to be
// fast for a while before they are left alone.
func TestBackstop(t *testing.T) {
	var b backstop
	now := time.Unix(1e9, 0)
	for i, step := range []struct {
		secs  int // seconds
		rate  float64
		conns int
		on    bool // at the end of them
	}{
		{2, 0, 0, false},   // nobody is there yet
		{13, 50, 3, false}, // somebody is, and slow
		{1, 50, 3, true},
		{60, 199, 3, true}, // not enough to do without
		{30, 300, 3, false},
		{100, 110, 3, false},
		{30, 100, 3, false}, // fast enough
		{2, 0, 3, false},
		{2, 500, 3, false}, // a gap, then a burst
		{15, 0, 3, false},
		{20, 0, 3, true},
		{5, 5000, 3, true}, // not for long enough
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
		t.Error("not asked at once though there is nobody to wait for")
	}
}

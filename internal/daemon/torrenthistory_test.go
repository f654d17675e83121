package daemon

import (
	"testing"
	"time"

	"spate"
)

// TestHistoryHasMeansOfTenSeconds checks the rates of an hour: steps, gaps, and that old torrents are
// forgotten.
func TestHistoryHasMeansOfTenSeconds(t *testing.T) {
	t.Parallel()
	var h rateHistory
	one, other := spate.InfoHash{1}, spate.InfoHash{2}
	start := time.Unix(1_800_000_000, 0)
	for s := range 20 { // two steps of 100 and 200 bytes a second
		h.add(one, start.Add(time.Duration(s)*time.Second), int64(100*(1+s/10)), 50)
	}
	got := h.last(one, start.Add(45*time.Second))
	if n := len(got.Down); n != historyLen-1 || !got.Until.Equal(start.Add(40*time.Second)) || got.Step != 10 {
		t.Fatalf("%d steps of %d s until %v", n, got.Step, got.Until)
	}
	if tail := got.Down[len(got.Down)-4:]; tail[0] != 100 || tail[1] != 200 || tail[2] != 0 || tail[3] != 0 || got.Up[len(got.Up)-4] != 50 {
		t.Errorf("the rates end with %v", tail)
	}
	h.add(one, start.Add(50*time.Minute), 1000, 0) // a gap
	got = h.last(one, start.Add(50*time.Minute+10*time.Second))
	if last := got.Down[len(got.Down)-1]; last != 100 || got.Down[len(got.Down)-2] != 0 {
		t.Errorf("the rates after a gap end with %v", got.Down[len(got.Down)-2:])
	}
	sum := 0.0
	for _, rate := range got.Down {
		sum += rate
	}
	if sum != 400 {
		t.Errorf("the sum of the rates is %v, want 400", sum)
	}
	h.add(other, start.Add(2*time.Hour), 1, 1)
	if len(h.of) != 1 || len(h.last(one, start.Add(2*time.Hour)).Down) != 0 {
		t.Errorf("the rates of %d torrents are kept", len(h.of))
	}
}

package daemon

import (
	"slices"
	"testing"
)

// TestPlanQueue checks which torrents start and which seeds stop.
func TestPlanQueue(t *testing.T) {
	t.Parallel()
	waits, runs, stalls := queueEntry{wanted: true}, queueEntry{running: true}, queueEntry{running: true, stalled: true}
	seed := func(e queueEntry) queueEntry { e.seed = true; return e }
	for _, c := range []struct {
		what        string
		list        []queueEntry
		downs       int
		seeds       int
		start, stop []int
	}{
		{"no limits", []queueEntry{waits, runs, seed(waits), {}}, 0, 0, []int{0, 2}, nil},
		{"the first in the queue", []queueEntry{runs, waits, waits, waits}, 2, 0, []int{1}, nil},
		{"a stalled one does not count", []queueEntry{stalls, waits, waits}, 1, 0, []int{1}, nil},
		{"many stalled ones", append(slices.Repeat([]queueEntry{stalls}, maxStalled), waits), 1, 0, nil, nil},
		{"seeds are counted apart", []queueEntry{runs, seed(waits), seed(waits), waits}, 1, 1, []int{1}, nil},
		{"a download that became a seed", []queueEntry{seed(runs), seed(runs), seed(stalls)}, 0, 1, nil, []int{1}},
		{"no download is stopped", []queueEntry{runs, runs}, 1, 1, nil, nil},
	} {
		if start, stop := planQueue(c.list, c.downs, c.seeds); !slices.Equal(start, c.start) || !slices.Equal(stop, c.stop) {
			t.Errorf("%s: start %v, stop %v, want %v, %v", c.what, start, stop, c.start, c.stop)
		}
	}
}

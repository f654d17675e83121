package daemon

import (
	"slices"
	"strings"
	"testing"
	"time"

	"spate/internal/fault"
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

// TestIdleSeedFinishes checks that a seed that sends nothing ends after its time, and that an added
// torrent that is added again is described beside the error.
func TestIdleSeedFinishes(t *testing.T) {
	t.Parallel()
	list := offlineTorrents(t, t.TempDir())
	q := AddRequest{Source: strings.Repeat("a", 40), Paused: true, TorrentOptions: TorrentOptions{SeedIdle: 1800}}
	i, err := list.Add(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := list.Add(t.Context(), q); fault.CodeOf(err) != fault.Exists || again.InfoHash != i.InfoHash {
		t.Errorf("the second request returns %+v, %v", again, err)
	}
	e, err := list.find(i.InfoHash)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Unix(1_800_000_000, 0)
	for _, s := range []struct {
		after time.Duration
		busy  bool
		want  bool
	}{{0, false, false}, {29 * time.Minute, false, false}, {40 * time.Minute, true, false}, {69 * time.Minute, false, false}, {71 * time.Minute, false, true}} {
		now := begin.Add(s.after)
		if s.busy {
			e.busy = now
		}
		list.countSeeding(e, nil, now)
		list.tasks.Wait()
		if e.rec.Finished != s.want {
			t.Errorf("after %s the seed has finished: %t", s.after, e.rec.Finished)
		}
	}
}

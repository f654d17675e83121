package cli

import (
	"testing"
	"time"

	"spate/internal/daemon"
	"spate/publish"
)

// TestStoryLine checks the status line of publish and serve. It says nothing about sending while
// nobody is there.
func TestStoryLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		story daemon.Story
		peers int
		rate  float64
		want  string
	}{
		{daemon.Story{}, 0, 0, "waiting for the first download"},
		{daemon.Story{}, 0, 1e6, "waiting for the first download"},
		{daemon.Story{Downloading: 1, Sent: 5e6}, 1, 2.5e6, "1 downloading, sent 5.0 MB, 2.5 MB/s up"},
		{daemon.Story{Downloading: 3, Sent: 1e12, Delivery: publish.Delivery{Finished: 1200, Copies: 1.1, Saved: 42e8}}, 4, 0, "3 downloading, 1,200 finished, sent 1.1 copies, saved 4.2 GB"},
		{daemon.Story{Sent: 1e9, Delivery: publish.Delivery{Finished: 1, Copies: 1}}, 0, 1e6, "1 finished, sent 1.0 copies"},
	} {
		if got := storyLine(c.story, c.peers, c.rate); got != c.want || len(got) > 79 {
			t.Errorf("the line is %q, want %q", got, c.want)
		}
	}
}

// TestFinishLine checks the lines about the first copy and about further copies.
func TestFinishLine(t *testing.T) {
	t.Parallel()
	f := publish.Finish{Release: &publish.Release{Slug: "a", Version: "1", Size: 100, NumFiles: 1}, Downloads: 1, Total: publish.Counts{Completed: 1, SeedBytes: 110}, FirstCopy: 200 * time.Second}
	if got, want := finishLine(f, f.Total.Delivery(100, 1)), "a~1: the first copy is complete, 3 min 20 s after its download began; 1 finished, sent 1.1 copies"; got != want {
		t.Errorf("the first copy is told as %q, want %q", got, want)
	}
	f.FirstCopy, f.Downloads, f.Total = 0, 2, publish.Counts{Completed: 3, SeedBytes: 120}
	if got, want := finishLine(f, f.Total.Delivery(100, 1)), "a~1: 2 more copies are complete; 3 finished, sent 1.2 copies, saved 180 B"; got != want {
		t.Errorf("two more copies are told as %q, want %q", got, want)
	}
}

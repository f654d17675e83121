package cli

import (
	"errors"
	"testing"
	"time"

	"spate/torrent"
)

// TestDirectWait checks how long get waits for the swarm before it asks the server of the page.
func TestDirectWait(t *testing.T) {
	t.Parallel()
	fails := []torrent.TrackerStats{{Err: errors.New("no answer")}}
	for _, c := range []struct {
		what    string
		st      torrent.Stats
		tracked bool
		timeout time.Duration
		want    time.Duration
	}{
		{"a known peer cannot be reached", torrent.Stats{Known: 1}, true, 0, directTime},
		{"the tracker has not answered", torrent.Stats{}, true, 0, directTime},
		{"the tracker fails", torrent.Stats{Trackers: fails}, true, 0, tellFailure},
		{"the tracker fails, but a peer is known", torrent.Stats{Trackers: fails, Known: 1}, true, 0, directTime},
		{"nobody to ask", torrent.Stats{}, false, 0, tellFailure},
		{"peers that send nothing", torrent.Stats{Peers: 1, Known: 1}, true, 0, directLate},
		{"a short timeout", torrent.Stats{Peers: 1}, true, 10 * time.Second, 5 * time.Second},
		{"a long timeout", torrent.Stats{Known: 1}, true, time.Hour, directTime},
	} {
		if got := directWait(&c.st, c.tracked, c.timeout); got != c.want {
			t.Errorf("%s: get waits for %v, want %v", c.what, got, c.want)
		}
	}
}

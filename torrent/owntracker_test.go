package torrent

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate/storage"
	"spate/tracker"
)

// urlAnnouncer counts the announces to each tracker by URL and event.
type urlAnnouncer struct {
	mu    sync.Mutex
	count map[string]int
}

func (u *urlAnnouncer) Announce(_ context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count[url+" "+req.Event.String()]++
	return &tracker.AnnounceResponse{Interval: time.Hour}, nil
}

// TestOtherTrackersAreAnnouncedToBesideOwn checks that a torrent is announced to the first other
// tracker too although the tracker of the process answers, that a private torrent is not, and that
// both are told when the torrent stops.
func TestOtherTrackersAreAnnouncedToBesideOwn(t *testing.T) {
	const own, udp, first, second = "http://own.example/announce", "udp://own.example/announce", "http://first.example/announce", "http://second.example/announce"
	tiers := [][]string{{own}, {udp}, {first}, {second}}
	for name, c := range map[string]struct {
		tiers            [][]string
		private, dormant bool
		want             []string
	}{
		"a torrent":             {tiers, false, false, []string{own, first}},
		"a dormant torrent":     {tiers, false, true, []string{own, first}},
		"a private torrent":     {tiers, true, false, []string{own}},
		"only own trackers":     {tiers[:2], false, false, []string{own}},
		"no tracker of its own": {tiers[2:], false, false, []string{first}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ann := &urlAnnouncer{count: map[string]int{}}
				w := newDormantWorld(t, Options{Announcer: ann, OwnTracker: func(url string) bool { return strings.Contains(url, "own") }})
				l, _ := noiseFile(t, 100_000)
				if c.private {
					l.mi = privateTorrent(t, l.mi)
				}
				l.mi.AnnounceList = c.tiers
				var err error
				if c.dormant {
					_, _, err = w.seed.AddDormant(l)
				} else {
					_, err = w.seed.Add(l.mi, AddOptions{Storage: storage.NewMemory(100_000), Verified: true})
				}
				if err != nil {
					t.Fatal(err)
				}
				want := map[string]int{}
				check := func() {
					t.Helper()
					ann.mu.Lock()
					defer ann.mu.Unlock()
					if !maps.Equal(ann.count, want) {
						t.Errorf("announces: %v, want %v", ann.count, want)
					}
				}
				time.Sleep(time.Minute)
				for _, url := range c.want {
					want[url+" started"] = 1
				}
				check()
				if err := w.seed.Remove(l.mi.Hash()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				for _, url := range c.want {
					want[url+" stopped"] = 1
				}
				check()
			})
		})
	}
}

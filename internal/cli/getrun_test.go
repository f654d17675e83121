package cli

import (
	"errors"
	"testing"
	"time"

	"spate/internal/daemon"
	"spate/metainfo"
	"spate/torrent"
)

// TestGetWaitsWhileSessionSearches checks that get gives up before its --timeout only if nobody can
// name a peer: neither a tracker nor the DHT or the local network.
func TestGetWaitsWhileSessionSearches(t *testing.T) {
	t.Parallel()
	fails := []torrent.TrackerStats{{Err: errors.New("no answer")}}
	for _, c := range []struct {
		what     string
		session  *daemon.Session
		private  bool
		trackers []torrent.TrackerStats
		ends     bool
	}{
		{what: "nobody to ask", session: &daemon.Session{}, ends: true},
		{what: "nobody but failing trackers", session: &daemon.Session{}, trackers: fails, ends: true},
		{what: "the DHT", session: &daemon.Session{DHT: true}},
		{what: "the local network", session: &daemon.Session{Local: true}},
		{what: "the DHT beside failing trackers", session: &daemon.Session{DHT: true}, trackers: fails},
		{what: "the DHT, but the torrent is private", session: &daemon.Session{DHT: true}, private: true, ends: true},
	} {
		mi := &metainfo.MetaInfo{Info: metainfo.Info{Name: "a", Private: c.private}}
		for range c.trackers {
			mi.AnnounceList = append(mi.AnnounceList, []string{"http://tracker.example/announce"})
		}
		now := time.Now()
		j := &getJob{Download: &daemon.Download{MetaInfo: mi}, active: now.Add(-time.Hour)}
		st := torrent.Stats{State: torrent.StateDownloading, Trackers: c.trackers}
		g := &getRun{opt: &getOptions{timeout: 2 * time.Hour}, session: c.session}
		if err := g.hopeless(j, &st, now); (err != nil) != c.ends {
			t.Errorf("%s: after an hour get returns %v", c.what, err)
		}
		j.active = now.Add(-2 * time.Hour)
		if err := g.hopeless(j, &st, now); err == nil {
			t.Errorf("%s: get goes on after --timeout", c.what)
		}
	}
}

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

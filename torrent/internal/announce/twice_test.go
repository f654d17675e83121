package announce

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/tracker"
)

// twiceClient records what announces to WebSocket trackers say about a second announce.
type twiceClient struct {
	down string // the URL of a tracker that does not answer

	mu    sync.Mutex
	twice []bool // of the announces to WebSocket trackers
}

func (c *twiceClient) Announce(_ context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	time.Sleep(time.Second) // the other swarms are announced meanwhile
	if url == c.down {
		return nil, errors.New("no answer")
	}
	return &tracker.AnnounceResponse{Interval: 10 * time.Minute}, nil
}

func (c *twiceClient) AnnounceSignals(_ context.Context, _ string, req *tracker.AnnounceRequest, _ tracker.Signals) (*tracker.AnnounceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.twice = append(c.twice, req.Twice)
	return &tracker.AnnounceResponse{Interval: 10 * time.Minute}, nil
}

// TestWebSocketTrackersLearnWhoCounts checks that an announce over a WebSocket says that the peer is
// counted already exactly if it is announced to the same site by requests too.
func TestWebSocketTrackersLearnWhoCounts(t *testing.T) {
	const ws, site, elsewhere = "wss://site.example/announce", "https://site.example:8443/announce", "udp://b.example:80"
	for name, c := range map[string]struct {
		tiers  [][]string
		own    bool
		polled bool // a search announces, not a torrent
		down   string
		want   []bool
	}{
		"no other tracker":               {nil, false, false, "", []bool{false, false}},
		"the tracker of the site":        {[][]string{{site}}, false, false, "", []bool{true, true}},
		"the site's is the second one":   {[][]string{{elsewhere}, {site}}, false, false, "", []bool{false, false}},
		"the first one does not answer":  {[][]string{{elsewhere}, {site}}, false, false, elsewhere, []bool{false, true}},
		"the site's does not answer":     {[][]string{{site}, {elsewhere}}, false, false, site, []bool{true, false}},
		"an origin":                      {[][]string{{elsewhere}}, true, false, "", []bool{true, true}},
		"a search that asks the site":    {[][]string{{site}}, false, true, "", []bool{true}},
		"a search that asks another one": {[][]string{{elsewhere}}, false, true, "", []bool{false}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := &twiceClient{down: c.down}
				s, end := process(t, client, "", 6881)
				s.opt.Signals = func(spate.InfoHash) tracker.Signals { return nil }
				defer end()
				if c.polled {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					var wg sync.WaitGroup
					wg.Go(func() { s.Poll(ctx, c.tiers[0][0], spate.InfoHash{1}, &fakeTorrent{}) })
					synctest.Wait()
					s.Poll(ctx, ws, spate.InfoHash{1}, &fakeTorrent{})
					wg.Wait()
				} else {
					f := &fakeTorrent{left: 1}
					others := []*Swarm{}
					if c.tiers != nil {
						others = swarmOf(f, c.tiers...)
					}
					browsers := swarmOf(f, []string{ws})
					browsers[0].SetBeside(c.own, others)
					swarms := slices.Concat(others, browsers)
					s.Start(swarms, 0, 0)
					time.Sleep(15 * time.Minute)
					s.Stop(others)
					defer s.Stop(browsers)
				}
				client.mu.Lock()
				defer client.mu.Unlock()
				if !slices.Equal(client.twice, c.want) {
					t.Errorf("the announces say %v, want %v", client.twice, c.want)
				}
			})
		})
	}
}

// TestEndIsCountedOnce checks that the announces over a WebSocket of a download that is complete and ends say
// that the peer is counted already, although the announces by requests have ended a moment before.
func TestEndIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &twiceClient{}
		s, end := process(t, client, "", 6881)
		s.opt.Signals = func(spate.InfoHash) tracker.Signals { return nil }
		defer end()
		f := &fakeTorrent{left: 1}
		others, browsers := swarmOf(f, []string{"https://site.example/announce"}), swarmOf(f, []string{"wss://site.example/announce"})
		browsers[0].SetBeside(false, others)
		s.Start(slices.Concat(others, browsers), 0, 0)
		time.Sleep(5 * time.Minute)
		f.progress(0, 1, 0)
		s.Completed(others)
		s.Stop(others)
		time.Sleep(5 * time.Second)
		s.Completed(browsers)
		time.Sleep(5 * time.Second)
		s.Stop(browsers)
		time.Sleep(5 * time.Second)
		client.mu.Lock()
		defer client.mu.Unlock()
		if want := []bool{true, true, true}; !slices.Equal(client.twice, want) {
			t.Errorf("the announces say %v, want %v", client.twice, want)
		}
	})
}

// TestSeedSaysThatItServesRanges checks that the announces of a seed say that it serves ranges, while
// it does, and those of a peer that downloads or stops do not.
func TestSeedSaysThatItServesRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := &fakeClient{}, &fakeTorrent{}
		var serves atomic.Bool
		serves.Store(true)
		s := run(t, c)
		w := newSwarm(f, 1)
		w.SetRanges(serves.Load)
		f.progress(0, 0, 50)
		s.Start([]*Swarm{w}, 0, 0)
		synctest.Wait()
		f.progress(0, 50, 0)
		s.Completed([]*Swarm{w})
		time.Sleep(90 * time.Minute)
		serves.Store(false)
		time.Sleep(time.Hour)
		serves.Store(true)
		s.Stop([]*Swarm{w})
		var got []bool
		for _, call := range c.take() {
			got = append(got, call.req.Ranges)
		}
		if want := []bool{false, true, true, false, false}; !slices.Equal(got, want) {
			t.Errorf("the announces say %v, want %v", got, want)
		}
	})
}

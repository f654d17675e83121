package announce

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/discovery"
	"spate/tracker"
)

const trackerURL = "http://tracker.example/announce"

// request is one announce that a fakeClient received.
type request struct {
	at  time.Time
	url string
	req tracker.AnnounceRequest
}

// fakeClient records announces and answers all of them in the same way. The zero value
// answers at once with an interval of an hour.
type fakeClient struct {
	took time.Duration // time that one announce takes

	mu      sync.Mutex
	err     error
	resp    tracker.AnnounceResponse
	all     []request
	found   []func(discovery.Candidate) // the found functions of the announces, if a fakeLateClient made them
	ongoing int
	most    int // most announces at one time
}

func (c *fakeClient) Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	c.mu.Lock()
	c.all = append(c.all, request{time.Now(), url, *req})
	c.ongoing++
	c.most = max(c.most, c.ongoing)
	c.mu.Unlock()
	var err error
	if c.took > 0 {
		select {
		case <-time.After(c.took):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ongoing--
	if err == nil {
		err = c.err
	}
	if err != nil {
		return nil, err
	}
	resp := c.resp
	if resp.Interval == 0 {
		resp.Interval = time.Hour
	}
	return &resp, nil
}

// set sets the error of the next announces.
func (c *fakeClient) set(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// take returns the announces since the last call.
func (c *fakeClient) take() []request {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.all
	c.all = nil
	return all
}

// takeEvents returns the events of the announces since the last call.
func (c *fakeClient) takeEvents() (events []tracker.Event) {
	for _, a := range c.take() {
		events = append(events, a.req.Event)
	}
	return events
}

// fakeLateClient can name peers after the answer.
type fakeLateClient struct{ fakeClient }

func (c *fakeLateClient) AnnounceLate(ctx context.Context, url string, req *tracker.AnnounceRequest, found func(discovery.Candidate)) (*tracker.AnnounceResponse, error) {
	c.mu.Lock()
	c.found = append(c.found, found)
	c.mu.Unlock()
	return c.Announce(ctx, url, req)
}

// name passes a peer to the found function of the n-th announce.
func (c *fakeLateClient) name(n int, addr string) {
	c.mu.Lock()
	found := c.found[n]
	c.mu.Unlock()
	found(discovery.Candidate{Addr: netip.MustParseAddrPort(addr)})
}

// fakeTorrent records the answers of trackers and the peers that they name.
type fakeTorrent struct {
	dormant, partial bool

	mu                         sync.Mutex
	uploaded, downloaded, left int64
	answers                    int
	found, failures            []string
}

func (f *fakeTorrent) Answered(*tracker.AnnounceResponse, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers++
}

func (f *fakeTorrent) Found(peer discovery.Candidate, url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found = append(f.found, peer.Addr.String()+" of "+url)
}

func (f *fakeTorrent) Progress() (uploaded, downloaded, left int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.uploaded, f.downloaded, f.left
}

func (f *fakeTorrent) Failed(url string, err error, _ time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures = append(f.failures, err.Error())
}

func (f *fakeTorrent) PartialSeed() bool { return f.partial }
func (f *fakeTorrent) Dormant() bool     { return f.dormant }
func (f *fakeTorrent) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }

// progress sets the results of Progress.
func (f *fakeTorrent) progress(uploaded, downloaded, left int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploaded, f.downloaded, f.left = uploaded, downloaded, left
}

func newSwarm(owner Torrent, n byte) *Swarm {
	return NewSwarm(owner, spate.InfoHash{n}, [][]string{{trackerURL}}, nil)
}

// run returns a scheduler that runs until the end of the test.
func run(t *testing.T, c Client) *Scheduler {
	t.Helper()
	var wg sync.WaitGroup
	s := NewScheduler(Options{
		Client: c, PeerID: spate.PeerID{1}, Port: func() uint16 { return 6881 }, MaxAnnounces: 5,
		Go: func(f func()) bool { wg.Go(f); return true },
	})
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return s
}

// TestEvents checks the events and the progress in the announces to a tracker.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := &fakeClient{}, &fakeTorrent{}
		s := run(t, c)
		w := []*Swarm{newSwarm(f, 1)}
		began := time.Now()
		f.progress(100, 200, 50)
		s.Start(w, 100, 200)
		synctest.Wait()
		f.progress(107, 240, 10)
		time.Sleep(90 * time.Minute)
		f.progress(120, 250, 0)
		s.Completed(w)
		synctest.Wait()
		time.Sleep(10 * time.Minute)
		s.Stop(w)
		s.Stop(w) // does nothing
		time.Sleep(3 * time.Hour)
		got := c.take()
		want := []struct {
			at                         time.Duration
			event                      tracker.Event
			uploaded, downloaded, left int64
			wanted                     int
		}{
			{0, tracker.EventStarted, 0, 0, 50, tracker.DefaultNumWant},
			{time.Hour, tracker.EventNone, 7, 40, 10, tracker.DefaultNumWant},
			{90 * time.Minute, tracker.EventCompleted, 20, 50, 0, tracker.DefaultNumWant},
			{100 * time.Minute, tracker.EventStopped, 20, 50, 0, 0},
		}
		if len(got) != len(want) {
			t.Fatalf("%d announces, want %d", len(got), len(want))
		}
		for i, g := range got {
			w := want[i]
			want := tracker.AnnounceRequest{
				InfoHash: spate.InfoHash{1}, PeerID: spate.PeerID{1}, Port: 6881, Key: got[0].req.Key,
				Event: w.event, Uploaded: w.uploaded, Downloaded: w.downloaded, Left: w.left, NumWant: w.wanted,
			}
			if g.at.Sub(began) != w.at || g.url != trackerURL || g.req != want {
				t.Errorf("announce %d after %v: %+v, want after %v: %+v", i, g.at.Sub(began), g.req, w.at, want)
			}
		}
		if f.answers != 3 {
			t.Errorf("the torrent received %d answers, want 3", f.answers)
		}
	})
}

// TestShortestInterval checks how often a swarm is announced at most, whatever the tracker
// asks for.
func TestShortestInterval(t *testing.T) {
	peers := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6881")}
	for name, c := range map[string]struct {
		resp tracker.AnnounceResponse
		err  error
		want time.Duration // time between two announces
	}{
		"a second, with peers":             {resp: tracker.AnnounceResponse{Interval: time.Second, Peers: peers}, want: time.Minute},
		"a second, without peers":          {resp: tracker.AnnounceResponse{Interval: time.Second}, want: 10 * time.Second},
		"a longer minimum":                 {resp: tracker.AnnounceResponse{Interval: time.Second, MinInterval: time.Hour}, want: time.Hour},
		"two minutes":                      {resp: tracker.AnnounceResponse{Interval: 2 * time.Minute, Peers: peers}, want: 2 * time.Minute},
		"a failure with a retry in 1 s":    {err: &tracker.FailureError{Reason: "busy", RetryIn: time.Second}, want: 10 * time.Second},
		"a negative interval is a default": {resp: tracker.AnnounceResponse{Interval: -time.Second, Peers: peers}, want: defaultInterval},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := &fakeClient{resp: c.resp, err: c.err}
				s := run(t, client)
				s.Start([]*Swarm{newSwarm(&fakeTorrent{left: 1}, 1)}, 0, 0)
				time.Sleep(10*c.want + c.want/2)
				if n := len(client.take()); n != 11 {
					t.Errorf("%d announces in ten times %v, want 11", n, c.want)
				}
			})
		})
	}
	t.Run("a failure after peers were named", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client := &fakeClient{resp: tracker.AnnounceResponse{Interval: time.Minute, Peers: peers}}
			s := run(t, client)
			s.Start([]*Swarm{newSwarm(&fakeTorrent{left: 1}, 1)}, 0, 0)
			synctest.Wait()
			client.set(&tracker.FailureError{Reason: "busy", RetryIn: time.Second})
			time.Sleep(10*time.Minute + time.Second)
			if n := len(client.take()); n != 11 {
				t.Errorf("%d announces in ten minutes, want 11", n)
			}
		})
	})
}

// TestRetry checks the pauses after failures, and that the event is announced again until
// the tracker has answered.
func TestRetry(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want []time.Duration // times between the announces
	}{
		"growing":          {errors.New("status 500"), []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second}},
		"the tracker's":    {&tracker.FailureError{Reason: "busy", RetryIn: 5 * time.Minute}, []time.Duration{5 * time.Minute, 5 * time.Minute}},
		"the tracker's no": {&tracker.FailureError{Reason: "no", Never: true}, []time.Duration{24 * time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := &fakeClient{err: c.err}
				s := run(t, client)
				at := time.Now()
				s.Start([]*Swarm{newSwarm(&fakeTorrent{}, 1)}, 0, 0)
				synctest.Wait()
				for _, d := range c.want {
					time.Sleep(d)
					synctest.Wait()
				}
				client.set(nil)
				got := client.take()
				if len(got) != len(c.want)+1 {
					t.Fatalf("%d announces, want %d", len(got), len(c.want)+1)
				}
				for i, g := range got {
					if g.at != at || g.req.Event != tracker.EventStarted {
						t.Errorf("announce %d: event %v, %v too late", i, g.req.Event, g.at.Sub(at))
					}
					if i < len(c.want) {
						at = at.Add(c.want[i])
					}
				}
			})
		})
	}
}

// TestHurryAndRepeat checks how soon a swarm is announced again.
func TestHurryAndRepeat(t *testing.T) {
	hurry := func(need Need, before time.Duration) func(*Scheduler, []*Swarm) {
		return func(s *Scheduler, swarms []*Swarm) {
			if before > 0 {
				need.Since = time.Now().Add(-before)
			}
			s.Hurry(swarms, need)
		}
	}
	for name, c := range map[string]struct {
		minInterval time.Duration
		call        func(*Scheduler, []*Swarm)
		during      bool          // the call comes during the first announce
		want        time.Duration // time from the first announce to the second
	}{
		"hurry without a minimum":       {0, hurry(Need{}, 0), false, time.Hour},
		"hurry with a short minimum":    {time.Second, hurry(Need{}, 0), false, time.Minute},
		"hurry with a minimum interval": {10 * time.Minute, hurry(Need{}, 0), false, 10 * time.Minute},
		"hurry during an announce":      {0, hurry(Need{}, 0), true, time.Hour},
		"hurry for long":                {time.Minute, hurry(Need{}, 40*time.Minute+time.Second), false, 10 * time.Minute},
		"hurry of a seed":               {5 * time.Minute, hurry(Need{Leechers: true}, 0), false, 5 * time.Minute},
		"hurry of a seed, no leechers":  {time.Second, hurry(Need{Leechers: true}, 0), false, time.Hour},
		"repeat":                        {10 * time.Minute, (*Scheduler).Repeat, false, 10 * time.Minute},
		"repeat during an announce":     {10 * time.Minute, (*Scheduler).Repeat, true, 10 * time.Minute},
		"neither":                       {0, func(*Scheduler, []*Swarm) {}, false, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := &fakeClient{took: time.Second, resp: tracker.AnnounceResponse{MinInterval: c.minInterval, Incomplete: 1}}
				if strings.Contains(name, "no leechers") {
					client.resp.Incomplete = 0
				}
				s := run(t, client)
				w := []*Swarm{newSwarm(&fakeTorrent{}, 1)}
				s.Start(w, 0, 0)
				began := time.Now()
				synctest.Wait()
				if !c.during {
					time.Sleep(2 * time.Second)
				}
				c.call(s, w)
				time.Sleep(70 * time.Minute)
				if got := client.take(); len(got) < 2 || got[1].at.Sub(began) != c.want+time.Second {
					t.Errorf("announced %d times, want the second after %v: %+v", len(got), c.want, got[1:])
				}
			})
		})
	}
}

// TestLateCandidates checks that peers that are named long after the answers go to the
// torrent that owns the swarm at that time, and to none before the start or after the stop.
func TestLateCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeLateClient{}
		s := run(t, c)
		first, second, other := &fakeTorrent{}, &fakeTorrent{}, &fakeTorrent{}
		w, v := []*Swarm{newSwarm(first, 1)}, []*Swarm{newSwarm(other, 2)}
		s.Start(w, 0, 0)
		time.Sleep(time.Minute)
		s.Start(v, 0, 0)
		time.Sleep(10 * time.Minute)
		c.name(0, "192.0.2.1:1")
		c.name(1, "192.0.2.2:2")
		s.SetOwner(w, second)
		c.name(0, "192.0.2.3:3")
		time.Sleep(49*time.Minute + time.Second)
		c.name(2, "192.0.2.4:4") // from the second announce of the swarm
		c.name(0, "192.0.2.5:5")
		s.Stop(w)
		c.name(0, "192.0.2.6:6")
		c.name(2, "192.0.2.7:7")
		for _, f := range []struct {
			*fakeTorrent
			want []string
		}{
			{first, []string{"192.0.2.1:1 of " + trackerURL}},
			{second, []string{"192.0.2.3:3 of " + trackerURL, "192.0.2.4:4 of " + trackerURL, "192.0.2.5:5 of " + trackerURL}},
			{other, []string{"192.0.2.2:2 of " + trackerURL}},
		} {
			if !slices.Equal(f.found, f.want) {
				t.Errorf("found %q, want %q", f.found, f.want)
			}
		}
	})
}

// TestStopDuringCompleted checks that a swarm that is stopped while its tracker has not yet
// answered "completed" announces "completed" again before "stopped".
func TestStopDuringCompleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeClient{took: time.Second}
		s := run(t, c)
		w := []*Swarm{newSwarm(&fakeTorrent{}, 1)}
		s.Start(w, 0, 0)
		time.Sleep(2 * time.Second)
		s.Completed(w)
		time.Sleep(time.Millisecond)
		s.Stop(w)
		want := []tracker.Event{tracker.EventStarted, tracker.EventCompleted, tracker.EventCompleted, tracker.EventStopped}
		if got := c.takeEvents(); !slices.Equal(got, want) {
			t.Errorf("announced %v, want %v", got, want)
		}
	})
}

// TestStopTimeout checks that Stop does not wait longer than its timeout for trackers.
func TestStopTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeClient{}
		s := run(t, c)
		var swarms []*Swarm
		for i := range 10 {
			swarms = append(swarms, newSwarm(&fakeTorrent{}, byte(i)))
		}
		s.Start(swarms, 0, 0)
		synctest.Wait()
		c.took = time.Hour
		began := time.Now()
		s.Stop(swarms)
		if d := time.Since(began); d != stopTimeout {
			t.Errorf("stopped after %v, want %v", d, stopTimeout)
		}
	})
}

// TestMaxAnnounces checks that no more than MaxAnnounces announces run at one time.
func TestMaxAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeClient{took: time.Second}
		s := run(t, c)
		for i := range 50 {
			s.Start([]*Swarm{newSwarm(&fakeTorrent{}, byte(i))}, 0, 0)
		}
		time.Sleep(10*time.Second + time.Millisecond)
		if n := len(c.take()); n != 50 || c.most != 5 {
			t.Errorf("%d announces in ten seconds, %d at one time", n, c.most)
		}
	})
}

// TestStatus checks the status after successful and failed announces, and that no status is
// kept for dormant torrents.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeClient{resp: tracker.AnnounceResponse{Complete: 3, Incomplete: 4, Warning: "slow down", Interval: 10 * time.Minute}}
		s := run(t, c)
		w, sleeping := newSwarm(&fakeTorrent{}, 1), newSwarm(&fakeTorrent{dormant: true}, 2)
		all := []*Swarm{w, sleeping}
		if s.Asked(all[:1]) || len(s.Status(all)) != 0 {
			t.Error("there is a status before the first announce")
		}
		began := time.Now()
		s.Start(all, 0, 0)
		synctest.Wait()
		want := Status{URL: trackerURL, LastAnnounce: began, NextAnnounce: began.Add(10 * time.Minute), Complete: 3, Incomplete: 4, Warning: "slow down"}
		if got := s.Status(all); len(got) != 1 || got[0] != want || !s.Asked(all[:1]) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		c.set(errRefusedConnection)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := s.Status(all); len(got) != 1 || !errors.Is(got[0].Err, errRefusedConnection) || got[0].URL != trackerURL {
			t.Errorf("after a failure: %+v", got)
		}
	})
}

// TestPoll checks how often a tracker is asked for peers of a swarm without metadata.
func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := &fakeLateClient{}, &fakeTorrent{}
		c.err, c.resp.MinInterval = errors.New("status 500"), time.Minute
		s := run(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { s.Poll(ctx, trackerURL, spate.InfoHash{9}, f) })
		time.Sleep(5 * time.Second)
		c.set(nil)
		time.Sleep(2 * time.Minute)
		c.name(1, "192.0.2.1:1")
		cancel()
		wg.Wait()
		c.name(1, "192.0.2.2:2")
		var at []time.Duration
		for i, g := range c.take() {
			at = append(at, g.at.Sub(began))
			event := tracker.EventNone
			if i < 2 { // the tracker knows this peer only after its first answer
				event = tracker.EventStarted
			}
			want := tracker.AnnounceRequest{InfoHash: spate.InfoHash{9}, PeerID: spate.PeerID{1}, Port: 6881, Left: tracker.Unknown, Event: event, NumWant: tracker.DefaultNumWant}
			if g.req != want {
				t.Errorf("announce %d: %+v, want %+v", i, g.req, want)
			}
		}
		if want := []time.Duration{0, 10 * time.Second, 70 * time.Second}; !slices.Equal(at, want) || f.answers != 2 {
			t.Errorf("announces after %v, want %v; %d answers", at, want, f.answers)
		}
		if want := []string{"192.0.2.1:1 of " + trackerURL}; !slices.Equal(f.found, want) {
			t.Errorf("found %q, want %q", f.found, want)
		}
	})
}

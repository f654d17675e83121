package announce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/discovery"
	"spate/tracker"
)

const backupURL = "udp://backup.example:6969"

var somePeer = netip.MustParseAddrPort("192.0.2.1:6881")

// answersByURL is a client with an answer for each tracker. It records the announces.
type answersByURL struct {
	mu    sync.Mutex
	resp  map[string]tracker.AnnounceResponse
	errs  map[string]error
	mute  string // the URL of a tracker that never answers
	late  []func(discovery.Candidate)
	calls []call
}

// call is one announce, with the time since the start of the test.
type call struct {
	at    time.Duration
	url   string
	event tracker.Event
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // the start of each test in a bubble

func (c *answersByURL) Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call{time.Since(epoch), url, req.Event})
	if url == c.mute {
		c.mu.Unlock()
		<-ctx.Done()
		c.mu.Lock()
		return nil, ctx.Err()
	}
	if err := c.errs[url]; err != nil {
		return nil, err
	}
	r := c.resp[url]
	return &r, nil
}

func (c *answersByURL) AnnounceLate(ctx context.Context, url string, req *tracker.AnnounceRequest, found func(discovery.Candidate)) (*tracker.AnnounceResponse, error) {
	c.mu.Lock()
	c.late = append(c.late, found)
	c.mu.Unlock()
	return c.Announce(ctx, url, req)
}

func (c *answersByURL) take() []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.calls
	c.calls = nil
	return all
}

// process runs a scheduler with a record until it is ended, as one run of a program does.
func process(t *testing.T, c Client, record string, port uint16) (s *Scheduler, end func()) {
	t.Helper()
	var wg sync.WaitGroup
	s = NewScheduler(Options{
		Client: c, PeerID: spate.PeerID{1}, Port: func() uint16 { return port }, MaxAnnounces: 5, Record: record,
		Go: func(f func()) bool { wg.Go(f); return true }, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { s.Run(ctx) })
	return s, func() { cancel(); wg.Wait() }
}

func swarmOf(owner Torrent, tiers ...[]string) []*Swarm {
	return []*Swarm{NewSwarm(owner, spate.InfoHash{1}, tiers, nil)}
}

// TestPaceOfEachTracker checks that a swarm goes on to the next tracker at once, and comes back
// to the first one only when that tracker may be asked again.
func TestPaceOfEachTracker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &answersByURL{
			errs: map[string]error{trackerURL: &tracker.FailureError{Reason: "busy", RetryIn: 3 * time.Minute}},
			resp: map[string]tracker.AnnounceResponse{backupURL: {Interval: time.Second, Peers: []netip.AddrPort{somePeer}}},
		}
		s, end := process(t, c, "", 6881)
		defer end()
		s.Start(swarmOf(&fakeTorrent{left: 1}, []string{trackerURL}, []string{backupURL}), 0, 0)
		time.Sleep(3*time.Minute + 30*time.Second)
		want := []call{
			{0, trackerURL, tracker.EventStarted}, {0, backupURL, tracker.EventStarted},
			{1 * time.Minute, backupURL, tracker.EventNone}, {2 * time.Minute, backupURL, tracker.EventNone},
			{3 * time.Minute, trackerURL, tracker.EventStarted}, {3 * time.Minute, backupURL, tracker.EventNone},
		}
		if got := c.take(); !slices.Equal(got, want) {
			t.Errorf("announced %v, want %v", got, want)
		}
	})
}

// TestSilentTracker checks that a tracker which never answers does not keep the next one from
// being asked.
func TestSilentTracker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &answersByURL{mute: trackerURL, resp: map[string]tracker.AnnounceResponse{backupURL: {Interval: time.Hour}}}
		s, end := process(t, c, "", 6881)
		defer end()
		s.Start(swarmOf(&fakeTorrent{left: 1}, []string{trackerURL}, []string{backupURL}), 0, 0)
		time.Sleep(2 * timeout)
		want := []call{{0, trackerURL, tracker.EventStarted}, {timeout, backupURL, tracker.EventStarted}}
		if got := c.take(); !slices.Equal(got, want) {
			t.Errorf("announced %v, want %v", got, want)
		}
	})
}

// TestAddedAgain checks that a torrent that is removed and added again and again is announced no
// more often than the tracker allows.
func TestAddedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &answersByURL{resp: map[string]tracker.AnnounceResponse{trackerURL: {Interval: time.Hour, Peers: []netip.AddrPort{somePeer}}}}
		s, end := process(t, c, "", 6881)
		defer end()
		for range 150 { // for five minutes
			w := swarmOf(&fakeTorrent{left: 1}, []string{trackerURL})
			s.Start(w, 0, 0)
			time.Sleep(time.Second)
			s.Stop(w)
			time.Sleep(time.Second)
		}
		var started []time.Duration
		for _, a := range c.take() {
			if a.event == tracker.EventStarted {
				started = append(started, a.at)
			}
		}
		if len(started) < 4 || len(started) > 5 {
			t.Errorf("started at %v, want about once a minute", started)
		}
	})
}

// TestStartAgain checks when a swarm is announced that another process has announced ten seconds
// ago, and with which peers its owner starts.
func TestStartAgain(t *testing.T) {
	peers := []netip.AddrPort{somePeer, netip.MustParseAddrPort("[2001:db8::1]:6882")}
	answer := func(interval, least time.Duration, peers ...netip.AddrPort) tracker.AnnounceResponse {
		return tracker.AnnounceResponse{Interval: interval, MinInterval: least, Peers: peers}
	}
	refusal := func(in time.Duration, never bool) error {
		return &tracker.FailureError{Reason: "no", RetryIn: in, Never: never}
	}
	const before = 10 * time.Second // time between the two processes
	for name, c := range map[string]struct {
		resp   tracker.AnnounceResponse
		err    error
		stops  bool          // the first process announces "stopped"; otherwise it is killed
		port   uint16        // port of the second process; 0: the same
		url    string        // tracker of the second process; empty: the same
		dead   bool          // the torrent is dormant
		change func(*entry)  // changes the record between the processes
		want   time.Duration // time of the first announce of the second process since that of the first
		found  int           // peers that the owner gets at once
	}{
		"killed, with peers":                  {resp: answer(time.Hour, 0, peers...), want: time.Minute, found: 2},
		"stopped, with peers":                 {resp: answer(time.Hour, 0, peers...), stops: true, want: time.Minute, found: 2},
		"stopped, without peers":              {resp: answer(time.Hour, 0), stops: true, want: before},
		"killed, with a minimum":              {resp: answer(time.Hour, 5*time.Minute, peers...), want: 5 * time.Minute, found: 2},
		"killed, with a longer minimum":       {resp: answer(time.Minute, 5*time.Minute), want: 5 * time.Minute},
		"killed, with an endless minimum":     {resp: answer(time.Hour, 20*time.Hour), want: time.Hour},
		"stopped, with a minimum":             {resp: answer(time.Hour, 5*time.Minute, peers...), stops: true, want: time.Minute, found: 2},
		"another port":                        {resp: answer(time.Hour, 5*time.Minute, peers...), port: 7000, want: time.Minute, found: 2},
		"another tracker":                     {resp: answer(time.Hour, 5*time.Minute, peers...), url: backupURL, want: before},
		"a dormant torrent":                   {resp: answer(time.Hour, 5*time.Minute, peers...), dead: true, want: 5 * time.Minute},
		"refused":                             {err: refusal(0, false), want: before},
		"refused, with a time":                {err: refusal(30*time.Second, false), want: 30 * time.Second},
		"refused, for longer":                 {err: refusal(30*time.Minute, false), want: time.Minute},
		"refused for good":                    {err: refusal(0, true), want: time.Minute},
		"refused with an interval":            {err: &tracker.FailureError{Reason: "no", Interval: 40 * time.Second}, want: 40 * time.Second},
		"down":                                {err: errRefusedConnection, want: before},
		"the clock was put back":              {resp: answer(time.Hour, 0, peers...), change: func(e *entry) { e.Last += time.Hour.Milliseconds() }, want: before},
		"the clock was put forward":           {resp: answer(time.Hour, 0, peers...), change: func(e *entry) { e.Last -= time.Hour.Milliseconds() }, want: before},
		"a wait of years in the record":       {resp: answer(time.Hour, 0, peers...), change: func(e *entry) { e.Wait = 1 << 60 }, want: before},
		"a negative wait in the record":       {resp: answer(time.Hour, 0, peers...), change: func(e *entry) { e.Wait = -1 }, want: before},
		"another info-hash in the record":     {resp: answer(time.Hour, 0, peers...), change: func(e *entry) { e.InfoHash = spate.InfoHash{2}.String() }, want: before},
		"a malformed info-hash in the record": {resp: answer(time.Hour, 0, peers...), change: func(e *entry) { e.InfoHash = "x" }, want: before},
		"too many peers in the record":        {resp: answer(time.Hour, 0, peers...), change: func(e *entry) { e.Peers = make([]netip.AddrPort, 1000) }, want: before},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "announces.json")
			synctest.Test(t, func(t *testing.T) {
				client := &answersByURL{resp: map[string]tracker.AnnounceResponse{trackerURL: c.resp}, errs: map[string]error{trackerURL: c.err}}
				s, end := process(t, client, path, 6881)
				w := swarmOf(&fakeTorrent{left: 1, dormant: c.dead}, []string{trackerURL})
				s.Start(w, 0, 0)
				synctest.Wait()
				time.Sleep(2 * saveEvery)
				if c.stops {
					s.Stop(w)
					s.SaveRecord()
				}
				end()
				if c.change != nil {
					changeRecord(t, path, c.change)
				}
				client.take()
				time.Sleep(before - time.Since(epoch))

				port, url := uint16(6881), trackerURL
				if c.port != 0 {
					port = c.port
				}
				if c.url != "" {
					url = c.url
				}
				s, end = process(t, client, path, port)
				defer end()
				f := &fakeTorrent{left: 1, dormant: c.dead}
				s.Start(swarmOf(f, []string{url}), 0, 0)
				if len(f.found) != c.found {
					t.Errorf("the torrent starts with %d peers, want %d", len(f.found), c.found)
				}
				if c.want > before {
					time.Sleep(c.want - time.Since(epoch) - time.Millisecond)
					if got := client.take(); len(got) > 0 {
						t.Errorf("announced %v, want no announce before %v", got, c.want)
					}
				}
				time.Sleep(2 * time.Millisecond)
				if got := client.take(); len(got) != 1 || got[0].event != tracker.EventStarted {
					t.Errorf("announced %v at %v, want \"started\"", got, c.want)
				}
			})
		})
	}
}

// changeRecord applies change to the only entry of a record.
func changeRecord(t *testing.T, path string, change func(*entry)) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []entry
	if err := json.Unmarshal(b, &all); err != nil || len(all) != 1 {
		t.Fatalf("%s: %v", b, err)
	}
	change(&all[0])
	if b, err = json.Marshal(all); err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestBadRecord checks that a record which cannot be read delays nothing and is replaced.
func TestBadRecord(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "no JSON": "x", "an object": "{}", "null": "null", "entries of another type": `[1, "x"]`, "cut": `[{"info_hash":"01`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "announces.json")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				c := &answersByURL{resp: map[string]tracker.AnnounceResponse{trackerURL: {Interval: time.Hour}}}
				s, end := process(t, c, path, 6881)
				s.Start(swarmOf(&fakeTorrent{}, []string{trackerURL}), 0, 0)
				synctest.Wait()
				end()
				if got := c.take(); len(got) != 1 || got[0].at != 0 {
					t.Errorf("announced %v", got)
				}
				s.SaveRecord()
				if got := s.loadEntries(); len(got) != 1 {
					t.Errorf("the record has %d entries, want 1", len(got))
				}
			})
		})
	}
}

// TestProcessesShareRecord checks that a process keeps the entries of others in the record, and
// drops those that do not matter any more.
func TestProcessesShareRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "announces.json")
	synctest.Test(t, func(t *testing.T) {
		c := &answersByURL{resp: map[string]tracker.AnnounceResponse{trackerURL: {Interval: time.Hour, Peers: []netip.AddrPort{somePeer}}}}
		hashes := func(s *Scheduler) (all []string) {
			for _, e := range s.loadEntries() {
				all = append(all, e.InfoHash[:2])
			}
			slices.Sort(all)
			return all
		}
		first, endFirst := process(t, c, path, 6881)
		second, endSecond := process(t, c, path, 6882)
		first.Start([]*Swarm{newSwarm(&fakeTorrent{}, 0x11)}, 0, 0)
		time.Sleep(time.Second)
		second.Start([]*Swarm{newSwarm(&fakeTorrent{}, 0x22)}, 0, 0)
		time.Sleep(time.Second)
		endFirst()
		if got := hashes(first); !slices.Equal(got, []string{"11", "22"}) {
			t.Errorf("the record has entries of %v", got)
		}
		time.Sleep(2 * time.Minute)
		second.Start([]*Swarm{newSwarm(&fakeTorrent{}, 0x33)}, 0, 0)
		time.Sleep(time.Second)
		endSecond()
		if got := hashes(first); !slices.Equal(got, []string{"33"}) {
			t.Errorf("two minutes later the record has entries of %v", got)
		}
	})
}

// TestRecordIsBounded checks the number of entries and of peers in the record.
func TestRecordIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "announces.json")
	s := NewScheduler(Options{MaxAnnounces: 1, Record: path, Log: slog.New(slog.DiscardHandler), Port: func() uint16 { return 1 }})
	now := time.Now()
	for i := range maxEntries + 100 {
		p := &pace{url: fmt.Sprint("http://tracker.example/", i), last: now, restart: time.Hour, kept: &lastAnswer{peers: make([]netip.AddrPort, maxKeptPeers)}}
		s.past.keep(spate.InfoHash{1}, p, now)
	}
	s.SaveRecord()
	withPeers := 0
	all := s.loadEntries()
	for _, e := range all {
		if len(e.Peers) > 0 {
			withPeers++
		}
	}
	if len(all) != maxEntries || withPeers != maxWithPeers {
		t.Errorf("%d entries, %d with peers", len(all), withPeers)
	}
	for i := range maxPast + 100 {
		s.past.keep(spate.InfoHash{2}, &pace{url: fmt.Sprint(i), last: now, restart: time.Hour}, now)
	}
	if n := len(s.past.by); n > maxPast {
		t.Errorf("%d paces in memory", n)
	}
	s.past.prune(now.Add(2 * time.Hour))
	if len(s.past.by) > 0 {
		t.Errorf("%d paces are kept that do not matter any more", len(s.past.by))
	}
}

// TestCompletedAndStoppedAtOnce checks that "completed" and "stopped" do not wait until the
// tracker may be asked again, but that a "completed" that failed does.
func TestCompletedAndStoppedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &answersByURL{
			resp: map[string]tracker.AnnounceResponse{trackerURL: {Interval: time.Hour, MinInterval: time.Hour, Peers: []netip.AddrPort{somePeer}}},
			errs: map[string]error{},
		}
		s, end := process(t, c, "", 6881)
		defer end()
		w := swarmOf(&fakeTorrent{}, []string{trackerURL})
		s.Start(w, 0, 0)
		time.Sleep(time.Second)
		c.mu.Lock()
		c.errs[trackerURL] = errors.New("status 500")
		c.mu.Unlock()
		s.Completed(w)
		time.Sleep(time.Second)
		c.mu.Lock()
		c.errs[trackerURL] = nil
		c.mu.Unlock()
		time.Sleep(98 * time.Second)
		s.Stop(w)
		s.Start(w, 0, 0) // has to wait
		time.Sleep(time.Second)
		s.Completed(w)
		time.Sleep(time.Second)
		want := []call{
			{0, trackerURL, tracker.EventStarted}, {time.Second, trackerURL, tracker.EventCompleted}, {61 * time.Second, trackerURL, tracker.EventCompleted},
			{100 * time.Second, trackerURL, tracker.EventStopped}, {101 * time.Second, trackerURL, tracker.EventCompleted},
		}
		if got := c.take(); !slices.Equal(got, want) {
			t.Errorf("announced %v, want %v", got, want)
		}
	})
}

// webSockets is an answersByURL that announces to WebSocket trackers only with signals.
type webSockets struct{ answersByURL }

func (c *webSockets) Announce(_ context.Context, url string, _ *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	return nil, errors.New("announced without signals: " + url)
}

func (c *webSockets) AnnounceSignals(ctx context.Context, url string, req *tracker.AnnounceRequest, _ tracker.Signals) (*tracker.AnnounceResponse, error) {
	return c.answersByURL.Announce(ctx, url, req)
}

// TestLeaveTellsWebSocketTrackers checks that a search says "stopped" to a WebSocket tracker.
func TestLeaveTellsWebSocketTrackers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url = "ws://a.example/announce"
		c := &webSockets{answersByURL{resp: map[string]tracker.AnnounceResponse{url: {Interval: time.Hour}}}}
		s, end := process(t, c, "", 6881)
		s.opt.Signals = func(spate.InfoHash) tracker.Signals { return nil }
		defer end()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.Poll(ctx, url, spate.InfoHash{1}, &fakeTorrent{})
		s.Leave()
		want := []call{{0, url, tracker.EventStarted}, {time.Second, url, tracker.EventStopped}}
		if got := c.take(); !slices.Equal(got, want) {
			t.Errorf("announced %v, want %v", got, want)
		}
	})
}

// TestTorrentAfterSearch checks that a torrent whose metadata was searched for takes over: the
// tracker is not asked again at once, the torrent gets the peers of the search, also those that
// the tracker names later, and it announces "stopped". If no torrent follows, Leave does.
func TestTorrentAfterSearch(t *testing.T) {
	for _, follows := range []bool{true, false} {
		t.Run(fmt.Sprint(follows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &answersByURL{resp: map[string]tracker.AnnounceResponse{trackerURL: {Interval: time.Hour, Peers: []netip.AddrPort{somePeer}}}}
				s, end := process(t, c, "", 6881)
				defer end()
				ctx, cancel := context.WithCancel(t.Context())
				search, f := &fakeTorrent{}, &fakeTorrent{left: 1}
				var wg sync.WaitGroup
				wg.Go(func() { s.Poll(ctx, trackerURL, spate.InfoHash{1}, search) })
				time.Sleep(time.Second)
				cancel()
				wg.Wait()
				w := swarmOf(f, []string{trackerURL})
				if follows {
					s.Start(w, 0, 0)
				}
				c.late[0](discovery.Candidate{Addr: netip.MustParseAddrPort("192.0.2.2:2")})
				time.Sleep(time.Second)
				s.Stop(w)
				s.Leave()
				s.Leave() // does nothing
				want := []call{{0, trackerURL, tracker.EventStarted}, {2 * time.Second, trackerURL, tracker.EventStopped}}
				if got := c.take(); !slices.Equal(got, want) {
					t.Errorf("announced %v, want %v", got, want)
				}
				if n := len(f.found); n != map[bool]int{true: 2}[follows] {
					t.Errorf("the torrent got the peers %v", f.found)
				}
			})
		})
	}
}

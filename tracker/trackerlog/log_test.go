package trackerlog

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/tracker"
)

// observation returns an announce of a peer on a day in May, changed by set.
func observation(day int, peer byte, event tracker.Event, set func(o *tracker.Observation)) *tracker.Observation {
	o := &tracker.Observation{
		Time: time.Date(2026, 5, day, 12, 0, 0, 0, time.UTC), Transport: tracker.UDP,
		Request: &tracker.AnnounceRequest{InfoHash: spate.InfoHash{1}, Event: event, Left: 10},
		Peer:    netip.MustParseAddrPort("203.0.113.77:6881"), User: "ann", Name: "a.iso",
	}
	copy(o.Request.PeerID[:], "-TR4050-")
	o.Request.PeerID[19] = peer
	if set != nil {
		set(o)
	}
	return o
}

// logged writes a log of observations and returns the content of its file.
func logged(t *testing.T, o Options, list ...*tracker.Observation) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "activity.log")
	l, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, x := range list {
		l.Observe(x)
	}
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEntries checks which announces are logged, and the fields of their entries.
func TestEntries(t *testing.T) {
	out := logged(t, Options{},
		observation(1, 1, tracker.EventStarted, func(o *tracker.Observation) { o.New = true }),
		observation(1, 1, tracker.EventNone, nil),
		observation(1, 1, tracker.EventCompleted, func(o *tracker.Observation) { o.Counted, o.Request.Downloaded, o.Request.Left = true, 99, 0 }),
		observation(1, 1, tracker.EventStopped, func(o *tracker.Observation) { o.Removed = true }),
		observation(1, 2, tracker.EventStarted, func(o *tracker.Observation) { o.Refused = true }),
	)
	var events []string
	peers := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var a Entry
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		events = append(events, a.Event)
		peers[a.Peer] = true
		if a.Addr != "203.0.113.0" || a.Name != "a.iso" || a.Client != "Transmission 4.0.5" || a.User != "ann" || a.Via != "udp" || a.InfoHash != (spate.InfoHash{1}).String() {
			t.Errorf("%+v", a)
		}
	}
	if got := strings.Join(events, " "); got != "started completed stopped" || len(peers) != 1 {
		t.Errorf("%s, peers %v", got, peers)
	}
}

// TestPrivacy checks how much of an address is logged.
func TestPrivacy(t *testing.T) {
	six := func(o *tracker.Observation) {
		o.New, o.Peer = true, netip.MustParseAddrPort("[2001:db8:1:2:3::4]:6881")
	}
	for _, c := range []struct {
		p          string
		four, sixs string
		user       bool
	}{{"full", "203.0.113.77", "2001:db8:1:2:3::4", true}, {"network", "203.0.113.0", "2001:db8:1::", true}, {"none", "", "", false}} {
		p, err := ParsePrivacy(c.p)
		if err != nil {
			t.Fatal(err)
		}
		out := logged(t, Options{Privacy: p}, observation(1, 1, tracker.EventStarted, nil), observation(1, 1, tracker.EventStarted, six))
		for i, want := range []string{c.four, c.sixs} {
			var a Entry
			if err := json.Unmarshal([]byte(strings.Split(out, "\n")[i]), &a); err != nil || a.Addr != want || (a.User != "") != c.user {
				t.Errorf("%s: %v %+v", c.p, err, a)
			}
		}
		if strings.Contains(out, "6881") {
			t.Errorf("%s: the port is logged", c.p)
		}
	}
	if _, err := ParsePrivacy("some"); err == nil {
		t.Error("ParsePrivacy accepts an unknown value")
	}
}

// TestRotation checks that a full file is renamed, that an incomplete line is ended, and
// that Reopen creates a new file.
func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "activity.log")
	if err := os.WriteFile(path, []byte(`{"time":"2026-`), 0o600); err != nil { // a crash has left an incomplete line
		t.Fatal(err)
	}
	l, err := Open(path, Options{MaxSize: 1200, Keep: 3})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 20 {
		l.Observe(observation(1+i, byte(i), tracker.EventStarted, nil))
	}
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	files := Files(path)
	if len(files) != 4 || files[0] != path+".3" || files[3] != path {
		t.Fatalf("%v", files)
	}
	p := NewReporter()
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil || st.Size() > 1200 {
			t.Errorf("%s: %v, %d bytes", f, err, st.Size())
		}
		if err := p.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	r := p.Report()
	if r.All.Started < 8 || r.All.Started > 20 || r.To.Day() != 20 || len(r.Days) != int(r.All.Started) {
		t.Errorf("%+v", r.All)
	}
	// Another program renames the file.
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Observe(observation(1, 1, tracker.EventStarted, nil))
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Size() == 0 {
		t.Errorf("the new file is empty: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestObserveNeverWaits checks that entries are dropped and counted when Run does not
// write them.
func TestObserveNeverWaits(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "a.log"), Options{Queue: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 5 {
		l.Observe(observation(1, 1, tracker.EventStarted, nil))
	}
	if dropped, _ := l.Lost(); dropped != 2 {
		t.Errorf("%d dropped", dropped)
	}
}

// TestObserveReusesMemory checks that entries are written into buffers that are reused.
func TestObserveReusesMemory(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "a.log"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := observation(1, 1, tracker.EventStarted, nil)
	round := func() {
		for range 1000 { // several buffers
			l.Observe(o)
		}
		l.flush()
	}
	if n := testing.AllocsPerRun(20, round); n > 1 {
		t.Errorf("%v allocations in 1000 entries", n)
	}
	if dropped, failed := l.Lost(); dropped+failed > 0 {
		t.Errorf("%d dropped, %d failed", dropped, failed)
	}
}

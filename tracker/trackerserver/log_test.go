package trackerserver

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/tracker"
)

// activity is an observation for a log.
func activity(day int, peer byte, event tracker.Event, set func(o *Observation)) *Observation {
	o := &Observation{
		Time: time.Date(2026, 5, day, 12, 0, 0, 0, time.UTC), Transport: UDP,
		Request: &tracker.AnnounceRequest{InfoHash: spate.InfoHash{1}, Event: event, Left: 10},
		Peer:    netip.MustParseAddrPort("203.0.113.77:6881"), User: "ann", Note: &Note{Name: "a.iso"},
	}
	copy(o.Request.PeerID[:], "-TR4050-")
	o.Request.PeerID[19] = peer
	if set != nil {
		set(o)
	}
	return o
}

// logged runs a log over observations and returns its lines.
func logged(t *testing.T, o ActivityOptions, list ...*Observation) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "activity.log")
	l, err := OpenActivityLog(path, o)
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

func TestActivityLog(t *testing.T) {
	out := logged(t, ActivityOptions{},
		activity(1, 1, tracker.EventStarted, func(o *Observation) { o.New = true }),
		activity(1, 1, tracker.EventNone, nil),
		activity(1, 1, tracker.EventCompleted, func(o *Observation) { o.Counted, o.Request.Downloaded, o.Request.Left = true, 99, 0 }),
		activity(1, 1, tracker.EventStopped, func(o *Observation) { o.Removed = true }),
		activity(1, 2, tracker.EventStarted, func(o *Observation) { o.Refused = refuseUnknown }),
	)
	var events []string
	peers := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var a Activity
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

func TestActivityPrivacy(t *testing.T) {
	six := func(o *Observation) { o.New, o.Peer = true, netip.MustParseAddrPort("[2001:db8:1:2:3::4]:6881") }
	for _, c := range []struct {
		p          string
		four, sixs string
		user       bool
	}{{"full", "203.0.113.77", "2001:db8:1:2:3::4", true}, {"network", "203.0.113.0", "2001:db8:1::", true}, {"none", "", "", false}} {
		p, err := ParsePrivacy(c.p)
		if err != nil {
			t.Fatal(err)
		}
		out := logged(t, ActivityOptions{Privacy: p}, activity(1, 1, tracker.EventStarted, nil), activity(1, 1, tracker.EventStarted, six))
		for i, want := range []string{c.four, c.sixs} {
			var a Activity
			if err := json.Unmarshal([]byte(strings.Split(out, "\n")[i]), &a); err != nil || a.Addr != want || (a.User != "") != c.user {
				t.Errorf("%s: %v %+v", c.p, err, a)
			}
		}
		if strings.Contains(out, "6881") {
			t.Errorf("%s: the port is logged", c.p)
		}
	}
	if _, err := ParsePrivacy("some"); err == nil {
		t.Error("a privacy that is not known is taken")
	}
}

func TestActivityRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "activity.log")
	if err := os.WriteFile(path, []byte(`{"time":"2026-`), 0o600); err != nil { // torn by a crash
		t.Fatal(err)
	}
	l, err := OpenActivityLog(path, ActivityOptions{MaxSize: 1200, Keep: 3})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 20 {
		l.Observe(activity(1+i, byte(i), tracker.EventStarted, nil))
	}
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	files := ActivityFiles(path)
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
	// Somebody else moves the file away.
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Observe(activity(1, 1, tracker.EventStarted, nil))
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Size() == 0 {
		t.Errorf("nothing in the new file: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestActivityNeverWaits: with nobody to write, entries are lost and counted, in
// the metrics too.
func TestActivityNeverWaits(t *testing.T) {
	l, err := OpenActivityLog(filepath.Join(t.TempDir(), "a.log"), ActivityOptions{Queue: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 5 {
		l.Observe(activity(1, 1, tracker.EventStarted, nil))
	}
	if dropped, _ := l.Lost(); dropped != 2 {
		t.Errorf("%d dropped", dropped)
	}
	body := newTold(t, StatsOptions{Log: l}).get("/metrics").Body.String()
	for _, want := range []string{`spate_tracker_log_lost_total{reason="slow"} 2`, `spate_tracker_log_lost_total{reason="failed"} 0`} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

const sampleLog = `{"time":"2026-05-01T10:00:00Z","event":"started","info_hash":"aa","name":"a.iso","peer":"p1","client":"Transmission 4.0","via":"udp"}
not an entry
{"time":"2026-05-01T11:00:00Z","event":"completed","info_hash":"aa","name":"a.iso","peer":"p1","client":"Transmission 4.0","uploaded":10,"downloaded":100}
{"time":"2026-05-02T11:00:00Z","event":"stopped","info_hash":"aa","peer":"p1","client":"Transmission 4.0","uploaded":500,"downloaded":100}
{"time":"2026-05-02T12:00:00Z","event":"started","info_hash":"bb","name":"=cmd()\u001b[31m\u202e","peer":"p2","client":"aria2 1.36"}
{"time":"2026-05-02T12:30:00Z","event":"stopped","info_hash":"bb","peer":"p2","client":"aria2 1.36","uploaded":-5,"downloaded":9000000000000000000}
{"time":"2026-05-02T12:30:00Z","event":"danced","info_hash":"bb"}
{"time":"2026-05-02T13:00:00Z","event":"started","info_hash":"bb","peer":"p3","client":"Transmission 3.00"}
{"time":"2026-05-0`

func sampleReport(t *testing.T) *ActivityReport {
	t.Helper()
	p := NewReporter()
	if err := p.Read(strings.NewReader(sampleLog)); err != nil {
		t.Fatal(err)
	}
	return p.Report()
}

func TestActivityReport(t *testing.T) {
	r := sampleReport(t)
	all := ActivitySums{Started: 3, Completed: 1, Stopped: 2, Uploaded: 500, Downloaded: 100}
	if r.All != all || r.Skipped != 3 || r.From.Hour() != 10 || r.To.Hour() != 13 {
		t.Errorf("%+v", r)
	}
	if len(r.Torrents) != 2 || r.Torrents[0].Key != "aa" || r.Torrents[0].Uploaded != 500 || r.Torrents[1].Started != 2 {
		t.Errorf("torrents: %+v", r.Torrents)
	}
	if len(r.Days) != 2 || r.Days[0].Key != "2026-05-01" || r.Days[0].Uploaded != 10 || r.Days[1].Uploaded != 490 {
		t.Errorf("days: %+v", r.Days)
	}
	if len(r.Clients) != 2 || r.Clients[0].Key != "Transmission" || r.Clients[0].Started != 2 {
		t.Errorf("clients: %+v", r.Clients)
	}
}

func TestActivityReportForms(t *testing.T) {
	r := sampleReport(t)
	var b bytes.Buffer
	if err := r.WriteText(&b, 1); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"2026-05-01 10:00 to 2026-05-02 13:00 UTC", "3 started, 1 completed, 2 stopped; 100 B downloaded, 500 B uploaded", "a.iso (aa)", "and 1 more", "3 lines were no entries"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	b.Reset()
	if err := r.WriteText(&b, 0); err != nil || strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("%v, control characters in\n%q", err, b.String())
	}
	b.Reset()
	if err := r.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 1+1+2+2+2 || fmt.Sprint(rows[1]) != "[all   3 1 2 500 100]" || !strings.HasPrefix(rows[3][2], "'=cmd") {
		t.Errorf("%v %q", err, rows)
	}
	b.Reset()
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back ActivityReport
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.All != r.All || len(back.Days) != 2 {
		t.Errorf("%v %+v", err, back)
	}
	b.Reset()
	if err := NewReporter().Report().WriteText(&b, 0); err != nil || b.String() != "The log has no entries.\n" {
		t.Errorf("%v %q", err, b.String())
	}
}

// TestReportOfLongLines: a line of any length is one line.
func TestReportOfLongLines(t *testing.T) {
	p := NewReporter()
	log := strings.Repeat("x", 5<<20) + "\n" + strings.Split(sampleLog, "\n")[0] + "\n"
	if err := p.Read(strings.NewReader(log)); err != nil {
		t.Fatal(err)
	}
	if r := p.Report(); r.Skipped != 1 || r.All.Started != 1 {
		t.Errorf("%+v", r)
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(sampleLog))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := NewReporter()
		if err := p.Read(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		r := p.Report()
		if r.All.Uploaded < 0 || r.All.Downloaded < 0 {
			t.Fatalf("%+v", r.All)
		}
		if err := r.WriteText(&bytes.Buffer{}, 0); err != nil {
			t.Fatal(err)
		}
	})
}

// TestActivityCostsNoMemory: entries are put together in memory that is used
// again, however fast they come.
func TestActivityCostsNoMemory(t *testing.T) {
	l, err := OpenActivityLog(filepath.Join(t.TempDir(), "a.log"), ActivityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := activity(1, 1, tracker.EventStarted, nil)
	round := func() {
		for range 1000 { // several parts
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

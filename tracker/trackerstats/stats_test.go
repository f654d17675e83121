package trackerstats

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/metainfo"
	"spate/tracker"
	"spate/tracker/swarm"
	"spate/tracker/trackerserver"
)

// fixture is a tracker with statistics and a clock.
type fixture struct {
	t   *testing.T
	now time.Time
	st  *Statistics
	s   *trackerserver.Server
}

// newFixture returns a tracker without peers.
func newFixture(t *testing.T, o Options) *fixture {
	t.Helper()
	u := &fixture{t: t, now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	clock := func() time.Time { return u.now }
	o.Now = clock
	u.st = New(o)
	table, err := swarm.New(swarm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	if u.s, err = trackerserver.New(table, trackerserver.Options{Now: clock, Observers: []func(*tracker.Observation){u.st.Observe}}); err != nil {
		t.Fatal(err)
	}
	return u
}

// announce announces a peer, and fails the test if it is refused.
func (u *fixture) announce(ih spate.InfoHash, from, id, more string) {
	u.t.Helper()
	q := "/announce?compact=1&port=6881&uploaded=0&downloaded=0&info_hash=" + url.QueryEscape(string(ih[:])) +
		"&peer_id=" + url.QueryEscape(id+strings.Repeat("x", 20-len(id))) + more
	r := httptest.NewRequest("GET", q, nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(from), 999).String()
	w := httptest.NewRecorder()
	u.s.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "failure") {
		u.t.Fatalf("%s", w.Body)
	}
}

func (u *fixture) get(path string) *httptest.ResponseRecorder {
	u.t.Helper()
	w := httptest.NewRecorder()
	u.st.Handler(u.s).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func (u *fixture) report() Report {
	u.t.Helper()
	var r Report
	w := u.get("/stats.json")
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || w.Header().Get("Content-Type") != "application/json" {
		u.t.Fatalf("%v: %s", err, w.Body)
	}
	return r
}

const evil = `<script>alert(1)</script> "&'.iso`

// traffic announces peers of both address families to a torrent with a name and to one
// without.
func (u *fixture) traffic() (named, bare spate.InfoHash) {
	u.t.Helper()
	named, bare = spate.InfoHash{1}, spate.InfoHash{2}
	if err := u.s.Allow(named, tracker.Note{Name: evil, Size: 1000}); err != nil {
		u.t.Fatal(err)
	}
	u.announce(named, "203.0.113.1", "-TR4050-", "&left=0")
	u.announce(named, "203.0.113.2", "-TR4060-", "&left=1")
	u.announce(named, "203.0.113.2", "-TR4060-", "&left=0&event=completed")
	u.announce(named, "2001:db8::1", "A2-1-36-0-", "&left=1")
	u.announce(bare, "203.0.113.3", "", "&left=1")
	return named, bare
}

// TestReport checks the numbers of a report.
func TestReport(t *testing.T) {
	u := newFixture(t, Options{ShowNames: true})
	named, bare := u.traffic()
	r := u.report()
	if r.Torrents.Active != 2 || r.Torrents.Allowed != 1 || r.Peers.All != 4 || r.Peers.Seeders != 2 || r.Peers.IPv6 != 1 ||
		r.Completed != 1 || r.Transferred != 1000 || r.Announces.HTTP != 5 || r.Announces.IPv6 != 1 || r.MemoryBytes <= 0 {
		t.Errorf("%+v", r)
	}
	want := []TorrentStats{
		{Hash: named.String(), Name: evil, Size: 1000, Complete: 2, Downloading: 1, Downloaded: 1, Transferred: 1000},
		{Hash: bare.String(), Downloading: 1},
	}
	if fmt.Sprint(r.Busiest) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", r.Busiest, want)
	}
	var names []string
	for _, c := range r.Clients {
		names = append(names, fmt.Sprint(c.Name, c.Announces, c.Versions))
	}
	if got := strings.Join(names, " "); got != "Transmission3 map[4.0.5:1 4.0.6:2] aria21 map[1.36:1] other1 map[]" {
		t.Error(got)
	}
}

// TestNamesAreHidden checks that names, and with HideTorrents also torrents, are not shown.
func TestNamesAreHidden(t *testing.T) {
	u := newFixture(t, Options{})
	u.traffic()
	if r := u.report(); r.Busiest[0].Name != "" || r.Busiest[0].Size != 0 || r.Transferred != 0 {
		t.Errorf("%+v", r.Busiest[0])
	}
	if page := u.get("/stats").Body.String(); strings.Contains(page, "alert") || !strings.Contains(page, spate.InfoHash{2}.String()) {
		t.Error("a name is shown, or no hash")
	}
	u = newFixture(t, Options{HideTorrents: true})
	named, _ := u.traffic()
	for _, path := range []string{"/stats", "/stats.json", "/metrics"} {
		if strings.Contains(u.get(path).Body.String(), named.String()) {
			t.Errorf("%s shows a torrent", path)
		}
	}
}

// TestHybridIsOneEntry checks that the two swarms of a hybrid torrent are one entry.
func TestHybridIsOneEntry(t *testing.T) {
	u := newFixture(t, Options{ShowNames: true})
	v1, v2 := spate.InfoHash{1}, spate.InfoHash{2}
	for _, p := range [][2]spate.InfoHash{{v1, v2}, {v2, v1}} {
		if err := u.s.Allow(p[0], tracker.Note{Name: "both", Pair: p[1]}); err != nil {
			t.Fatal(err)
		}
		u.announce(p[0], "203.0.113.1", "-TR4050-", "&left=0")
	}
	u.announce(v1, "203.0.113.2", "-TR4050-", "&left=1")
	r := u.report()
	if len(r.Busiest) != 1 || r.Busiest[0].Complete != 1 || r.Busiest[0].Downloading != 1 || r.Busiest[0].Pair != v2.String() {
		t.Errorf("%+v", r.Busiest)
	}
}

// TestPage checks the page and its charts: that it escapes text, has no scripts and no
// absolute links.
func TestPage(t *testing.T) {
	u := newFixture(t, Options{ShowNames: true, Title: "<b>Tracker</b>", Home: "./"})
	if page := u.get("/stats").Body.String(); !strings.Contains(page, "No torrent has peers yet") || !strings.Contains(page, "The first points come") {
		t.Error("the page of a tracker without torrents does not say so")
	}
	u.traffic()
	for range 300 {
		u.now = u.now.Add(time.Minute)
		u.announce(spate.InfoHash{1}, "203.0.113.1", "-TR4050-", "&left=0")
		u.st.Sample(u.s)
	}
	for _, path := range []string{"/stats", "/stats?past=week"} {
		w := u.get(path)
		page := w.Body.String()
		if w.Code != 200 || strings.Contains(page, "<script") || strings.Contains(page, "<b>Tracker") || strings.Contains(page, "style=") || strings.Contains(page, "ZgotmplZ") {
			t.Errorf("%s: %d, something is not escaped, or inline", path, w.Code)
		}
		for _, want := range []string{`href="./"`, "&lt;script&gt;alert(1)", "<path class=\"line seed\" d=\"M0.0 ", "Transmission", "1.0 kB"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %q", path, want)
			}
		}
		if strings.Contains(page, `="/`) {
			t.Errorf("%s: an absolute link, which is wrong behind a proxy with a prefix", path)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("policy %q", csp)
		}
	}
	r := u.report()
	if len(r.Past) != 240 || len(r.Week) != 20 || r.Past[239].HTTP != 1 || r.Week[19].HTTP != 15 || r.Announces.Rate < 0.016 || r.Announces.Rate > 0.017 {
		t.Errorf("%d points, %d, rate %v", len(r.Past), len(r.Week), r.Announces.Rate)
	}
	if w := u.get("/stats/stats.css"); w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
		t.Errorf("style sheet: %d", w.Code)
	}
}

// TestPastIsKept checks that the points of the charts survive a restart, except for those
// that are too old.
func TestPastIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "past.json")
	u := newFixture(t, Options{})
	if err := u.st.LoadPast(path); err != nil {
		t.Errorf("no file: %v", err)
	}
	for range 500 { // more than minutePoints
		u.now = u.now.Add(time.Minute)
		u.announce(spate.InfoHash{1}, "203.0.113.1", "-TR4050-", "&left=0")
		u.st.Sample(u.s)
	}
	if err := u.st.SavePast(path); err != nil {
		t.Fatal(err)
	}
	before := u.report()
	again := func(later time.Duration) *Statistics {
		now := u.now.Add(later)
		st := New(Options{Now: func() time.Time { return now }})
		if err := st.LoadPast(path); err != nil {
			t.Fatal(err)
		}
		return st
	}
	if hours, week := again(0).series.points(); !slices.Equal(hours, before.Past) || !slices.Equal(week, before.Week) {
		t.Errorf("%d and %d points of %d and %d", len(hours), len(week), len(before.Past), len(before.Week))
	}
	st := again(time.Hour)
	if hours, _ := st.series.points(); len(hours) != minutePoints-60 {
		t.Errorf("an hour later: %d points", len(hours))
	}
	for i := range 2 * minutePoints {
		st.series.sample(u.now.Add(time.Hour+time.Duration(i+1)*time.Minute), &swarm.Totals{}, &tracker.Counts{})
	}
	if past, _ := st.series.points(); len(past) != minutePoints || !slices.IsSortedFunc(past, func(a, b Point) int { return a.Time.Compare(b.Time) }) {
		t.Errorf("%d points after many more, or not in order", len(past))
	}
	if hours, _ := again(-time.Hour).series.points(); len(hours) != minutePoints-60 {
		t.Error("points of the future are shown")
	}
	for _, text := range []string{"{", `{"minutes":1}`, strings.Repeat(" ", maxPast+1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if New(Options{}).LoadPast(path) == nil {
			t.Errorf("%.20q is no error", text)
		}
	}
}

// TestMetrics checks the values and the format of the metrics.
func TestMetrics(t *testing.T) {
	u := newFixture(t, Options{ShowNames: true, MetricsTorrents: 1})
	u.traffic()
	w := u.get("/metrics")
	body := w.Body.String()
	for _, want := range []string{
		`spate_tracker_announces_total{transport="http"} 5`, `spate_tracker_announces_total{transport="udp"} 0`,
		`spate_tracker_announces_by_family_total{family="ipv6"} 1`, `spate_tracker_events_total{event="completed"} 1`,
		`spate_tracker_peers{role="seeder"} 2`, `spate_tracker_torrents{state="active"} 2`, `spate_tracker_completed_total 1`,
		`spate_tracker_build_info{version="` + spate.Version + `"} 1`, "go_goroutines ",
		`spate_tracker_torrent_peers{info_hash="0100000000000000000000000000000000000000",name="<script>alert(1)</script> \"&'.iso",role="seeder"} 2`,
	} {
		if !strings.Contains(body, want+"\n") && !strings.Contains(body, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
	if n := strings.Count(body, "spate_tracker_torrent_downloads{"); n != 1 {
		t.Errorf("%d torrents have metrics of their own", n)
	}
	// Each line is a comment or a sample, and the names of counters end in _total.
	line := regexp.MustCompile(`^(#.*|[a-z_]+(\{.*\})? [-+0-9.eInfNa]+)$`)
	for _, l := range strings.Split(strings.TrimSpace(body), "\n") {
		if !line.MatchString(l) {
			t.Errorf("not a sample: %s", l)
		}
		if f := strings.Fields(l); len(f) == 4 && f[1] == "TYPE" && strings.HasPrefix(f[2], "spate_") && (f[3] == "counter") != strings.HasSuffix(f[2], "_total") {
			t.Errorf("name and kind do not match: %s", l)
		}
	}
}

// TestTorrentFiles checks that only the .torrent files of allowed torrents are served.
func TestTorrentFiles(t *testing.T) {
	dir := t.TempDir()
	file, big := filepath.Join(dir, "a b.torrent"), filepath.Join(dir, "big.torrent")
	if err := os.WriteFile(file, []byte("d4:infode"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(big, make([]byte, metainfo.MaxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	u := newFixture(t, Options{AllowGet: true})
	named, bare := u.traffic()
	var gone, large spate.InfoHash
	gone[0], large[0] = 3, 4
	for ih, path := range map[spate.InfoHash]string{named: file, gone: filepath.Join(dir, "gone"), large: big} {
		if err := u.s.Allow(ih, tracker.Note{Torrent: path}); err != nil {
			t.Fatal(err)
		}
	}
	for path, code := range map[string]int{
		"/stats/torrent/" + named.String() + ".torrent":                 200,
		"/file?info_hash=" + url.QueryEscape(string(named[:])):          200,
		"/stats/torrent/" + bare.String() + ".torrent":                  404,
		"/stats/torrent/" + gone.String() + ".torrent":                  404,
		"/stats/torrent/" + large.String() + ".torrent":                 404,
		"/stats/torrent/..%2f..%2fetc%2fpasswd":                         404,
		"/file?info_hash=short":                                         404,
		"/file":                                                         404,
		"/file?info_hash=" + url.QueryEscape(string(named[:])+"longer"): 404,
	} {
		w := u.get(path)
		if w.Code != code {
			t.Errorf("%s: %d, want %d", path, w.Code, code)
		}
		if code == 200 && (w.Body.String() != "d4:infode" || w.Header().Get("Content-Type") != "application/x-bittorrent" || !strings.Contains(w.Header().Get("Content-Disposition"), `"a b.torrent"`)) {
			t.Errorf("%s: %v %q", path, w.Header(), w.Body)
		}
	}
	if w := u.get("/stats"); !strings.Contains(w.Body.String(), `"stats/torrent/`+named.String()+".torrent") {
		t.Error("the page has no link to the .torrent file")
	}
	off := newFixture(t, Options{})
	if w := off.get("/stats/torrent/" + named.String() + ".torrent"); w.Code != http.StatusNotFound {
		t.Errorf("served without AllowGet: %d", w.Code)
	}
}

// TestClientMarks checks the styles of peer ids.
func TestClientMarks(t *testing.T) {
	for id, want := range map[string]string{
		"-TR4050-abcdefghijkl":                     "Transmission 4.0.5",
		"A2-1-36-0-abcdefghij":                     "aria2 1.36",
		"M7-10-5--abcdefghijk":                     "Mainline 7.10.5",
		"abcdefghijklmnopqrst":                     "other ",
		"-\x00\x01\x02\x03\x04\x05-abcdefghijkl":   "other ",
		"\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxx": "other ",
	} {
		var p spate.PeerID
		copy(p[:], id)
		name, version := clientName(clientMark(&p))
		if got := name + " " + version; got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

// TestClientsAreLimited checks that any number of marks takes a fixed amount of memory, that
// all announces are counted, and that the window advances.
func TestClientsAreLimited(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := newClientCounts(now)
	for i := range 100_000 {
		var id spate.PeerID
		copy(id[:], fmt.Sprintf("-%c%c%04d-", 'A'+i%26, 'A'+i/26%26, i/676%10_000))
		c.current.Load().add(clientMark(&id))
	}
	n, sum := 0, uint64(0)
	for _, s := range c.shares() {
		n += max(len(s.Versions), 1)
		sum += s.Announces
	}
	if n > clientSlots+1 || sum != 100_000 {
		t.Errorf("%d clients, %d announces", n, sum)
	}
	c.advance(now.Add(time.Hour), time.Hour)
	c.advance(now.Add(2*time.Hour), time.Hour)
	if len(c.shares()) != 0 {
		t.Error("the window does not advance")
	}
}

// TestObserveAllocatesNothing protects the path of an announce.
func TestObserveAllocatesNothing(t *testing.T) {
	st := New(Options{})
	o := &tracker.Observation{Request: &tracker.AnnounceRequest{PeerID: spate.NewPeerID()}}
	if n := testing.AllocsPerRun(100, func() { st.Observe(o) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestLabels checks the numbers in charts.
func TestLabels(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7: "7", 0.5: "0.5", 1234: "1,234", 123456: "123k", 2_500_000: "2.5M", 3e9: "3G"} {
		if got := count(v); got != want {
			t.Errorf("count(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0/s", 0.05: "3/min", 2.34: "2.3/s", 1500: "1,500/s"} {
		if got := perSecond(v); got != want {
			t.Errorf("perSecond(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]float64{0: 1, 1: 1, 3: 4, 11: 20, 95: 100, 0.3: 0.4} {
		if got := niceTop(v); got < want*0.999 || got > want*1.001 {
			t.Errorf("niceTop(%v) = %v, want %v", v, got, want)
		}
	}
}

// TestDashboard checks that all metrics in the Grafana dashboard exist.
func TestDashboard(t *testing.T) {
	b, err := os.ReadFile("../../packaging/grafana/spate-tracker.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b) {
		t.Fatal("not JSON")
	}
	u := newFixture(t, Options{MetricsTorrents: 5})
	u.traffic()
	metrics := u.get("/metrics").Body.String()
	names := regexp.MustCompile(`(spate_tracker|process)_[a-z_]+`).FindAllString(string(b), -1)
	if len(names) < 20 {
		t.Errorf("only %d metrics", len(names))
	}
	for _, name := range names {
		if !strings.Contains(metrics, "# TYPE "+name+" ") {
			t.Errorf("no metric %s", name)
		}
	}
}

// unread is a response to a client that does not read: Write waits for reads.
type unread struct {
	*httptest.ResponseRecorder
	reads chan struct{}
}

func (u unread) Write(p []byte) (int, error) {
	<-u.reads
	return u.ResponseRecorder.Write(p)
}

// TestUnreadMetrics checks that the handler of the metrics returns although the client does
// not read.
func TestUnreadMetrics(t *testing.T) {
	done := make(chan struct{})
	h := buffered(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Test", "1")
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte("metrics"))
		close(done)
	}))
	u := unread{httptest.NewRecorder(), make(chan struct{})}
	answered := make(chan struct{})
	go func() {
		h.ServeHTTP(u, httptest.NewRequest("GET", "/metrics", nil))
		close(answered)
	}()
	<-done // nothing was read yet
	close(u.reads)
	<-answered
	if u.Code != http.StatusTeapot || u.Body.String() != "metrics" || u.Header().Get("X-Test") != "1" {
		t.Errorf("%d %q %v", u.Code, u.Body, u.Header())
	}
}

// TestLostEntriesAreInTheMetrics checks Options.LogLost.
func TestLostEntriesAreInTheMetrics(t *testing.T) {
	lost := func() (dropped, failed uint64) { return 2, 1 }
	body := newFixture(t, Options{LogLost: lost}).get("/metrics").Body.String()
	for _, want := range []string{`spate_tracker_log_lost_total{reason="slow"} 2`, `spate_tracker_log_lost_total{reason="failed"} 1`} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if body := newFixture(t, Options{}).get("/metrics").Body.String(); strings.Contains(body, "log_lost_total") {
		t.Error("a tracker without a log has the metric")
	}
}

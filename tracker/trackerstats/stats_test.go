package trackerstats

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"spate"
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
	u.s, err = trackerserver.New(table, trackerserver.Options{Now: clock, Observers: []func(*tracker.Observation){u.st.Observe}})
	if err != nil {
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
		names = append(names, fmt.Sprint(c.Name, c.Peers, c.Versions))
	}
	if got := strings.Join(names, " "); got != "Transmission2 map[4.0.5:1 4.0.6:1] aria21 map[1.36:1] other1 map[]" {
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

// TestHybridIsOneEntry checks that the two swarms of a hybrid torrent are one entry, and that a peer
// and a download of both count once in the totals.
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
	for _, ih := range []spate.InfoHash{v1, v2} {
		u.announce(ih, "203.0.113.3", "-TR4051-", "&left=1")
		u.announce(ih, "203.0.113.3", "-TR4051-", "&left=0&event=completed")
	}
	u.announce(spate.InfoHash{3}, "203.0.113.4", "-TR4052-", "&left=0&event=completed")
	if r := u.report(); r.Completed != 2 || r.Peers.Seeders != 3 || r.Peers.Leechers != 1 || r.Peers.All != 4 {
		t.Errorf("%d completed downloads, and the peers %+v; want 2, and 3 seeders and 1 leecher", r.Completed, r.Peers)
	}
	for _, ih := range []spate.InfoHash{v1, v2} {
		u.announce(ih, "203.0.113.3", "-TR4051-", "&left=0&event=stopped")
	}
	u.now = u.now.Add(time.Minute)
	r := u.report()
	if len(r.Busiest) != 2 || r.Busiest[0].Complete != 1 || r.Busiest[0].Downloading != 1 || r.Busiest[0].Pair != v2.String() {
		t.Errorf("%+v", r.Busiest)
	}
}

// TestReleaseIsOneEntry checks that the swarms of a release, those of a hybrid torrent and of another
// torrent with the same data, are one entry, and that a peer, an origin and a download of several of
// them count once.
func TestReleaseIsOneEntry(t *testing.T) {
	u := newFixture(t, Options{ShowNames: true})
	v1, v2, twin := spate.InfoHash{1}, spate.InfoHash{2}, spate.InfoHash{3}
	origin := netip.MustParseAddrPort("203.0.113.9:1")
	for ih, pair := range map[spate.InfoHash]spate.InfoHash{v1: v2, v2: v1, twin: {}} {
		if err := errors.Join(u.s.Allow(ih, tracker.Note{Name: "a", Size: 10, Pair: pair, Release: v1}), u.s.Store().Pin(ih, origin)); err != nil {
			t.Fatal(err)
		}
	}
	for _, ih := range []spate.InfoHash{v2, v1, twin} { // a peer of all swarms
		u.announce(ih, "203.0.113.1", "-TR4050-", "&left=1")
	}
	for _, ih := range []spate.InfoHash{v1, v2} { // a downloader of the hybrid
		u.announce(ih, "203.0.113.2", "-TR4050-", "&left=1")
		u.announce(ih, "203.0.113.2", "-TR4050-", "&left=0&event=completed")
	}
	u.announce(twin, "203.0.113.3", "-TR4050-", "&left=1") // an older client
	u.announce(twin, "203.0.113.3", "-TR4050-", "&left=0&event=completed")
	r := u.report()
	if r.Peers.Origins != 1 || r.Peers.Seeders != 3 || r.Peers.Leechers != 1 || r.Completed != 2 || r.Transferred != 20 {
		t.Errorf("the peers are %+v, %d downloads are completed with %d bytes; want 1 origin of 3 seeders, 1 leecher and 2 downloads of 10 bytes", r.Peers, r.Completed, r.Transferred)
	}
	want := []TorrentStats{{Hash: v1.String(), Pair: v2.String(), Name: "a", Size: 10, Complete: 3, Downloading: 1, Downloaded: 2, Transferred: 20}}
	if fmt.Sprint(r.Busiest) != fmt.Sprint(want) {
		t.Errorf("the torrents are %+v, want %+v", r.Busiest, want)
	}
	if m := u.get("/metrics").Body.String(); !strings.Contains(m, "\nspate_tracker_completed_total 2\n") || !strings.Contains(m, "\nspate_tracker_downloads 2\n") {
		t.Errorf("the metrics do not count 2 downloads: %s", m)
	}
}

// TestTotalsStayAboveZero checks that totals are not negative if peers left, or swarms with completed
// downloads were removed, after the peers of hybrids were counted.
func TestTotalsStayAboveZero(t *testing.T) {
	tot := withoutTwice(swarm.Totals{Seeders4: 3, Seeders6: 2, SeedersTwice: 1, Pinned: 1, Leechers4: 2, Completed: 4},
		swarm.Totals{SeedersTwice: 9, LeechersTwice: 9, Completed: 9})
	if tot.Seeders() != 0 || tot.Leechers() != 0 || tot.Completed != 0 {
		t.Errorf("%d seeders, %d leechers and %d completed downloads, want none", tot.Seeders(), tot.Leechers(), tot.Completed)
	}
}

// TestObserveAllocatesNothing checks that counting an announce allocates nothing.
func TestObserveAllocatesNothing(t *testing.T) {
	st := New(Options{})
	o := &tracker.Observation{Request: &tracker.AnnounceRequest{PeerID: spate.NewPeerID()}}
	if n := testing.AllocsPerRun(100, func() { st.Observe(o) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

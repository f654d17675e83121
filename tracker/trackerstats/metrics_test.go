package trackerstats

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"spate"
)

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

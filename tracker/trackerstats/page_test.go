package trackerstats

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/internal/httpcontent/contenttest"
	"spate/metainfo"
	"spate/tracker"
)

// TestAllRoutes checks the methods, headers and conditional requests of the statistics.
func TestAllRoutes(t *testing.T) {
	u := newFixture(t, Options{ShowNames: true})
	u.traffic()
	for _, path := range []string{"/stats", "/stats?past=week", "/stats.json", "/stats/stats.css"} {
		contenttest.Content(t, u.st.Handler(u.s), path, contenttest.Exempt{})
	}
	// The metrics change with each request, so they have no validators.
	contenttest.Content(t, u.st.Handler(u.s), "/metrics", contenttest.Exempt{ETag: true})

	file := filepath.Join(t.TempDir(), "a.torrent")
	if err := os.WriteFile(file, []byte("d4:infode"), 0o600); err != nil {
		t.Fatal(err)
	}
	u = newFixture(t, Options{AllowGet: true})
	named, _ := u.traffic()
	if err := u.s.Allow(named, tracker.Note{Torrent: file}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/stats/torrent/" + named.String() + ".torrent", "/file?info_hash=" + url.QueryEscape(string(named[:]))} {
		contenttest.Content(t, u.st.Handler(u.s), path, contenttest.Exempt{})
	}
}

// TestPollingGivesNotModified checks that a client that polls the statistics gets 304 as long as
// only the clock advances, up to a minute, and the new numbers after that or after an announce.
func TestPollingGivesNotModified(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/stats", "/stats?past=week", "/stats.json"} {
		u := newFixture(t, Options{ShowNames: true})
		u.traffic()
		u.st.Sample(u.s)
		tag := u.get(path).Header().Get("ETag")
		poll := func(want int, when string) {
			t.Helper()
			for _, method := range []string{"GET", "HEAD"} {
				r := httptest.NewRequest(method, path, nil)
				r.Header.Set("If-None-Match", tag)
				w := httptest.NewRecorder()
				u.st.Handler(u.s).ServeHTTP(w, r)
				if w.Code != want || w.Body.Len() > 0 && (want == http.StatusNotModified || method == "HEAD") {
					t.Errorf("%s %s %s: %d with %d bytes, want %d", method, path, when, w.Code, w.Body.Len(), want)
				}
			}
			tag = u.get(path).Header().Get("ETag")
		}
		poll(http.StatusNotModified, "at once")
		for range 5 {
			u.now = u.now.Add(10 * time.Second)
			u.st.Sample(u.s)
			poll(http.StatusNotModified, "when only the clock has advanced")
		}
		u.now = u.now.Add(10 * time.Second)
		poll(http.StatusOK, "after a minute")
		if got := u.st.Report(u.s).Time; !got.Equal(u.now) {
			t.Errorf("%s: the time of the report is %v, want %v", path, got, u.now)
		}
		u.announce(spate.InfoHash{2}, "203.0.113.9", "-TR4050-", "&left=1")
		poll(http.StatusNotModified, "while the report is reused")
		u.now = u.now.Add(reportAge)
		poll(http.StatusOK, "after an announce")
		u.now = u.now.Add(-time.Hour)
		poll(http.StatusOK, "after the clock was set back")
	}
}

// TestPage checks the page and its charts: that it escapes text, has no scripts and no
// absolute links.
func TestPage(t *testing.T) {
	u := newFixture(t, Options{ShowNames: true, Title: "<b>Tracker</b>", Home: "./", Site: "Ours"})
	if page := u.get("/stats").Body.String(); !strings.Contains(page, "No torrent has peers yet") || !strings.Contains(page, "The first points appear") {
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
		for _, want := range []string{`href="./"`, "<span>Ours</span>", "&lt;script&gt;alert(1)", "<path class=\"line seed\" d=\"M0.0 ", "Transmission", "1.0 kB"} {
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

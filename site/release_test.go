package site

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"spate"
	"spate/internal/ratelimit"
	"spate/publish"
	"spate/signature"
)

// TestNotes checks that notes from an untrusted author are safe on a page.
func TestNotes(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread() // threadTime needs it
	defer runtime.UnlockOSThread()
	f := newFixture(t, Options{})
	for i, c := range []struct{ notes, want string }{
		{"# New\n\n- *fast* [site](https://example.org/a?b=1&c=2)\n\n| a | b |\n|---|---|\n| 1 | 2 |", `<h3>New</h3>`},
		{"See https://example.org/x now", `<a href="https://example.org/x" rel="nofollow noopener">`},
		{"<script>alert(1)</script> <img src=x onerror=alert(1)>", `raw HTML omitted`},
		{"[x](javascript:alert(1)) [y](data:text/html,hi) [z](//evil.example/) [w](JaVaScRiPt:alert(1))", `<a href="" rel="nofollow noopener">x</a>`},
		{"![tracking](https://evil.example/pixel.png)", `<a href="https://evil.example/pixel.png" rel="nofollow noopener">tracking</a>`},
		{"evil \u202egnp.exe \x1b[31m \x00", "‹U+202E›gnp.exe ␛[31m ␀"},
		{"bad\xff\xfeutf8 <javascript:alert(1)>", "bad"},
		{"<a&b:c> <ftp://example.org/x>", "ftp://example.org/x"},
		{strings.Repeat("*a* `b` ", 8000), "<em>a</em>"},
		{strings.Repeat("> ", 8000) + "deep", "<blockquote>"},
		{strings.Repeat("- ", 8000) + "deep", "Notes"},
		{strings.Repeat("[", 30_000), "["},
		{strings.Repeat("![a](", 10_000), "!["},
		{strings.Repeat("|", 60_000) + "\n" + strings.Repeat("|-", 1000), "|"},
		{strings.Repeat("paragraph\n\n", 5000), "<p>paragraph</p>"},
	} {
		name := fmt.Sprintf("n%d.iso", i)
		f.release(t, name, 1)
		if err := f.catalog.Update(t.Context(), name+"~1", publish.Change{Notes: &c.notes}); err != nil {
			t.Fatal(err)
		}
		began := threadTime()
		page := body(t, f.get("GET", "/r/"+name))
		if took := threadTime() - began; took > slower*2*time.Second {
			t.Errorf("rendering the notes %.30q took %v of processor time", c.notes, took)
		}
		if !strings.Contains(page, c.want) {
			t.Errorf("the page with the notes %.60q does not contain %s", c.notes, c.want)
		}
		if len(page) > MaxPage {
			t.Errorf("the page with the notes %.30q has %d bytes, which is too much", c.notes, len(page))
		}
		lower := strings.ToLower(page)
		for _, bad := range []string{"<img src=x", `href="javascript:`, "data:text", `href="//`, "alert(1)</script", "<img src=\"https"} {
			if strings.Contains(lower, bad) {
				t.Errorf("the page with the notes %.60q contains %s", c.notes, bad)
			}
		}
	}
	long := strings.Repeat("paragraph\n\n", 5000)
	if got := body(t, f.get("GET", "/r/n14.iso/notes.txt")); got != long {
		t.Errorf("notes.txt has %d bytes, want %d", len(got), len(long))
	}
}

// TestFamily checks that a page has links to the other versions and variants, and that the
// page of an older version has a link to the newest one.
func TestFamily(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	path := sparse(t, 10, f.dir, "os.iso")
	for v := 1; v <= 20; v++ {
		for _, arch := range []string{"amd64", "arm64"} {
			sample(t, f.catalog, path, func(r *publish.Release) {
				r.Version, r.Variant, r.Published = fmt.Sprint("12.", v), arch, sampleTime.AddDate(0, 0, v)
				r.HashV1, r.HashV2 = spate.InfoHash{byte(v), arch[1]}, spate.InfoHashV2{byte(v), arch[1]}
			})
		}
	}
	page := body(t, f.get("GET", "/r/os.iso~~amd64"))
	for _, want := range []string{
		"12.20 · amd64", `<a href="/r/os.iso~~arm64"><bdi>arm64</bdi>`, `<a href="/r/os.iso~~amd64" aria-current="page">`,
		`<a href="/r/os.iso~12.19~amd64"><bdi>12.19</bdi>`, `<a href="/?all=1&amp;q=os.iso">All versions</a>`, `href="/t/os.iso~~amd64.torrent"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not contain %s", want)
		}
	}
	if strings.Contains(page, "older version") {
		t.Error("the page of the newest version says that it is older")
	}
	old := body(t, f.get("GET", "/r/os.iso~12.3~arm64"))
	for _, want := range []string{`older version. <a href="/r/os.iso~~arm64">`, `href="/t/os.iso~12.3~arm64.torrent"`, `href="/d/os.iso~12.3~arm64"`, "12.3 · arm64"} {
		if !strings.Contains(old, want) {
			t.Errorf("the page of the older version does not contain %s", want)
		}
	}
	if all := body(t, f.get("GET", "/?all=1&q=os.iso")); strings.Count(all, "<h2>") < 15 || !strings.Contains(all, fmt.Sprintf("all=1&amp;from=%d&amp;q=os.iso", strings.Count(all, "<h2>"))) {
		t.Errorf("the list of all versions has %d rows", strings.Count(all, "<h2>"))
	}
	if feed := body(t, f.get("GET", "/feed.xml")); !strings.Contains(feed, "<title>os.iso (12.20 · arm64)</title>") || !strings.Contains(feed, "/t/os.iso~12.19~amd64.torrent") {
		t.Error("the feed does not contain all variants")
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for i, g := range []string{"Installers", "Installers", `<b>"&`, ""} {
		name := fmt.Sprint("r", i)
		f.release(t, name, 1)
		f.catalog.Update(t.Context(), name+"~1", publish.Change{Group: &g})
	}
	page := body(t, f.get("GET", "/"))
	checkNoActiveContent(t, page)
	for _, want := range []string{`<a href="/?group=Installers"><bdi>Installers</bdi> <span>2</span>`, `&lt;b&gt;`, `aria-current="page"><bdi>All</bdi> <span>4</span>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the index does not contain %s:\n%s", want, page)
		}
	}
	if page := body(t, f.get("GET", "/?group=Installers")); strings.Count(page, `<div class="what">`) != 2 || !strings.Contains(page, "<h1><bdi>Installers</bdi></h1>") {
		t.Errorf("the page of the group does not list its two releases:\n%s", page)
	}
	if feed := body(t, f.get("GET", "/feed.xml?group=Installers")); strings.Count(feed, "<item>") != 2 {
		t.Error("the feed of the group does not have two items")
	}
	if page := body(t, f.get("GET", "/r/r0")); !strings.Contains(page, `<a href="/?group=Installers">`) {
		t.Error("the page of the release has no link to its group")
	}
}

// TestTwins checks that clients without support for hybrid torrents get the twin at the same
// path.
func TestTwins(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	path := sparse(t, 10, f.dir, "a.iso")
	rel := sample(t, publish.NewMemory(), path, nil)
	with := *rel
	with.Twin = publish.Twin{Hash: spate.InfoHash{9}, Magnet: "magnet:?xt=urn:btih:0900000000000000000000000000000000000000"}
	with.Signatures = publish.Signatures{PublicKey: "k", Torrent: "main sig\n", Twin: "twin sig\n"}
	if err := f.catalog.Put(t.Context(), &with, publish.Torrents{Main: []byte("main"), Twin: []byte("twin")}); err != nil {
		t.Fatal(err)
	}
	for agent, want := range map[string]string{
		"": "main", "curl/8.0": "main", "Transmission/4.0.5": "main", "Transmission/3.00": "twin", "Transmission/2.94": "twin", "aria2/1.36.0": "twin", "qBittorrent/4.5": "main",
	} {
		resp := f.get("GET", "/t/a.iso.torrent", "User-Agent", agent)
		if got := body(t, resp); got != want || !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "User-Agent") {
			t.Errorf("the client %q got %q with Vary %q, want %q and User-Agent in Vary", agent, got, resp.Header.Values("Vary"), want)
		}
		if got := body(t, f.get("GET", "/t/a.iso.torrent.minisig", "User-Agent", agent)); got != want+" sig\n" {
			t.Errorf("the client %q got the signature %q, want that of its torrent", agent, got)
		}
	}
	if got := body(t, f.get("GET", "/t1/a.iso.torrent")); got != "twin" {
		t.Errorf("/t1/ returned %q, want the twin", got)
	}
	if page := body(t, f.get("GET", "/r/a.iso")); !strings.Contains(page, `<a href="/t1/a.iso.torrent">`) || strings.Contains(page, "4.0 or newer") {
		t.Error("the page has no link to the twin")
	}
	if m := body(t, f.get("GET", "/m/a.iso.meta4")); !strings.Contains(m, "/t1/a.iso~1.torrent") {
		t.Errorf("the Metalink does not name the twin:\n%s", m)
	}
	f.release(t, "b.iso", 1)
	if resp := f.get("GET", "/t1/b.iso.torrent"); resp.StatusCode != 404 {
		t.Errorf("a twin that does not exist gave %s, want 404", resp.Status)
	}
}

func TestSignedPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{BaseURL: &url.URL{Scheme: "https", Host: "dl.example.org", Path: "/pub"}})
	rel := f.release(t, "a.iso", 10)
	if resp := f.get("GET", "/r/a.iso/minisign.pub"); resp.StatusCode != 404 {
		t.Errorf("the key of an unsigned release gave %s, want 404", resp.Status)
	}
	f.summed(t, rel)
	key, err := signature.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	sig := publish.Signatures{PublicKey: key.Public().String(), Torrent: "torrent sig\n", Sums: "sums sig\n"}
	f.catalog.Update(t.Context(), "a.iso~1", publish.Change{Signatures: &sig})
	resp := f.get("GET", "/r/a.iso")
	page := body(t, resp)
	link := `</pub/t/a.iso~1.torrent.minisig>; rel="describedby"; type="application/x-minisign"; key="` + sig.PublicKey + `"`
	if got := strings.Join(resp.Header.Values("Link"), "\n"); !strings.Contains(got, link) {
		t.Errorf("the Link header is %s, want %s in it", got, link)
	}
	for _, want := range []string{
		`<link rel="describedby" type="application/x-minisign" href="/pub/t/a.iso.torrent.minisig" data-key="` + htmlOf(sig.PublicKey) + `">`,
		"spate get --verify-key " + htmlOf(sig.PublicKey) + " https://dl.example.org/pub/r/a.iso",
		"minisign -Vm SHA256SUMS -P " + htmlOf(sig.PublicKey),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not contain %s", want)
		}
	}
	for path, want := range map[string]string{"/pub/t/a.iso.torrent.minisig": "torrent sig\n", "/r/a.iso/SHA256SUMS.minisig": "sums sig\n", "/r/a.iso/minisign.pub": string(key.Public().File())} {
		if got := body(t, f.get("GET", path)); got != want {
			t.Errorf("%s contains %q, want %q", path, got, want)
		}
	}
	var j publish.ReleaseInfo
	if err := json.Unmarshal([]byte(body(t, f.get("GET", "/r/a.iso/release.json"))), &j); err != nil || j.PublicKey != sig.PublicKey || j.TorrentSignatureURL != "https://dl.example.org/pub/t/a.iso~1.torrent.minisig" {
		t.Errorf("release.json is %+v, %v, want the key and the URL of the signature", j, err)
	}
}

func TestCharts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	f := newFixture(t, Options{})
	english := f.languages.English()
	if c := charts(english, publish.History{}, 100, 1, now); c != nil {
		t.Errorf("charts of an empty history returned %+v, want nil", c)
	}
	h := publish.History{Days: []publish.Day{
		{Date: "2026-10-20", Counts: publish.Counts{Completed: 100}}, // before the first day of the chart
		{Date: "2026-11-20", Counts: publish.Counts{Completed: 3, Direct: 1, SeedBytes: 150}},
		{Date: "2026-11-24", Counts: publish.Counts{Completed: 8}},
		{Date: "rubbish", Counts: publish.Counts{Completed: 8}},
	}}
	c := charts(english, h, 100, 1, now)
	if len(c) != 2 || c[0].Summary != "Downloads: 12 downloads in 30 days, at most 8 on 24 November" || len(c[0].Columns) != 2 ||
		c[0].Columns[1] != (column{X: 290, Y: 4, H: 56}) || c[0].Columns[0] != (column{X: 250, Y: 32, H: 28}) {
		t.Errorf("the charts are %+v, want two columns of downloads with the given summary", c)
	}
	if c[1].Peak != "1.5" || len(c[1].Columns) != 1 {
		t.Errorf("the second chart is %+v, want one column and the peak 1.5", c[1])
	}
	rel := f.release(t, "a.iso", 1000)
	f.catalog.Count(t.Context(), rel.Hash(), time.Now(), publish.Counts{Completed: 5, SeedBytes: 2000})
	page := body(t, f.get("GET", "/r/a.iso"))
	checkNoActiveContent(t, page)
	if !strings.Contains(page, `<rect x="290" y="4" width="8" height="56"/>`) || !strings.Contains(page, `"delivered">5 complete downloads<`) || !strings.Contains(page, `"copies">2.0<`) {
		t.Errorf("the page does not contain the charts:\n%s", page)
	}
}

// downloadsSlowly downloads size bytes and checks that they do not arrive faster than the limit of
// 256 KiB a second lets them.
func downloadsSlowly(t *testing.T, url string, size int64) {
	t.Helper()
	began := time.Now()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if took := time.Since(began); n != size || err != nil || took < 800*time.Millisecond {
		t.Errorf("the download of %d bytes took %v, %v, which is faster than the limit", n, took, err)
	}
}

// TestUplink checks that a direct download keeps to the limit of the uplink.
func TestUplink(t *testing.T) {
	t.Parallel()
	line := ratelimit.New(256 << 10)
	f := newFixture(t, Options{Uplink: func(*http.Request) SendLimit { return line }})
	f.release(t, "a.iso", 300<<10)
	ts := httptest.NewServer(f)
	defer ts.Close()
	downloadsSlowly(t, ts.URL+"/d/a.iso", 300<<10)
}

// TestBudget checks the limits on the rate and the number of direct downloads, and that a
// refused visitor receives Retry-After.
func TestBudget(t *testing.T) {
	t.Parallel()
	var direct atomic.Int32
	f := newFixture(t, Options{DownloadRate: 256 << 10, Wait: -1, Direct: func(spate.InfoHash) { direct.Add(1) }})
	f.release(t, "a.iso", 300<<10)
	ts := httptest.NewServer(f)
	defer ts.Close()
	downloadsSlowly(t, ts.URL+"/d/a.iso", 300<<10)
	f.release(t, "long.iso", 64<<20) // more than the buffers of the sockets hold
	var open []*http.Response
	for i := range 5 {
		resp, err := http.Get(ts.URL + "/d/long.iso")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, resp)
		if want := map[bool]int{true: 200, false: 503}[i < 4]; resp.StatusCode != want || want == 503 && resp.Header.Get("Retry-After") == "" {
			t.Errorf("download %d got %s, want %d, with Retry-After if it is 503", i, resp.Status, want)
		}
	}
	for _, resp := range open {
		resp.Body.Close()
	}
	if direct.Load() != 1 {
		t.Errorf("%d whole downloads were counted, want 1", direct.Load())
	}
	paused := true
	f.catalog.Update(t.Context(), "a.iso~1", publish.Change{Paused: &paused})
	if resp := f.get("GET", "/d/a.iso"); resp.StatusCode != 503 {
		t.Errorf("the data of a paused release gave %s, want 503", resp.Status)
	}
}

// TestBeside checks that a page path with an extension redirects to the torrent or the
// Metalink.
func TestBeside(t *testing.T) {
	base, _ := url.Parse("http://files.example/pub")
	f := newFixture(t, Options{BaseURL: base})
	f.release(t, "a b.iso", 1000)
	f.release(t, "a b.iso.torrent", 1000)
	f.release(t, "c.iso", 1000)
	for path, want := range map[string]string{
		"/r/a%20b.iso.meta4":           "/pub/m/a%20b.iso.meta4",
		"/r/a%20b.iso.torrent":         "", // this release has such a name itself
		"/r/c.iso.torrent":             "/pub/t/c.iso.torrent",
		"/r/c.iso~1.meta4":             "/pub/m/c.iso~1.meta4",
		"/r/nothing.torrent":           "",
		"/r/.torrent":                  "",
		"/r/https:%2F%2Fevil%2F.meta4": "",
	} {
		resp := f.get("GET", path)
		if got := resp.Header.Get("Location"); got != want || want != "" && resp.StatusCode != http.StatusFound {
			t.Errorf("%s gave %s with the location %q, want %q", path, resp.Status, got, want)
		}
	}
}

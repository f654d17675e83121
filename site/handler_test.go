package site

import (
	"crypto/sha1"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate/publish"
)

// hostile lists names with characters that are special for HTML, paths, shells or terminals.
var hostile = []string{
	`<script>alert(1)<⁄script>`,
	`"><img src=x onerror=alert(1)>.iso`,
	"javascript:alert(1)",
	"{{.Site}} {{printf \"%s\" .}}",
	"esc\x1b[31m\x1b]0;owned\x07.iso",
	"line\r\nSet-Cookie: a=b",
	"\u202egnp.exe\u2066\u200f",
	"\u200bzero\ufeffwidth\u2060",
	"Земля 🌍 地球.iso",
	"per%2fcent%00?query#hash&amp;x=1",
	"semi;colon,comma=$(reboot)`id`'\"\\",
	"-rf",
	" spaces at both ends ",
	"e" + strings.Repeat("\u0301", 60),
	strings.Repeat("€", 85),
	strings.Repeat("\"", 255),
	"bad\xff\xfeutf8",
}

// fixture is a site with a catalog in memory and a directory for data.
type fixture struct {
	*Site
	catalog *publish.Memory
	dir     string
}

// patience is the time after which a test fails because something hangs. It is long enough
// for a busy machine.
const patience = 5 * time.Minute

func newFixture(t testing.TB, opts Options) fixture {
	t.Helper()
	dir, c := t.TempDir(), publish.NewMemory()
	s, err := New(c, opts)
	if err != nil {
		t.Fatal(err)
	}
	return fixture{s, c, dir}
}

// release lists a file of n bytes under name. The file system need not allow name.
func (f fixture) release(t testing.TB, name string, n int64) *publish.Release {
	t.Helper()
	path := sparse(t, n, f.dir, strings.ReplaceAll(strings.ReplaceAll(url.PathEscape(name), "/", "_"), "%", "")[:min(20, len(url.PathEscape(name))/3)]+"-data")
	return sample(t, f.catalog, path, func(r *publish.Release) {
		r.Name, r.HashV1, r.HashV2 = name, sha1.Sum([]byte(name)), sha256.Sum256([]byte(name))
	})
}

func (f fixture) tree(t testing.TB, name string, files ...string) *publish.Release {
	t.Helper()
	for i, file := range files {
		sparse(t, int64(100*(i+1)), f.dir, name, filepath.FromSlash(file))
	}
	return sample(t, f.catalog, filepath.Join(f.dir, name), nil)
}

// get returns the response to a request without a connection. header lists names and values.
func (f fixture) get(method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRoutes(t *testing.T) {
	f := newFixture(t, Options{})
	f.release(t, "one.iso", 1000)
	f.tree(t, "tree", "a.txt", "sub/b.txt")
	const html, torrent, octets, text = "text/html; charset=utf-8", "application/x-bittorrent", "application/octet-stream", "text/plain; charset=utf-8"
	for _, c := range []struct {
		method, path string
		status       int
		kind, has    string
	}{
		{"GET", "/", 200, html, "one.iso"},
		{"HEAD", "/", 200, html, ""},
		{"GET", "/?q=TREE", 200, html, "1 release for"},
		{"GET", "/?q=nothing-like-it", 200, html, "0 releases for"},
		{"GET", "/?from=1", 200, html, "tree"},
		{"GET", "/?from=99", 200, html, ""},
		{"GET", "/?from=-1", 200, html, "one.iso"},
		{"GET", "/r/one.iso", 200, html, "btih"},
		{"HEAD", "/r/one.iso", 200, html, ""},
		{"GET", "/r/one.iso/", 308, "", ""},
		{"GET", "/r/none", 404, text, "No such release"},
		{"GET", "/r/one.iso/files", 200, html, "one.iso"},
		{"GET", "/r/tree/files", 200, html, "/d/tree/sub/b.txt"},
		{"GET", "/r/tree/files?from=1", 200, html, "b.txt"},
		{"GET", "/r/tree/files?from=9", 200, html, ""},
		{"GET", "/r/none/files", 404, text, ""},
		{"GET", "/r/one.iso/qr.svg", 200, "image/svg+xml", "<svg"},
		{"GET", "/r/none/qr.svg", 404, text, ""},
		{"GET", "/t/one.iso.torrent", 200, torrent, "d4:info"},
		{"HEAD", "/t/one.iso.torrent", 200, torrent, ""},
		{"GET", "/t/one.iso", 404, text, "ends in .torrent"},
		{"GET", "/t/none.torrent", 404, text, ""},
		{"GET", "/d/one.iso", 200, octets, "\x00"},
		{"HEAD", "/d/one.iso", 200, octets, ""},
		{"GET", "/d/one.iso/", 404, text, ""},
		{"GET", "/d/one.iso/x", 404, text, ""},
		{"GET", "/d/tree", 303, "", ""},
		{"GET", "/d/tree/", 303, "", ""},
		{"GET", "/d/tree/a.txt", 200, octets, "\x00"},
		{"GET", "/d/tree/sub/b.txt", 200, octets, "\x00"},
		{"GET", "/d/tree/sub", 404, text, ""},
		{"GET", "/d/tree/sub/", 404, text, ""},
		{"GET", "/d/tree/none", 404, text, ""},
		{"GET", "/d/none", 404, text, ""},
		{"GET", "/d/tree/.pad/16284", 200, octets, strings.Repeat("\x00", 16284)},
		{"GET", "/d/tree/.pad/0", 404, text, ""},
		{"GET", "/d/tree/.pad/01", 404, text, ""},
		{"GET", "/d/tree/.pad/1048576", 404, text, ""},
		{"GET", "/d/one.iso/.pad/5", 404, text, ""},
		{"GET", "/static/site.css", 200, "text/css; charset=utf-8", ":root"},
		{"GET", "/static/site.js", 200, "text/javascript; charset=utf-8", "use strict"},
		{"GET", "/static/none.css", 404, text, ""},
		{"GET", "/favicon.ico", 200, "image/svg+xml", "<svg"},
		{"GET", "/nowhere", 404, text, "No such page"},
		{"POST", "/", 405, text, "only GET and HEAD"},
		{"DELETE", "/r/one.iso", 405, text, "only GET and HEAD"},
		{"PUT", "/d/one.iso", 405, text, "only GET and HEAD"},
		{"OPTIONS", "/d/one.iso", 204, "", ""},
	} {
		t.Run(c.method+c.path, func(t *testing.T) {
			resp := f.get(c.method, c.path)
			got := body(t, resp)
			if resp.StatusCode != c.status || resp.Header.Get("Content-Type") != c.kind {
				t.Errorf("the response has the status %d and type %q, want %d and %q", resp.StatusCode, resp.Header.Get("Content-Type"), c.status, c.kind)
			}
			if !strings.Contains(got, c.has) {
				t.Errorf("the body does not contain %q:\n%s", c.has, got)
			}
			for _, h := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"} {
				if resp.Header.Get(h) == "" {
					t.Errorf("the response has no header %s", h)
				}
			}
			if strings.Contains(resp.Header.Get("Content-Security-Policy"), "unsafe") {
				t.Errorf("the content security policy %q allows something unsafe", resp.Header.Get("Content-Security-Policy"))
			}
			if len(got) > MaxPage && c.kind == html {
				t.Errorf("the page has %d bytes, want at most %d", len(got), MaxPage)
			}
		})
	}
}

// TestLeadsToTorrent checks that the responses with pages and data have a Link header with
// the torrent, and that pages have a link element, which `spate get` uses.
func TestLeadsToTorrent(t *testing.T) {
	f := newFixture(t, Options{})
	f.release(t, "a b;c.iso", 10)
	f.tree(t, "tree", "x/y")
	want := map[string]string{
		"/r/a%20b;c.iso": "/t/a%20b%3Bc.iso.torrent", "/d/a%20b;c.iso": "/t/a%20b%3Bc.iso.torrent",
		"/r/tree": "/t/tree.torrent", "/d/tree": "/t/tree.torrent", "/d/tree/x/y": "/t/tree.torrent", "/r/tree/files": "/t/tree.torrent",
	}
	for page, torrent := range want {
		for _, method := range []string{"GET", "HEAD"} {
			resp := f.get(method, page)
			if got, want := resp.Header.Get("Link"), "<"+torrent+`>; rel="alternate"; type="application/x-bittorrent"`; got != want {
				t.Errorf("%s %s: the Link header is %s, want %s", method, page, got, want)
			}
			if b := body(t, resp); strings.HasPrefix(page, "/r/") && method == "GET" &&
				!strings.Contains(b, `<link rel="alternate" type="application/x-bittorrent" href="`+torrent+`">`) {
				t.Errorf("%s: no <link> to %s in\n%s", page, torrent, b)
			}
		}
		if resp := f.get("GET", torrent); resp.StatusCode != 200 {
			t.Errorf("%s: the response is %s, want 200", torrent, resp.Status)
		}
	}
}

func TestErrorsAreForWhoAsks(t *testing.T) {
	f := newFixture(t, Options{})
	resp := f.get("GET", "/r/none", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if b := body(t, resp); resp.StatusCode != 404 || !strings.Contains(b, "<h1>No such release</h1>") || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("a browser got %s with %q, want a page with status 404:\n%s", resp.Status, resp.Header, b)
	}
	resp = f.get("GET", "/r/none", "Accept", "*/*")
	if b := body(t, resp); strings.Count(b, "\n") != 2 {
		t.Errorf("another program got %q, want two lines of text", b)
	}
}

func TestUnderAPath(t *testing.T) {
	base, _ := url.Parse("https://example.org/pub/")
	f := newFixture(t, Options{BaseURL: base})
	f.release(t, "one.iso", 10)
	for _, path := range []string{"/pub/r/one.iso", "/r/one.iso"} {
		resp := f.get("GET", path)
		b := body(t, resp)
		for _, want := range []string{`href="/pub/t/one.iso.torrent"`, `href="/pub/d/one.iso"`, `href="/pub/"`, `href="/pub/static/site.css?v=`,
			"spate get https://example.org/pub/r/one.iso<"} {
			if !strings.Contains(b, want) {
				t.Errorf("%s does not contain %s:\n%s", path, want, b)
			}
		}
		if !strings.HasPrefix(resp.Header.Get("Link"), "</pub/t/one.iso.torrent>") {
			t.Errorf("the Link header is %s, want a path below /pub", resp.Header.Get("Link"))
		}
	}
}

func TestAssetsAreKept(t *testing.T) {
	f := newFixture(t, Options{})
	b := body(t, f.get("GET", "/"))
	_, rest, _ := strings.Cut(b, `rel="stylesheet" href="`)
	link, _, _ := strings.Cut(rest, `"`)
	if got := f.get("GET", link).Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("%s has Cache-Control %q, want immutable", link, got)
	}
	if got := f.get("GET", "/static/site.css?v=old").Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("a file at an old path has Cache-Control %q, want no-cache", got)
	}
}

func TestOptions(t *testing.T) {
	if _, err := New(nil, Options{}); err == nil {
		t.Error("New accepted a nil catalog")
	}
	if _, err := New(publish.NewMemory(), Options{MaxLive: -1}); err == nil {
		t.Error("New accepted a negative limit")
	}
}

package site

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"html"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"spate/publish"
)

// TestModulesInNode runs the tests of the modules of the download in a page.
func TestModulesInNode(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("SPATE_E2E") == "require" {
			t.Fatal("node is missing, and SPATE_E2E=require")
		}
		t.Skip("SKIPPED: node is missing")
	}
	files, err := filepath.Glob("testdata/download/*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no tests of the modules", err)
	}
	out, err := exec.Command(node, append([]string{"--test"}, files...)...).CombinedOutput()
	if err != nil {
		t.Errorf("node --test: %v\n%s", err, out)
	}
}

// maxScripts is the maximum size of all modules and the style, compressed.
const maxScripts = 60_000

// TestModulesAreSmall checks the size of what a visitor loads for a download in the page.
func TestModulesAreSmall(t *testing.T) {
	t.Parallel()
	s := newFixture(t, Options{})
	var all bytes.Buffer
	zip := gzip.NewWriter(&all)
	for _, name := range append(moduleNames(s.assets), "site.css", "site.js") {
		zip.Write(s.assets[name].data)
		source, err := embedded.ReadFile("static/" + name)
		if err != nil || bytes.Count(source, []byte("\n")) != bytes.Count(s.assets[name].data, []byte("\n")) {
			t.Errorf("%s has other lines than its source (%v)", name, err)
		}
	}
	zip.Close()
	if all.Len() > maxScripts {
		t.Errorf("the scripts and the style have %d bytes compressed, want at most %d", all.Len(), maxScripts)
	}
	t.Logf("%d bytes", all.Len())
}

// TestModulePolicy checks that only release pages and the modules may connect to other hosts.
func TestModulePolicy(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.release(t, "one.iso", 1000)
	for path, want := range map[string]bool{"/r/one.iso": true, "/static/download/" + f.modules + "/worker.js": true, "/": false, "/static/site.js": false, "/none": false} {
		got := f.get("GET", path).Header.Get("Content-Security-Policy")
		if has := strings.Contains(got, "connect-src 'self' http: https: ws: wss:; worker-src 'self'"); has != want || !strings.Contains(got, "script-src 'self'") || strings.Contains(got, "media-src 'self' blob:;") != want || strings.Contains(got, "unsafe") {
			t.Errorf("%s has the policy %q; other hosts allowed: want %v", path, got, want)
		}
	}
	fresh, stale := f.get("GET", "/static/download/"+f.modules+"/ui.js"), f.get("GET", "/static/download/old/ui.js")
	if !strings.Contains(fresh.Header.Get("Cache-Control"), "immutable") || strings.Contains(stale.Header.Get("Cache-Control"), "immutable") || stale.StatusCode != 200 {
		t.Errorf("Cache-Control is %q with the label and %q without", fresh.Header.Get("Cache-Control"), stale.Header.Get("Cache-Control"))
	}
}

var downloadAttributes = regexp.MustCompile(`<div class="inpage" data-download data-torrent="([^"]*)" data-v2="([^"]*)" data-signed="([^"]*)" data-data="([^"]*)" data-files="([^"]*)" data-websocket="([^"]*)" data-stun="([^"]*)" hidden>`)

// TestPageDownloadAttributes checks what a release page tells its script.
func TestPageDownloadAttributes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{BaseURL: &url.URL{Scheme: "https", Host: "example.org", Path: "/get"}, WebSocketPath: "/announce", STUNPort: 6881})
	const key = "RWSHP0df2xikvaPKLc8ybsutrX4L1XIvU77KVJVguTK1i8QcKb6wEOKw"
	sample(t, f.catalog, sparse(t, 1000, f.dir, "one.iso"), func(r *publish.Release) {
		r.Announce = append(r.Announce, []string{"wss://other.example/announce"})
		r.Format, r.HashV2, r.HasV2Hashes = "v1", [32]byte{}, true
		r.Signatures = publish.Signatures{PublicKey: key, Torrent: "sig", V2Hashes: "sig"}
	})
	f.tree(t, "tree", "sub/a.txt")
	for path, want := range map[string][]string{
		"/get/r/one.iso": {"/get/t/one.iso.torrent", "/get/t/one.iso.v2", `{"key":"` + key + `","ref":"one.iso~1","torrent":"/get/t/one.iso.torrent.minisig","v2":"/get/t/one.iso.v2.minisig"}`, "/get/d/one.iso", "", `["/get/announce","wss://other.example/announce"]`, `[":6881"]`},
		"/get/r/tree":    {"/get/t/tree.torrent", "", "", "/get/d/tree/", "", `["/get/announce"]`, `[":6881"]`},
	} {
		for _, p := range []string{path, want[0]} {
			const link = `</get/announce>; rel="related"; type="application/x-spate-websocket-tracker"`
			if got := f.get("GET", p).Header.Values("Link"); !slices.Contains(got, link) {
				t.Errorf("%s has the links %q, want %s", p, got, link)
			}
		}
		got := downloadAttributes.FindStringSubmatch(body(t, f.get("GET", path)))
		if got == nil {
			t.Errorf("%s has no download", path)
			continue
		}
		for i, w := range want {
			if html.UnescapeString(got[i+1]) != w {
				t.Errorf("%s: attribute %d is %q, want %q", path, i, html.UnescapeString(got[i+1]), w)
			}
		}
		var list []string
		if err := json.Unmarshal([]byte(html.UnescapeString(got[6])), &list); err != nil {
			t.Error(err)
		}
	}
}

// TestExportHasModules checks that an export contains every module, at the label of its pages.
func TestExportHasModules(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.release(t, "one.iso", 1000)
	dir := filepath.Join(t.TempDir(), "out")
	base := &url.URL{Scheme: "https", Host: "example.org"}
	if _, err := Export(t.Context(), f.catalog, dir, ExportOptions{Site: Options{BaseURL: base, WebSocketPath: "/announce"}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range moduleNames(f.assets) {
		if _, err := os.Stat(filepath.Join(dir, "static", "download", f.modules, strings.TrimPrefix(name, moduleDir))); err != nil {
			t.Error(err)
		}
	}
}

// TestSentToPages checks that the site counts the ranges that scripts of pages ask for, apart
// from those of other programs.
func TestSentToPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.release(t, "one.iso", 1000)
	for _, c := range []struct {
		path, ranges string
		pages, all   int64
	}{{"/d/one.iso", "bytes=0-99", 0, 100}, {"/d/one.iso?via=page", "bytes=100-399", 300, 400}, {"/d/one.iso?via=page", "", 300, 1400}} {
		r := httptest.NewRequest("GET", c.path, nil)
		if c.ranges != "" {
			r.Header.Set("Range", c.ranges)
		}
		f.ServeHTTP(httptest.NewRecorder(), r)
		if f.SentToPages() != c.pages || f.SentAll() != c.all {
			t.Errorf("after %s %s: %d bytes to pages and %d in all, want %d and %d", c.path, c.ranges, f.SentToPages(), f.SentAll(), c.pages, c.all)
		}
	}
}

package site

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"spate"
	"spate/publish"
)

// TestTheme checks that files of a theme replace embedded ones, and that New returns an
// error for a template with an error.
func TestTheme(t *testing.T) {
	f := newFixture(t, Options{Title: "Our Project", Theme: fstest.MapFS{
		"static/site.css":      {Data: []byte("body{color:red}")},
		"static/logo.png":      {Data: []byte("PNG")},
		"static/notes.php":     {Data: []byte("no")},
		"templates/error.html": {Data: []byte(`{{define "main"}}<p>Oh no: {{.Title}}</p>{{end}}`)},
	}})
	for path, want := range map[string]string{
		"/static/site.css": "body{color:red}", "/static/logo.png": "PNG", "/static/icon.svg": "<svg", "/r/none": "<p>Oh no: No such release</p>", "/": "Our Project",
	} {
		if got := body(t, f.get("GET", path, "Accept", "text/html")); !strings.Contains(got, want) {
			t.Errorf("%s is %s, want %q in it", path, got, want)
		}
	}
	if resp := f.get("GET", "/static/notes.php"); resp.StatusCode != 404 {
		t.Errorf("a file of an unknown type gave %s, want 404", resp.Status)
	}
	if _, err := New(f.catalog, Options{Theme: fstest.MapFS{"templates/index.html": {Data: []byte("{{")}}}); err == nil {
		t.Error("New accepted a template with an error")
	}
}

// BenchmarkPages renders the pages of a site with a thousand releases. Each takes less than
// 50 ms.
func BenchmarkPages(b *testing.B) {
	f := newFixture(b, Options{Swarm: func(spate.InfoHash) (Swarm, bool) { return Swarm{1, 2, 3}, true }})
	for i := range 1000 {
		name := fmt.Sprintf("release-%d.iso", i)
		r := &publish.Release{Name: name, HashV1: spate.InfoHash{byte(i), byte(i >> 8)}, Single: true, Size: 1 << 30, PieceLength: 1 << 20,
			Files: []publish.File{{Length: 1 << 30}}, NumFiles: 1, Magnet: "magnet:?xt=urn:btih:00", Published: sampleTime}
		if err := f.catalog.Put(context.Background(), r, publish.Torrents{}); err != nil {
			b.Fatal(err)
		}
	}
	for _, path := range []string{"/", "/?q=99", "/r/release-500.iso", "/index.json", "/feed.xml"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				if resp := f.get("GET", path); resp.StatusCode != 200 {
					b.Fatal(resp.Status)
				}
			}
		})
	}
}

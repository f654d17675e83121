package site

import (
	"context"
	"slices"
	"strings"
	"testing"

	"spate/internal/httpcontent/contenttest"
	"spate/publish"
	"spate/signature"
)

// TestAllRoutes checks the methods, headers and conditional requests of every path of the site.
// It fails if a route has no example.
func TestAllRoutes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	key, err := signature.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	f.tree(t, "tree", "sub/a.txt")
	f.release(t, "a.png", 10)
	rel := f.release(t, "one.iso", 1000)
	if err := f.catalog.SetSums(t.Context(), rel.Ref(), rel.Hash(), [][32]byte{{1}}); err != nil {
		t.Fatal(err)
	}
	sig := publish.Signatures{PublicKey: key.Public().String(), Torrent: "untrusted comment: a\nb\n", Sums: "untrusted comment: c\nd\n", V2Hashes: "untrusted comment: e\nf\n"}
	if err := f.catalog.Update(context.Background(), rel.Ref(), publish.Change{Signatures: &sig}); err != nil {
		t.Fatal(err)
	}
	f.v1(t, "v1.iso", publish.Torrents{Main: []byte("de"), V2Hashes: []byte("hashes")}, sig)
	stopped := newFixture(t, Options{})
	stopped.release(t, "one.iso", 1000)
	stopped.Close() // a stream ends after the first event

	examples := map[string][]string{
		"GET /{$}": {"/", "/?q=one&all=1"}, "GET /r/{name}": {"/r/one.iso", "/r/tree"}, "GET /r/{name}/files": {"/r/tree/files"},
		"GET /r/{name}/inpage": {"/r/one.iso/inpage"}, "GET /r/{name}/notes.txt": {"/r/one.iso/notes.txt"}, "GET /r/{name}/qr.svg": {"/r/one.iso/qr.svg"}, "GET /r/{name}/badge.svg": {"/r/one.iso/badge.svg"},
		"GET /r/{name}/release.json": {"/r/one.iso/release.json"}, "GET /r/{name}/SHA256SUMS": {"/r/one.iso/SHA256SUMS"},
		"GET /r/{name}/SHA256SUMS.minisig": {"/r/one.iso/SHA256SUMS.minisig"}, "GET /r/{name}/minisign.pub": {"/r/one.iso/minisign.pub"},
		"GET /m/{file}": {"/m/one.iso.meta4"}, "GET /index.json": {"/index.json", "/index.json?all=1"}, "GET /feed.xml": {"/feed.xml"}, "GET /atom.xml": {"/atom.xml"},
		"GET /robots.txt": {"/robots.txt"}, "GET /sitemap.xml": {"/sitemap.xml"}, "GET /t/{file}": {"/t/one.iso.torrent", "/t/one.iso.torrent.minisig", "/t/v1.iso.v2", "/t/v1.iso.v2.minisig"},
		"GET /d/{name}": {"/d/one.iso"}, "GET /d/{name}/{path...}": {"/d/tree/sub/a.txt"}, "GET /w/{name}/{path...}": {"/w/tree/tree/sub/a.txt"},
		"GET /z/{file}": {"/z/tree.zip"}, "GET /v/{name}": {"/v/a.png"}, "GET /v/{name}/{path...}": {"/v/tree/sub/a.txt"}, "GET /static/{file}": {"/static/site.css", "/static/icon.svg"}, "GET /static/download/{label}/{file}": {"/static/download/" + f.modules + "/main.js"}, "GET /favicon.ico": {"/favicon.ico"},
	}
	other := []string{"GET /r/{name}/{$}", "GET /t1/{file}", "GET /w/{name}", "OPTIONS /", "/", "GET /r/{name}/live"} // redirects, errors and streams
	for pattern := range f.routes() {
		if len(examples[pattern]) == 0 && !slices.Contains(other, pattern) {
			t.Errorf("the route %s has no example in this test", pattern)
		}
		for _, path := range examples[pattern] {
			contenttest.Content(t, f, path, contenttest.Exempt{})
		}
	}
	contenttest.Content(t, stopped, "/r/one.iso/live", contenttest.Exempt{ETag: true})
	for _, path := range []string{"/none", "/r/none", "/d/one.iso/x", "/t/one.iso", "/t1/one.iso.torrent", "/w/tree", "/t/one.iso.v2", "/t/one.iso.v2.minisig", "/t/none.v2"} {
		get, head := f.get("GET", path), f.get("HEAD", path)
		if get.StatusCode != 404 || head.StatusCode != 404 || get.Header.Get("Content-Length") != head.Header.Get("Content-Length") ||
			get.Header.Get("Content-Length") == "" || get.Header.Get("ETag") != "" || !strings.Contains(get.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("%s: GET gave %s with %v, HEAD %s with %v", path, get.Status, get.Header, head.Status, head.Header)
		}
	}
}

// TestValidatorsFollowTheContent checks that the ETag of everything that is polled changes when a
// release changes, and only then.
func TestValidatorsFollowTheContent(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.release(t, "one.iso", 1000)
	polled := []string{"/", "/index.json", "/feed.xml", "/atom.xml", "/sitemap.xml"}
	tags := func() (out []string) {
		for _, path := range polled {
			out = append(out, f.get("GET", path).Header.Get("ETag"))
		}
		return out
	}
	before := tags()
	if again := tags(); !slices.Equal(before, again) {
		t.Errorf("the ETags change without a change: %q, then %q", before, again)
	}
	f.release(t, "two.iso", 1000)
	for i, tag := range tags() {
		if tag == before[i] {
			t.Errorf("%s has the same ETag after a release was added", polled[i])
		}
	}
}

package site

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"rsc.io/qr"

	"spate"
	"spate/metainfo"
	"spate/publish"
)

// summed computes the checksums of a release.
func (f fixture) summed(t *testing.T, rel *publish.Release) {
	t.Helper()
	sums := make([][32]byte, len(rel.Files))
	for i := range rel.Files {
		file, err := rel.Open(i)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		io.Copy(h, file)
		file.Close()
		sums[i] = [32]byte(h.Sum(nil))
	}
	if err := f.catalog.SetSums(context.Background(), rel.Ref(), rel.Hash(), sums); err != nil {
		t.Fatal(err)
	}
}

func TestIndexJSON(t *testing.T) {
	f := newFixture(t, Options{Swarm: func(spate.InfoHash) (Swarm, bool) { return Swarm{Seeders: 3}, true }})
	rel := f.release(t, "one.iso", 1000)
	f.tree(t, "tree", "a", "b/c")
	type index struct {
		Total    int
		Releases []map[string]any
	}
	get := func(path string) (got index) {
		resp := f.get("GET", path)
		if resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("the header is %v, want JSON for all origins", resp.Header)
		}
		if err := json.Unmarshal([]byte(body(t, resp)), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := get("/index.json"); got.Total != 2 || len(got.Releases) != 2 {
		t.Errorf("index.json is %+v, want 2 releases", got)
	}
	if got := get("/index.json?limit=1&from=1"); got.Total != 2 || len(got.Releases) != 1 || got.Releases[0]["name"] != "tree" {
		t.Errorf("index.json with a limit is %+v, want the second of 2 releases", got)
	}
	one := get("/index.json?q=one").Releases[0]
	for field, want := range map[string]any{
		"name": "one.iso", "format": "hybrid", "info_hash_v1": rel.HashV1.String(), "info_hash_v2": rel.HashV2.String(),
		"total_length": 1000.0, "num_files": 1.0, "magnet": rel.Magnet, "published": "2026-11-04T14:03:00Z",
		"page_url": "http://localhost/r/one.iso", "torrent_url": "http://localhost/t/one.iso.torrent",
		"download_url": "http://localhost/d/one.iso~1", "metalink_url": "http://localhost/m/one.iso~1.meta4",
	} {
		if one[field] != want {
			t.Errorf("%s: %v, want %v", field, one[field], want)
		}
	}
	if live := one["live"].(map[string]any); live["seeders"] != 3.0 {
		t.Errorf("the live numbers are %v, want 3 seeds", live)
	}

	var tree struct{ Files []publish.ReleaseFile }
	if err := json.Unmarshal([]byte(body(t, f.get("GET", "/r/tree/release.json"))), &tree); err != nil {
		t.Fatal(err)
	}
	if len(tree.Files) != 2 || tree.Files[1].Path != "b/c" || !strings.HasSuffix(tree.Files[1].DownloadURL, "/d/tree~1/b/c") {
		t.Errorf("release.json of a tree is %+v, want 2 files with URLs", tree)
	}
}

// TestFeeds checks that the feeds are valid XML, contain the names of all releases and enclose
// their torrents.
func TestFeeds(t *testing.T) {
	f := newFixture(t, Options{BaseURL: &url.URL{Scheme: "https", Host: "dl.example.org"}})
	for _, name := range hostile {
		f.release(t, name, 5)
	}
	f.release(t, "one.iso", 1000)

	var rss rssFeed
	resp := f.get("GET", "/feed.xml")
	if err := xml.Unmarshal([]byte(body(t, resp)), &rss); err != nil {
		t.Fatal(err)
	}
	if len(rss.Channel.Items) != len(hostile)+1 {
		t.Errorf("the RSS feed has %d items, want %d", len(rss.Channel.Items), len(hostile)+1)
	}
	var atom atomFeed
	if err := xml.Unmarshal([]byte(body(t, f.get("GET", "/atom.xml"))), &atom); err != nil {
		t.Fatal(err)
	}
	var sitemap struct {
		Pages []string `xml:"url>loc"`
	}
	if err := xml.Unmarshal([]byte(body(t, f.get("GET", "/sitemap.xml"))), &sitemap); err != nil {
		t.Fatal(err)
	}
	if len(sitemap.Pages) != len(hostile)+2 || len(atom.Entries) != len(hostile)+1 {
		t.Errorf("the sitemap has %d pages and the Atom feed %d entries, want all releases", len(sitemap.Pages), len(atom.Entries))
	}
	found := false
	for i, item := range rss.Channel.Items {
		for _, link := range []string{item.Link, item.Enclosure.URL, sitemap.Pages[i+1], atom.Entries[i].Links[1].Href} {
			u, err := url.Parse(link)
			if err != nil || u.Host != "dl.example.org" || f.get("GET", u.EscapedPath()).StatusCode != 200 {
				t.Errorf("the link %s leads to no page of the site: %v", link, err)
			}
		}
		found = found || item.Title == "one.iso" && item.Enclosure.Type == "application/x-bittorrent" &&
			item.Enclosure.Length > 10 && item.Torrent.Length == 1000 && strings.HasPrefix(item.Torrent.Magnet, "magnet:?")
	}
	if !found {
		t.Errorf("the RSS feed has other data of one.iso: %+v", rss.Channel.Items)
	}
	if robots := body(t, f.get("GET", "/robots.txt")); !strings.Contains(robots, "Sitemap: https://dl.example.org/sitemap.xml\n") {
		t.Errorf("robots.txt is %q", robots)
	}
}

func TestMetalink(t *testing.T) {
	f := newFixture(t, Options{})
	f.summed(t, f.release(t, "one.iso", 0))
	f.tree(t, "tree", "a", "b/c")
	var m metalink
	resp := f.get("GET", "/m/one.iso.meta4")
	if err := xml.Unmarshal([]byte(body(t, resp)), &m); err != nil {
		t.Fatal(err)
	}
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if resp.Header.Get("Content-Type") != "application/metalink4+xml" || len(m.Files) != 1 || m.Files[0].Name != "one.iso" ||
		m.Files[0].Hash.Hex != empty || m.Files[0].URL != "http://localhost/d/one.iso~1" || m.Files[0].MetaURLs[0].URL != "http://localhost/t/one.iso~1.torrent" {
		t.Errorf("the Metalink of a file is %+v, want one file with its URL, hash and torrent", m)
	}
	m = metalink{}
	if err := xml.Unmarshal([]byte(body(t, f.get("GET", "/m/tree.meta4"))), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Files) != 2 || m.Files[1].Name != "tree/b/c" || m.Files[1].MetaURLs[0].Name != "tree/b/c" || m.Files[1].Size != 200 || m.Files[1].Hash != nil {
		t.Errorf("the Metalink of a tree has the files %+v, want two without hashes", m.Files)
	}
}

// TestProgramsReadStoredNames checks that sums, Metalinks, JSON, headers and command lines
// contain the names under which spate get stores the data, which have no characters that
// break these formats.
func TestProgramsReadStoredNames(t *testing.T) {
	names := append(slices.Clone(hostile), "tab\there", "del\x7f", "c1\u0085\u009b", "u\u2028\u2029", "\ufffe\uffff", "x\u200b", "x_", "a:b", "CON", "trailing. ",
		"\xe9t\xe9", "\xed\xa0\x80", "\xc0\xae", "👨‍👩‍👧", "é\u200d", "é")
	f := newFixture(t, Options{})
	rel := f.tree(t, "tree\t1", names...)
	f.summed(t, rel)
	page := publish.PagePath(rel.Ref())
	paths := make([]string, len(rel.Files))
	for i := range rel.Files {
		paths[i] = rel.Files[i].Path
	}
	want := metainfo.SafePaths(paths)
	if slices.Equal(want, paths) {
		t.Fatal("no name is unsafe")
	}

	var m metalink
	if err := xml.Unmarshal([]byte(body(t, f.get("GET", publish.MetalinkPath(rel.Ref())))), &m); err != nil {
		t.Fatal(err)
	}
	var info publish.ReleaseInfo
	if err := json.Unmarshal([]byte(body(t, f.get("GET", page+"/release.json"))), &info); err != nil {
		t.Fatal(err)
	}
	sums := strings.Split(body(t, f.get("GET", page+"/SHA256SUMS")), "\n")
	if len(m.Files) != len(want) || len(info.Files) != len(want) || len(sums) != len(want)+1 || info.Name != "tree_1" {
		t.Fatalf("%d files: the Metalink has %d, release.json of %q %d and SHA256SUMS %d lines", len(want), len(m.Files), info.Name, len(info.Files), len(sums)-1)
	}
	for i, path := range want {
		if got := m.Files[i].Name; got != "tree_1/"+path || m.Files[i].MetaURLs[0].Name != got {
			t.Errorf("the Metalink calls %q %q", path, got)
		}
		if got := info.Files[i].Path; got != path {
			t.Errorf("release.json calls %q %q", path, got)
		}
		if _, got, _ := strings.Cut(sums[i], "  "); got != "tree_1/"+path || strings.HasPrefix(sums[i], `\`) {
			t.Errorf("SHA256SUMS calls %q %q", path, sums[i])
		}
		u, err := url.Parse(m.Files[i].URL)
		if err != nil {
			t.Fatal(err)
		}
		if resp := f.get("GET", u.EscapedPath()); resp.StatusCode != 200 || strings.ContainsFunc(resp.Header.Get("Content-Disposition"), unicode.IsControl) {
			t.Errorf("GET %s: %s with the header %q", u.EscapedPath(), resp.Status, resp.Header["Content-Disposition"])
		}
	}
	one := f.release(t, "one\x1b\u200b\xff.iso", 5)
	if page := body(t, f.get("GET", publish.PagePath(one.Ref()))); !strings.Contains(page, "-o one___.iso ") {
		t.Error("the command line with curl does not store the file as one___.iso")
	}
	if got := f.get("GET", publish.DownloadPath(one.Ref())).Header.Get("Content-Disposition"); got != `attachment; filename="one___.iso"` {
		t.Errorf("Content-Disposition is %s", got)
	}
}

func TestChecksums(t *testing.T) {
	f := newFixture(t, Options{})
	rel := f.tree(t, "tree", "a", "b/c", "new\nline", `back\slash`)
	if resp := f.get("GET", "/r/tree/SHA256SUMS"); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("SHA256SUMS before the sums are computed gave %s, want 503", resp.Status)
	}
	f.summed(t, rel)
	sums := body(t, f.get("GET", "/r/tree/SHA256SUMS"))
	for published, stored := range map[string]string{"new\nline": "new_line", `back\slash`: "back_slash"} {
		if err := os.Rename(filepath.Join(f.dir, "tree", published), filepath.Join(f.dir, "tree", stored)); err != nil {
			t.Fatal(err)
		}
	}
	if prog, err := exec.LookPath("sha256sum"); err == nil {
		check := exec.Command(prog, "--check", "--strict")
		check.Dir, check.Stdin = f.dir, strings.NewReader(sums)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("sha256sum failed: %v\n%s\n%s", err, out, sums)
		}
	}
	one := f.release(t, "one.iso", 0)
	f.summed(t, one)
	if got := f.get("GET", "/d/one.iso").Header.Get("Repr-Digest"); got != "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:" {
		t.Errorf("the header Repr-Digest is %s, want the SHA-256 of an empty file", got)
	}
	if page := body(t, f.get("GET", "/r/one.iso")); !strings.Contains(page, "e3b0c442") || !strings.Contains(page, "/r/one.iso/SHA256SUMS") {
		t.Error("the page does not contain the checksum and the link to SHA256SUMS")
	}
}

func TestLinkedData(t *testing.T) {
	f := newFixture(t, Options{})
	for _, name := range hostile {
		f.release(t, name, 5)
		page := body(t, f.get("GET", publish.PagePath(publish.SlugOf(name))))
		_, rest, _ := strings.Cut(page, `<script type="application/ld+json">`)
		data, _, _ := strings.Cut(rest, "</script>")
		var got linkedData
		if err := json.Unmarshal([]byte(data), &got); err != nil {
			t.Errorf("decoding the linked data %q: %v", data, err)
		}
		if got.Type != "DataDownload" || got.Name != display(name) {
			t.Errorf("the linked data of %q is %+v, want a DataDownload with its name", name, got)
		}
		if !strings.Contains(page, `<meta property="og:title" content="`+htmlOf(display(name))+`">`) {
			t.Errorf("the page of %q has no og:title with its name", name)
		}
	}
}

func TestPictures(t *testing.T) {
	f := newFixture(t, Options{Swarm: func(spate.InfoHash) (Swarm, bool) { return Swarm{Seeders: 1}, true }})
	for _, name := range hostile {
		f.release(t, name, 5)
		for _, file := range []string{"badge.svg", "qr.svg"} {
			resp := f.get("GET", publish.PagePath(publish.SlugOf(name))+"/"+file)
			var doc struct {
				XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
			}
			if err := xml.Unmarshal([]byte(body(t, resp)), &doc); err != nil || resp.Header.Get("Content-Type") != "image/svg+xml" {
				t.Errorf("%s of %q is not a valid SVG picture: %v", file, name, err)
			}
		}
	}
	if got := body(t, f.get("GET", publish.PagePath(hostile[0])+"/badge.svg")); !strings.Contains(got, "5 B · 1 seed<") {
		t.Errorf("the badge does not show the size and one seed: %s", got)
	}
}

// TestQRCodeLeadsToPage checks that the QR code of a page contains the address of the page.
func TestQRCodeLeadsToPage(t *testing.T) {
	f := newFixture(t, Options{BaseURL: &url.URL{Scheme: "https", Host: "dl.example.org", Path: "/pub"}})
	f.release(t, "a b.iso", 1)
	code, err := qr.Encode("https://dl.example.org/pub/r/a-b.iso", qr.L)
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, f.get("GET", "/r/a%20b.iso/qr.svg")); got != drawQR(code) {
		t.Errorf("the QR code does not contain the address of the page: %s", got)
	}
}

package site

import (
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"html"
	"io/fs"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"spate/publish"
)

// manyFiles lists a tree of n files in folders of 100. It has no data.
func (f fixture) manyFiles(t *testing.T, n int) *publish.Release {
	t.Helper()
	return sample(t, f.catalog, f.dir, func(r *publish.Release) {
		r.Name, r.Files, r.NumFiles, r.Summed, r.Size = "tree", nil, n, true, 0
		for i := range n {
			r.Files = append(r.Files, publish.File{Path: fmt.Sprintf("folder %02d & more/sub/file-%04d.txt", i/100, i), Length: 10, SHA256: [32]byte{byte(i)}})
			r.Size += 10
		}
	})
}

// TestFolders checks the pages of folders, the filter, and that hashes are shown only on demand.
func TestFolders(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.manyFiles(t, 450)
	for path, c := range map[string]struct{ has, lacks []string }{
		"/r/tree": {
			[]string{`<a href="/r/tree/files?dir=folder&#43;00&#43;%26&#43;more"><bdi>folder 00 &amp; more/</bdi></a> <small>100 files</small>`, `<td title="1,000 bytes">1.0 kB</td>`, `<a href="/r/tree/files">All 450 files</a>`},
			[]string{"file-0000.txt", "<code>00000000"}},
		"/r/tree/files?dir=": {[]string{"folder 04 &amp; more/", "<small>50 files</small>", `<a href="/r/tree/files">All files</a>`}, []string{"file-0000.txt"}},
		"/r/tree/files?dir=folder+04+%26+more/sub": {
			[]string{`<a href="/r/tree/files?dir=folder&#43;04&#43;%26&#43;more"><bdi>folder 04 &amp; more</bdi></a>`, `<a href="/d/tree/folder%2004%20&amp;%20more/sub/file-0449.txt"><bdi>file-0449.txt</bdi></a>`, `dir=folder&#43;04&#43;%26&#43;more%2Fsub&amp;hashes=1" rel="nofollow">Show SHA-256`},
			[]string{"file-0399.txt", "<code>"}},
		"/r/tree/files?dir=folder+04+%26+more/sub&hashes=1": {[]string{"<code>c100000000000000", "Hide SHA-256"}, nil},
		"/r/tree/files?q=SUB+0377":                          {[]string{"1 entry for “<bdi>SUB 0377</bdi>”", "file-0377.txt"}, []string{"file-0376.txt"}},
		"/r/tree/files?q=nothing":                           {[]string{"0 entries"}, []string{"file-"}},
		"/r/tree/files":                                     {[]string{`<a href="/r/tree/files?dir=">Folders</a>`, "file-0199.txt", `href="/z/tree.zip"`, "SHA256SUMS"}, []string{"file-0200.txt", "<code>"}},
	} {
		page := body(t, f.get("GET", path))
		checkNoActiveContent(t, page)
		if len(page) > MaxPage {
			t.Errorf("%s has %d bytes", path, len(page))
		}
		for _, want := range c.has {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not contain %s:\n%s", path, want, page)
			}
		}
		for _, bad := range c.lacks {
			if strings.Contains(page, bad) {
				t.Errorf("%s contains %s", path, bad)
			}
		}
	}
	if resp := f.get("GET", "/r/tree/files?dir=none"); resp.StatusCode != 404 {
		t.Errorf("a folder that does not exist gave %s", resp.Status)
	}
}

// TestBack checks that "Back" leads to the page before, also if pages have different numbers of rows
// because of long names.
func TestBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for i := range 100 {
		sample(t, f.catalog, sparse(t, 1, f.dir, "x"), func(r *publish.Release) {
			r.Name = fmt.Sprintf("%03d%s", i, strings.Repeat("long", i%60))
			r.HashV1, r.HashV2 = sha1.Sum([]byte(r.Name)), sha256.Sum256([]byte(r.Name))
		})
	}
	sample(t, f.catalog, f.dir, func(r *publish.Release) {
		r.Name, r.Files, r.NumFiles = "tree", nil, 900
		for i := range r.NumFiles {
			r.Files = append(r.Files, publish.File{Path: fmt.Sprintf("%04d%s", i, strings.Repeat("é", i%120))})
		}
	})
	for start, row := range map[string]string{"/": `<h2><a href="([^"]*)"`, "/r/tree/files": `<td><a href="([^"]*)"`} {
		find := regexp.MustCompile(row)
		link := func(page, rel string) string {
			m := regexp.MustCompile(`rel="` + rel + `" href="([^"]*)"`).FindStringSubmatch(page)
			if m == nil {
				return ""
			}
			return html.UnescapeString(m[1])
		}
		rows := func(page string) (out []string) {
			for _, m := range find.FindAllStringSubmatch(page, -1) {
				out = append(out, m[1])
			}
			return out
		}
		var forward []string
		last := ""
		for at := start; at != ""; {
			page := body(t, f.get("GET", at))
			forward = append(forward, rows(page)...)
			last, at = at, link(page, "next")
		}
		var back []string
		for at := last; at != ""; {
			page := body(t, f.get("GET", at))
			back = append(rows(page), back...)
			at = link(page, "prev")
		}
		if len(forward) < 100 || !slices.Equal(forward, back) {
			t.Errorf("%s: %d rows forward and %d back, want the same", start, len(forward), len(back))
		}
	}
}

func TestPageOf(t *testing.T) {
	t.Parallel()
	cost := func(i int) int { return []int{5, 5, 5, 50, 1, 1, 1}[i] }
	for at, want := range map[int][3]int{0: {0, -1, 2}, 1: {0, -1, 2}, 2: {2, 0, 3}, 3: {3, 2, 4}, 4: {4, 3, 6}, 5: {4, 3, 6}, 6: {6, 4, -1}, 99: {6, 4, -1}} {
		if start, prev, next := pageOf(7, at, 3, 12, cost); [3]int{start, prev, next} != want {
			t.Errorf("the page of entry %d is %d, %d, %d, want %v", at, start, prev, next, want)
		}
	}
	if start, prev, next := pageOf(0, 5, 3, 12, cost); start != 0 || prev != -1 || next != -1 {
		t.Errorf("the page of an empty list is %d, %d, %d", start, prev, next)
	}
}

// TestPageOfManyEntries checks that the cost of a page does not depend on the number of entries or on
// the position, and that the pages forward are those back.
func TestPageOfManyEntries(t *testing.T) {
	t.Parallel()
	const n, per = 300_000, 200
	asked := 0
	cost := func(i int) int { asked++; return 1 + i%7 }
	for _, at := range []int{0, 199, 200, 150_000, n - 1, n} {
		asked = 0
		pageOf(n, at, per, 300, cost)
		if asked > 2*per {
			t.Errorf("the page of entry %d asked for the cost of %d entries, want at most %d", at, asked, 2*per)
		}
	}
	before := -1
	for at := 0; at >= 0 && at < 5000; {
		start, prev, next := pageOf(n, at, per, 300, cost)
		if start != at || prev != before {
			t.Fatalf("the page of entry %d is from %d after %d, want after %d", at, start, prev, before)
		}
		before, at = at, next
	}
}

// TestSearchesTakeSlots checks that requests that look at all files wait for a slot, and those for a page
// of all files do not.
func TestSearchesTakeSlots(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Wait: -1})
	f.manyFiles(t, minKeptFiles)
	f.tree(t, "few", "a/b")
	for range maxSearches {
		defer f.searches.enter(t.Context(), 0, f.networkOf(httptest.NewRequest("GET", "/", nil)), func() {}).leave()
	}
	for path, want := range map[string]int{
		"/r/tree/files?q=x": 503, "/r/tree/files?dir=": 503, "/?q=x": 503, "/index.json?q=x": 503,
		"/r/tree/files": 200, "/r/tree/files?from=400": 200, "/r/tree": 200, "/": 200, "/r/few/files?q=x": 200,
	} {
		if resp := f.get("GET", path); resp.StatusCode != want {
			t.Errorf("%s while %d others search: %s, want %d", path, maxSearches, resp.Status, want)
		}
	}
}

// TestExportOfManyFiles checks that an export of 5,000 files has few pages, and no links to what only a
// server can answer.
func TestExportOfManyFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.manyFiles(t, 5000)
	out := filepath.Join(t.TempDir(), "www")
	base := &url.URL{Scheme: "https", Host: "dl.example.org"}
	if _, err := Export(t.Context(), f.catalog, out, ExportOptions{Site: Options{BaseURL: base}}); err != nil {
		t.Fatal(err)
	}
	pages := 0
	filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "index.html" {
			pages++
			page := readFile(t, path)
			for _, bad := range []string{"/z/", "dir=", "hashes=", "<form"} {
				if strings.Contains(page, bad) {
					t.Errorf("%s contains %s", path, bad)
				}
			}
			if len(page) > MaxPage {
				t.Errorf("%s has %d bytes", path, len(page))
			}
		}
		return err
	})
	if pages < 25 || pages > 200 {
		t.Errorf("the export has %d pages, want 25 to 200", pages)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

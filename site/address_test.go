package site

import (
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spate/publish"
)

// TestNiceAddresses checks that pages link to the nice address of a release, and that its first address
// stays valid and names the nice one as canonical.
func TestNiceAddresses(t *testing.T) {
	t.Parallel()
	base := &url.URL{Scheme: "https", Host: "dl.example.org"}
	f := newFixture(t, Options{BaseURL: base})
	f.release(t, "My File [v1.2] (x64)", 1000)
	const old, nice, canon = "/r/My%20File%20%5Bv1.2%5D%20%28x64%29", "/r/my-file-v1.2-x64", `<link rel="canonical" href="https://dl.example.org/r/my-file-v1.2-x64">`
	if page := body(t, f.get("GET", "/")); !strings.Contains(page, `<h2><a href="`+nice+`">`) {
		t.Errorf("the index does not link to %s:\n%s", nice, page)
	}
	for _, at := range []string{old, nice} {
		resp := f.get("GET", at)
		page := body(t, resp)
		for _, want := range []string{canon, "spate get https://dl.example.org" + nice + "<", `href="/d/My%20File%20%5Bv1.2%5D%20%28x64%29"`, `curl -C - -o &#39;My File [v1.2] (x64)&#39;`} {
			if resp.StatusCode != 200 || !strings.Contains(page, want) {
				t.Errorf("%s: %s, without %s:\n%s", at, resp.Status, want, page)
			}
		}
	}
	if page := body(t, f.get("GET", nice+"~1")); !strings.Contains(page, `<link rel="canonical" href="https://dl.example.org`+old+`~1">`) {
		t.Errorf("the page of a version has another canonical address:\n%s", page)
	}
	for path, want := range map[string]int{nice + "/files": 200, "/d/my-file-v1.2-x64": 200, "/t/my-file-v1.2-x64.torrent": 200, nice + "/release.json": 200, "/r/my-file": 404} {
		if resp := f.get("GET", path); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, resp.Status, want)
		}
	}
	if json := body(t, f.get("GET", "/index.json")); !strings.Contains(json, `"page_url":"https://dl.example.org`+nice+`"`) || !strings.Contains(json, `"torrent_url":"https://dl.example.org/t/My%20File`) {
		t.Errorf("index.json is %s", json)
	}

	for _, path := range []string{"", "/release.json"} {
		if links := strings.Join(f.get("GET", nice+path).Header["Link"], "\n"); strings.Contains(links, "my-file") || !strings.Contains(links, "</t/My%20File%20%5Bv1.2%5D%20%28x64%29.torrent>") {
			t.Errorf("%s has the links %s", nice+path, links)
		}
	}
	if resp := f.get("GET", nice+"/?lang=de"); resp.StatusCode != 308 || resp.Header.Get("Location") != nice+"?lang=de" {
		t.Errorf("with a slash: %s to %s", resp.Status, resp.Header.Get("Location"))
	}
	if sitemap := body(t, f.get("GET", "/sitemap.xml")); !strings.Contains(sitemap, "<loc>https://dl.example.org"+nice+"</loc>") {
		t.Errorf("the sitemap is %s", sitemap)
	}
	if page := body(t, f.get("GET", old)); !strings.Contains(page, `"url":"https://dl.example.org`+nice+`"`) {
		t.Errorf("the data for search engines has another address:\n%s", page)
	}

	out := filepath.Join(t.TempDir(), "www")
	if _, err := Export(t.Context(), f.catalog, out, ExportOptions{Site: Options{BaseURL: base}}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"r/my-file-v1.2-x64/index.html": true, "r/My File [v1.2] (x64)/index.html": true, "r/My File [v1.2] (x64)/qr.svg": true, "d/My File [v1.2] (x64)": true, "de/r/my-file-v1.2-x64/index.html": true,
		"r/my-file-v1.2-x64/qr.svg": false, "t/my-file-v1.2-x64.torrent": false, "d/my-file-v1.2-x64": false, "de/r/My File [v1.2] (x64)": false,
	} {
		if _, err := os.Stat(filepath.Join(out, filepath.FromSlash(path))); (err == nil) != want {
			t.Errorf("the export has %s: %t, want %t", path, err == nil, want)
		}
	}
}

// TestPagesOfTheIndexHaveTheirOwnCanonicalURL checks the canonical URL of pages of a list, and the URLs of
// the same page in other languages.
func TestPagesOfTheIndexHaveTheirOwnCanonicalURL(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{BaseURL: &url.URL{Scheme: "https", Host: "dl.example.org", Path: "/pub"}})
	group := "A & B"
	for i := range perIndex + 2 {
		rel := f.release(t, fmt.Sprint("file-", i), 10)
		if err := f.catalog.Update(t.Context(), rel.Ref(), publish.Change{Group: &group}); err != nil {
			t.Fatal(err)
		}
	}
	f.release(t, "other", 10)
	const base = "https://dl.example.org/pub/"
	for at, want := range map[string]string{
		"/": "", "/?lang=de": "?lang=de", "/?from=30": "?from=30", "/?from=31&utm=x": "?from=30", "/?from=0": "", "/?from=nonsense": "",
		"/?group=A+%26+B": "?group=A+%26+B", "/?from=30&group=A+%26+B&lang=es": "?from=30&group=A+%26+B&lang=es", "/?all=1": "?all=1",
	} {
		page := body(t, f.get("GET", at))
		if tag := `<link rel="canonical" href="` + html.EscapeString(base+want) + `">`; !strings.Contains(html.UnescapeString(page), html.UnescapeString(tag)) {
			t.Errorf("%s: the page does not contain %s:\n%s", at, tag, page)
		}
		german := strings.NewReplacer("?lang=es", "", "&lang=es", "", "?lang=de", "").Replace(want)
		if german == "" {
			german = "?lang=de"
		} else {
			german += "&lang=de"
		}
		if tag := `hreflang="de" href="` + base + german + `">`; !strings.Contains(html.UnescapeString(page), tag) {
			t.Errorf("%s: the page does not contain %s", at, tag)
		}
	}
	if page := body(t, f.get("GET", "/?q=file")); strings.Contains(page, "canonical") {
		t.Errorf("a search has a canonical URL:\n%s", page)
	}
}

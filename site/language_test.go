package site

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/publish"
)

// TestLanguageOfPages checks which language a page has, and that caches know what it depends on.
func TestLanguageOfPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{BaseURL: &url.URL{Scheme: "https", Host: "dl.example.org", Path: "/pub"}})
	f.release(t, "one.iso", 1_500_000_000)
	f.tree(t, "tree", "a/b")
	texts := map[string]string{"en": "Faster with BitTorrent", "de": "Schneller mit BitTorrent", "es": "Más rápido con BitTorrent", "zh-Hans": "用 BitTorrent 更快"}
	for _, c := range []struct{ query, cookie, accept, want string }{
		{"", "", "", "en"}, {"", "", "fr", "en"}, {"", "", "de-AT,en;q=0.5", "de"}, {"", "", "fr, es-MX;q=0.8, en;q=0.1", "es"}, {"", "", "zh-CN", "zh-Hans"}, {"", "", "zh-TW", "zh-Hans"},
		{"", "", strings.Repeat("de,", 1000), "en"}, {"", "", "de;q=x,,;", "en"}, {"", "", "*", "en"},
		{"", "de", "es", "de"}, {"", "en", "es", "en"}, {"", "fr", "es", "es"}, {"?lang=zh", "de", "es", "zh-Hans"}, {"?lang=xx", "de", "es", "de"},
	} {
		header := []string{"Accept-Language", c.accept}
		if c.cookie != "" {
			header = append(header, "Cookie", "other=1; spate-lang="+c.cookie)
		}
		resp := f.get("GET", "/r/one.iso"+c.query, header...)
		page := body(t, resp)
		if !strings.Contains(page, `<html lang="`+c.want+`"`) || !strings.Contains(page, texts[c.want]) {
			t.Errorf("%+v: the page is not in the language", c)
		}
		if got := resp.Header.Get("Vary"); got != "Accept-Language, Cookie" {
			t.Errorf("%+v: Vary is %q", c, got)
		}
		cookie := resp.Header.Get("Set-Cookie")
		if known := c.query == "?lang=zh"; known != strings.HasPrefix(cookie, "spate-lang=zh; Path=/pub/; Max-Age=") || !known && cookie != "" {
			t.Errorf("%+v: the response sets the cookie %q", c, cookie)
		}
	}
	page := body(t, f.get("GET", "/r/tree/files?lang=de&from=0&q=b"))
	for _, want := range []string{`<a href="/pub/r/tree/files?from=0&amp;lang=es&amp;q=b" hreflang="es" lang="es" rel="nofollow">Español</a>`, "<strong>Deutsch</strong>", "1 Treffer für „<bdi>b</bdi>“"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not contain %s:\n%s", want, page)
		}
	}
	page = body(t, f.get("GET", "/r/one.iso", "Accept-Language", "de"))
	for _, want := range []string{
		`<link rel="canonical" href="https://dl.example.org/pub/r/one.iso?lang=de">`, `<link rel="alternate" hreflang="en" href="https://dl.example.org/pub/r/one.iso">`,
		`<link rel="alternate" hreflang="x-default" href="https://dl.example.org/pub/r/one.iso">`,
		`<link rel="alternate" hreflang="zh-Hans" href="https://dl.example.org/pub/r/one.iso?lang=zh">`,
		"1,5 GB herunterladen", "4. November 2026, 14:03 UTC", "1.500.000.000 Byte", "spate get https://dl.example.org/pub/r/one.iso<",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the German page does not contain %s:\n%s", want, page)
		}
	}
	// Errors for people are translated, those for programs are not; nor are documents for programs.
	if got := body(t, f.get("GET", "/r/none", "Accept-Language", "de", "Accept", "text/html")); !strings.Contains(got, "Diesen Download gibt es nicht") {
		t.Errorf("the error page is %s", got)
	}
	for _, path := range []string{"/r/none", "/feed.xml", "/index.json", "/r/one.iso/release.json"} {
		german, english := f.get("GET", path, "Accept-Language", "de"), f.get("GET", path)
		if body(t, german) != body(t, english) {
			t.Errorf("%s depends on the language", path)
		}
	}
}

// TestIndexIsKeptForEachLanguage checks that visitors with different languages do not get each other's index.
func TestIndexIsKeptForEachLanguage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.tree(t, "tree", "a", "b")
	for range 2 {
		for lang, want := range map[string]string{"de": "4. November 2026", "es": "4 de noviembre de 2026", "zh-CN": "2026年11月4日", "en": "4 November 2026"} {
			page := body(t, f.get("GET", "/", "Accept-Language", lang))
			checkNoActiveContent(t, page)
			if !strings.Contains(page, want) {
				t.Errorf("the index for %s does not contain %q:\n%s", lang, want, page)
			}
		}
	}
}

// TestLiveNumbersInLanguage checks that events contain texts in the language of the page.
func TestLiveNumbersInLanguage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Swarm: func(spate.InfoHash) (Swarm, bool) { return Swarm{Completed: 1}, true }})
	rel := f.release(t, "one.iso", 1_500_000)
	f.catalog.Count(t.Context(), rel.Hash(), time.Now(), publish.Counts{Completed: 12_345})
	f.Close() // a stream ends after the first event
	if page := body(t, f.get("GET", "/r/one.iso?lang=de")); !strings.Contains(page, `data-live="/r/one.iso/live?lang=de"`) {
		t.Error("the page asks for numbers in another language")
	}
	if got := body(t, f.get("GET", "/r/one.iso/live?lang=de")); !strings.Contains(got, `"delivered_text":"12.345 vollständige Downloads"`) || !strings.Contains(got, `"saved_text":"19 GB"`) {
		t.Errorf("the event is %s", got)
	}
}

// TestExportOfLanguages checks that an export has a tree of pages for each language, whose pages link to
// each other, and that documents and data exist once.
func TestExportOfLanguages(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.manyFiles(t, 30)
	out := filepath.Join(t.TempDir(), "www")
	if _, err := Export(t.Context(), f.catalog, out, ExportOptions{Site: Options{BaseURL: &url.URL{Scheme: "https", Host: "dl.example.org", Path: "/pub"}}}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"index.html":                 {`<html lang="en"`, `<a href="/pub/de/" hreflang="de"`, `<a href="/pub/r/tree">`},
		"de/index.html":              {`<html lang="de"`, `<a href="/pub/" hreflang="en"`, `<a href="/pub/de/r/tree">`, `<link rel="canonical" href="https://dl.example.org/pub/de/">`},
		"zh/index.html":              {`<html lang="zh-Hans"`, `<strong>简体中文</strong>`},
		"r/tree/index.html":          {`hreflang="de" href="https://dl.example.org/pub/de/r/tree"`, `<a href="/pub/de/r/tree" hreflang="de"`},
		"r/tree~1/index.html":        {`<a href="/pub/de/r/tree" hreflang="de"`},
		"de/r/tree/index.html":       {`src="/pub/r/tree/qr.svg"`, `href="/pub/t/tree.torrent"`, `href="/pub/d/tree/folder%2000`, `href="/pub/de/r/tree/files"`, `<a href="/pub/de/">Downloads</a>`, `spate get https://dl.example.org/pub/r/tree<`},
		"de/r/tree/files/index.html": {`<a href="/pub/r/tree/files" hreflang="en"`, `<a href="/pub/de/r/tree">`},
	} {
		page := readFile(t, filepath.Join(out, filepath.FromSlash(path)))
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s does not contain %s:\n%s", path, text, page)
			}
		}
	}
	for _, path := range []string{"de/r/tree~1", "de/t", "de/d", "de/r/tree/qr.svg", "en"} {
		if _, err := os.Stat(filepath.Join(out, filepath.FromSlash(path))); err == nil {
			t.Errorf("the export has %s, which exists in English only", path)
		}
	}
}

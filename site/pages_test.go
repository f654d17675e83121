package site

import (
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"spate"
	"spate/publish"
)

// tags matches the tags of a page, and attributes the attributes of a tag.
var (
	tags       = regexp.MustCompile(`<([a-zA-Z/!][^\s>]*)([^>]*)>`)
	attributes = regexp.MustCompile(`\s([a-zA-Z0-9:-]+)="([^"]*)"`)
)

// clientLinks are the links of the pages to other sites.
var clientLinks = []string{"https://www.qbittorrent.org/download", "https://transmissionbt.com/download", "https://libretorrent.org/"}

// checkNoActiveContent checks that a page has no inline script, event handler or style, and links only to
// this site, to magnet links and to clientLinks.
func checkNoActiveContent(t *testing.T, page string) {
	t.Helper()
	for _, tag := range tags.FindAllStringSubmatch(page, -1) {
		if tag[1] == "script" && !strings.Contains(tag[2], "src=\"/static/site.js") && !strings.Contains(tag[2], `type="module" src="/static/download/`) && !strings.Contains(tag[2], "application/ld+json") {
			t.Errorf("the page has a script of another site or an inline one: %s", tag[0])
		}
		if strings.Count(attributes.ReplaceAllString(tag[2], ""), `"`) > 0 {
			t.Errorf("an attribute that is not closed: %s", tag[0])
		}
		for _, a := range attributes.FindAllStringSubmatch(tag[2], -1) {
			value := html.UnescapeString(a[2])
			switch {
			case strings.HasPrefix(a[1], "on"), a[1] == "style":
				t.Errorf("the page has the attribute %s in %s", a[1], tag[0])
			case a[1] == "href" || a[1] == "src" || a[1] == "action":
				own := strings.HasPrefix(value, "/") || strings.HasPrefix(value, "#") || strings.HasPrefix(value, "magnet:?") || strings.HasPrefix(value, "http://localhost/") ||
					a[1] == "href" && slices.Contains(clientLinks, value)
				if !own || strings.HasPrefix(value, "//") {
					t.Errorf("the page has a link to %q", value)
				}
			}
		}
	}
	for _, c := range page {
		if c < ' ' && c != '\n' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == 0x202e {
			t.Errorf("the page contains the character %U", c)
		}
	}
}

func TestHostileNames(t *testing.T) {
	f := newFixture(t, Options{})
	for i, name := range hostile {
		f.release(t, name, int64(i))
	}
	checkNoActiveContent(t, body(t, f.get("GET", "/")))
	for _, name := range hostile {
		t.Run(name, func(t *testing.T) {
			slug := publish.SlugOf(name)
			resp := f.get("GET", publish.PagePath(slug))
			page := body(t, resp)
			if resp.StatusCode != 200 {
				t.Fatalf("%s: the response is %s, want 200", publish.PagePath(slug), resp.Status)
			}
			checkNoActiveContent(t, page)
			if len(page) > MaxPage {
				t.Errorf("the page has %d bytes, want at most %d", len(page), MaxPage)
			}
			if !strings.Contains(page, "<h1><bdi>"+htmlOf(display(name))+"</bdi></h1>") {
				t.Errorf("the page does not contain the name:\n%s", page)
			}
			checkNoActiveContent(t, body(t, f.get("GET", publish.PagePath(slug)+"/files")))
			for _, path := range []string{publish.TorrentPath(slug), publish.DownloadPath(slug)} {
				resp := f.get("GET", path)
				if resp.StatusCode != 200 {
					t.Errorf("%s: the response is %s, want 200", path, resp.Status)
				}
				for h, v := range resp.Header {
					if strings.ContainsFunc(strings.Join(v, ""), func(c rune) bool { return c < ' ' || c > 0x7e }) {
						t.Errorf("%s: the header %s has special characters: %q", path, h, v)
					}
				}
			}
		})
	}
	for _, q := range hostile {
		page := body(t, f.get("GET", "/?q="+url.QueryEscape(q), "Accept", "text/html"))
		if !utf8.ValidString(q) || strings.ContainsAny(q, "\x1b\r\u202e") {
			continue // the query of the visitor, which the page contains in an attribute
		}
		checkNoActiveContent(t, page)
	}
	checkNoActiveContent(t, body(t, f.get("GET", "/r/"+url.PathEscape(hostile[1]+"?"), "Accept", "text/html")))
}

// htmlOf escapes the way html/template does.
func htmlOf(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "+", "&#43;", "`", "`").Replace(s)
}

func TestHostileFiles(t *testing.T) {
	f := newFixture(t, Options{})
	sample(t, f.catalog, f.dir, func(r *publish.Release) {
		r.Name, r.Files = "tree", nil
		for i, name := range hostile {
			r.Files = append(r.Files, publish.File{Path: fmt.Sprintf("%d/%s/%s", i, name, name)})
		}
		r.NumFiles = len(r.Files)
		r.Comment = hostile[0] + hostile[5] + hostile[6]
		r.Announce = [][]string{{"http://example.org/<script>/announce", "javascript:alert(1)"}}
		r.WebSeeds = []string{hostile[1]}
		r.Magnet = `magnet:?xt="><script>`
	})
	for _, path := range []string{"/r/tree", "/r/tree/files"} {
		page := body(t, f.get("GET", path))
		checkNoActiveContent(t, page)
		if strings.Contains(page, "magnet:?") {
			t.Error("the page has a magnet link with special characters")
		}
	}
}

// TestPageSize checks that pages stay small even with many releases and files, and that the
// pages behind "More" list everything exactly once.
func TestPageSize(t *testing.T) {
	f := newFixture(t, Options{})
	long := strings.Repeat("€", 80)
	for i := range 150 {
		sample(t, f.catalog, sparse(t, 1, f.dir, "x"), func(r *publish.Release) {
			r.Name = fmt.Sprintf("%03d%s", i, long)
			r.HashV1, r.HashV2 = sha1.Sum([]byte(r.Name)), sha256.Sum256([]byte(r.Name))
		})
	}
	sample(t, f.catalog, f.dir, func(r *publish.Release) {
		r.Name, r.Files = "tree", nil
		for i := range 1000 {
			r.Files = append(r.Files, publish.File{Path: fmt.Sprintf("%s/%s/%04d", long, long, i)})
		}
		r.NumFiles = len(r.Files)
	})
	follow := func(at, row string, want int) {
		seen := map[string]bool{}
		find := regexp.MustCompile(row)
		next := regexp.MustCompile(`rel="next" href="([^"]*)"`)
		for pages := 0; ; pages++ {
			page := body(t, f.get("GET", at))
			if len(page) > MaxPage || pages > want {
				t.Fatalf("page %d at %s has %d bytes", pages, at, len(page))
			}
			for _, m := range find.FindAllStringSubmatch(page, -1) {
				if seen[m[1]] {
					t.Fatalf("the pages list %s twice", m[1])
				}
				seen[m[1]] = true
			}
			m := next.FindStringSubmatch(page)
			if m == nil {
				break
			}
			at = html.UnescapeString(m[1])
		}
		if len(seen) != want {
			t.Errorf("%d rows were shown, want %d", len(seen), want)
		}
	}
	follow("/", `<h2><a href="/r/([^"]*)"`, 151)
	follow("/r/tree/files", `<td><a href="([^"]*)"`, 1000)
	for _, path := range []string{"/", "/r/tree", "/r/tree/files"} {
		for _, l := range f.languages.All {
			if page := body(t, f.get("GET", path+"?lang="+l.Code)); len(page) > MaxPage {
				t.Errorf("%s in %s has %d bytes", path, l.Name, len(page))
			}
		}
	}
}

func TestCommands(t *testing.T) {
	f := newFixture(t, Options{BaseURL: &url.URL{Scheme: "https", Host: "dl.example.org"}})
	f.release(t, "one.iso", 1)
	f.release(t, "it's a & b.iso", 1)
	f.tree(t, "tree", "x")
	for path, want := range map[string][]string{
		"/r/one.iso": {
			"spate get https://dl.example.org/r/one.iso",
			"aria2c https://dl.example.org/t/one.iso.torrent",
			"transmission-cli -w . https://dl.example.org/t/one.iso.torrent",
			"curl -C - -O https://dl.example.org/d/one.iso",
		},
		"/r/it%27s%20a%20&%20b.iso": {
			"spate get https://dl.example.org/r/its-a-b.iso", // its nice address
			`curl -C - -o 'it'\''s a & b.iso' 'https://dl.example.org/d/it%27s%20a%20&%20b.iso'`,
		},
		"/r/tree": {"spate get https://dl.example.org/r/tree"},
	} {
		page := html.UnescapeString(body(t, f.get("GET", path)))
		for _, line := range want {
			if !strings.Contains(page, ">"+line+"</code>") {
				t.Errorf("%s does not contain the command line %s", path, line)
			}
		}
		if path == "/r/tree" && strings.Contains(page, "curl ") {
			t.Error("the page of a tree has a command line for curl")
		}
	}
}

func TestBase(t *testing.T) {
	f := newFixture(t, Options{Hosts: []string{"dl.example.org"}})
	f.release(t, "one.iso", 1)
	for host, want := range map[string]string{
		"dl.example.org":        "http://dl.example.org/r/",
		"DL.example.org:6969":   "http://dl.example.org:6969/r/",
		"localhost:80":          "http://localhost/r/",
		"localhost:6969":        "http://localhost:6969/r/",
		"192.0.2.7:6969":        "http://192.0.2.7:6969/r/",
		"[2001:db8::1]:6969":    "http://[2001:db8::1]:6969/r/",
		"[2001:db8::1]":         "http://[2001:db8::1]/r/",
		"evil.example":          "http://localhost/r/",
		"evil.example:6969":     "http://localhost/r/",
		"localhost:99999":       "http://localhost/r/",
		"localhost:":            "http://localhost/r/",
		"2001:db8::1":           "http://localhost/r/",
		"a@localhost":           "http://localhost/r/",
		"localhost:6969@evil":   "http://localhost/r/",
		"[::1]evil:80":          "http://localhost/r/",
		"":                      "http://localhost/r/",
		"localhost/\"><script>": "http://localhost/r/",
	} {
		req, _ := http.NewRequest("GET", "/r/one.iso", nil)
		req.Host = host
		if got := f.base(req).String() + "/r/"; got != want {
			t.Errorf("with the Host header %q the base URL is %s, want %s", host, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	var rel *publish.Release
	f := newFixture(t, Options{
		Swarm: func(ih spate.InfoHash) (Swarm, bool) {
			if ih == rel.HashV1 {
				return Swarm{Seeders: 12, Leechers: 3401, Completed: 10}, true
			}
			return Swarm{Seeders: 2, Leechers: 3500, Completed: 1}, true
		},
		Origin: func(spate.InfoHash) (Sent, bool) { return Sent{Bytes: 2500, Rate: 1_500_000}, true },
	})
	rel = f.release(t, "one.iso", 1000)
	body(t, f.get("GET", "/d/one.iso"))
	want := numbers{Known: true, Seeds: 12, Leeches: 3500, Rate: 1_500_000,
		Counts: publish.Counts{Completed: 10, SeedBytes: 2500, HTTPBytes: 1000}, Delivered: 10, Sent: 3500, Copies: 3.5, Saved: 6500}
	if got := f.numbers(t.Context(), rel); got != want {
		t.Errorf("the numbers are %+v, want %+v", got, want)
	}
	page := body(t, f.get("GET", "/r/one.iso"))
	for _, text := range []string{`"seeds">12<`, `"leechers">3,500<`, `"completed">10<`, `"copies">3.5<`, `"saved">6.5 kB<`, `"rate">1.5 MB/s<`} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not contain %s:\n%s", text, page)
		}
	}

	none := newFixture(t, Options{})
	none.release(t, "one.iso", 0)
	if page := body(t, none.get("GET", "/r/one.iso")); !strings.Contains(page, `"seeds">–<`) {
		t.Error("the page shows the numbers of the tracker, although there is none")
	}
}

// TestZerosAreNotShown checks that a page hides the numbers that are zero, and names the others by
// words that need no knowledge of BitTorrent.
func TestZerosAreNotShown(t *testing.T) {
	swarm := Swarm{Seeders: 1}
	f := newFixture(t, Options{Swarm: func(spate.InfoHash) (Swarm, bool) { return swarm, true }})
	f.release(t, "one.iso", 1000)
	page := body(t, f.get("GET", "/r/one.iso"))
	for _, want := range []string{`<div data-if="seeders"><dt>seeding</dt>`, `<div data-if="leechers" hidden>`, `<div data-if="completed" hidden>`, `<span data-if="delivered" hidden>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page without downloads does not contain %s:\n%s", want, page)
		}
	}
	if index := body(t, f.get("GET", "/")); !strings.Contains(index, "<b>1</b> seeding") || strings.Contains(index, "downloading") {
		t.Errorf("the index without downloads does not show one seed alone:\n%s", index)
	}
	swarm = Swarm{Leechers: 2, Completed: 3}
	g := newFixture(t, Options{Swarm: func(spate.InfoHash) (Swarm, bool) { return swarm, true }})
	g.release(t, "one.iso", 1000)
	page = body(t, g.get("GET", "/r/one.iso"))
	for _, want := range []string{`<div data-if="seeders" hidden>`, `<div data-if="leechers"><dt>downloading</dt>`, `<div data-if="completed"><dt>finished</dt>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page with downloads does not contain %s:\n%s", want, page)
		}
	}
	if strings.Contains(strings.ToLower(page), "leechers<") {
		t.Error("the page calls peers leechers")
	}
}

// TestMainAction checks that the direct download is the only main button of a page and comes before the
// ways for BitTorrent clients and terminals, which are folded or below it.
func TestMainAction(t *testing.T) {
	f := newFixture(t, Options{StatsPath: "/stats"})
	sample(t, f.catalog, sparse(t, 39_000_000, f.dir, "one.iso"), func(r *publish.Release) {
		r.Version, r.Twin = "2", publish.Twin{Hash: spate.InfoHash{9}, Magnet: "magnet:?xt=urn:btih:0900000000000000000000000000000000000000"}
	})
	page := body(t, f.get("GET", "/r/one.iso"))
	at := 0
	for _, want := range []string{
		"<strong><bdi>Version 2</bdi></strong>", `<a class="button main" href="/d/one.iso">`, "Download 39 MB</a>", `<a class="button" href="#bittorrent">`,
		`href="/t/one.iso.torrent">`, "Torrent file</a>", `<details class="fold"><summary>No client? Get one</summary>`,
		`<details class="fold"><summary>For older clients</summary>`, "older .torrent", "<figcaption>", `<details class="card terminal"`, "spate get ",
		`<footer`, `<a href="/stats">Tracker</a>`,
	} {
		i := strings.Index(page[at:], want)
		if i < 0 {
			t.Fatalf("the page does not contain %s after its byte %d:\n%s", want, at, page)
		}
		at += i
	}
	if n := strings.Count(page, "button main"); n != 1 {
		t.Errorf("the page has %d main buttons, want 1", n)
	}
}

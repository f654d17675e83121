package site

import (
	"crypto/sha1"
	"crypto/sha256"
	"net/url"
	"strings"
	"testing"

	"spate/publish"
)

// oddNames are names of files that URLs contain only in encoded form.
var oddNames = []string{
	"a b.iso", "a+b.iso", "a%2fb.iso", "a%b.iso", "a(b)[c].iso", "it's.iso", "a&b=c.iso", "a:b.iso", `a\b.iso`, "a;b,c.iso", "a?b#c.iso", "größe.iso",
	"例.iso", "..a", "a@b!$*.iso", `a"b<c>.iso`, "%", "+",
}

// spellings returns encoded forms of a segment that all mean the same.
func spellings(name string) []string {
	every := ""
	for i := range len(name) {
		every += "%" + strings.ToLower(string("0123456789ABCDEF"[name[i]>>4])) + string("0123456789abcdef"[name[i]&15])
	}
	canonical := url.PathEscape(name)
	raw := strings.NewReplacer("%28", "(", "%29", ")", "%27", "'", "%21", "!", "%2A", "*", "%3B", ";", "%2C", ",").Replace(canonical)
	return []string{canonical, strings.ToLower(canonical), every, strings.ToUpper(every), raw}
}

// TestPathsAreComparedDecoded requests releases and files with odd names in all spellings, with
// and without the path of the base URL: every spelling must lead to the same resource, and an
// encoded slash must not separate segments.
func TestPathsAreComparedDecoded(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"http://h", "http://h/my files", "http://h/a(b)+c;d", "http://h/a%2Fb/c%25", "http://h/größe", "http://h/d", "http://h/r/d", "http://h/w"} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		f := newFixture(t, Options{BaseURL: u})
		data := sparse(t, 10, f.dir, "data")
		for _, name := range oddNames {
			sample(t, f.catalog, data, func(r *publish.Release) {
				r.Name, r.HashV1, r.HashV2 = name, sha1.Sum([]byte(name)), sha256.Sum256([]byte(name))
			})
		}
		f.tree(t, "tree", "sub/a b+c(d).txt")
		prefixes := []string{"", f.prefix}
		if p := strings.NewReplacer("%28", "(", "%29", ")", "%3B", ";", "%C3%B6", "%c3%b6").Replace(f.prefix); p != f.prefix {
			prefixes = append(prefixes, p)
		}
		for _, prefix := range prefixes {
			for _, name := range oddNames {
				for _, seg := range spellings(name) {
					for path, size := range map[string]string{"/d/" + seg: "10", "/t/" + seg + ".torrent": "", "/r/" + seg + "/release.json": "", "/r/" + seg: "", "/m/" + seg + ".meta4": ""} {
						resp := f.get("GET", prefix+path)
						if resp.StatusCode != 200 || size != "" && resp.Header.Get("Content-Length") != size {
							t.Errorf("%s: %s gave %s with %s bytes", base, prefix+path, resp.Status, resp.Header.Get("Content-Length"))
						}
						if link := resp.Header.Get("Link"); strings.HasPrefix(path, "/d/") && !strings.HasPrefix(link, "<"+f.prefix+publish.TorrentPath(name)+">") {
							t.Errorf("%s: %s gave the Link %s", base, prefix+path, link)
						}
					}
				}
			}
			for path, want := range map[string]int{
				"/d/tree/sub/a%20b+c(d).txt": 200, "/d/tree/sub/a%20b%2Bc%28d%29.txt": 200, "/%64/tree/%73ub/a%20b%2bc(d).txt": 200,
				"/w/tree/tree/sub/a%20b+c(d).txt": 200, "/w/tree/tr%65e/sub/a%20b+c(d).txt": 200,
				"/d/tree/sub%2Fa%20b+c(d).txt": 404, "/d/tree/sub%2Fa%20b\"+c(d).txt": 404, "/d/tree%2Fsub/a%20b\"+c(d).txt": 404, "/w/tree/tree%2Fsub/a%20b+c(d).txt": 404, "/w/tree/tree/sub%2fa%20b+c(d).txt": 404,
				"/d%2Ftree/sub/a%20b+c(d).txt": 404, "/d/tree/sub/a+b+c(d).txt": 404, "/w/tree": 404, "/w/tree/": 404, "/d/tree/sub": 404,
			} {
				if resp := f.get("GET", prefix+path); resp.StatusCode != want {
					t.Errorf("%s: %s gave %s, want %d", base, prefix+path, resp.Status, want)
				}
			}
		}
	}
}

// TestRedirectsStayOnTheSite checks that a path with dot segments or empty segments is redirected
// to a path of this site, from which no further redirect leads.
func TestRedirectsStayOnTheSite(t *testing.T) {
	t.Parallel()
	for base, paths := range map[string]map[string]string{
		"http://h": {
			"//evil.com": "/evil.com", "//evil.com/r/": "/evil.com/r/", "/..//evil.com": "/evil.com", `/\evil.com`: "", `/\/evil.com`: "", `//\evil.com`: "/%5Cevil.com",
			"/%2F%2Fevil.com": "", "/%2fevil.com": "", "/.//evil.com": "/evil.com", "/%2e%2e//evil.com/": "/evil.com/", "/r//one.iso": "/r/one.iso",
			"/x/../r/./one.iso?a=b&c": "/r/one.iso?a=b&c", "/r/%2E/one.iso": "/r/one.iso", "/r/one.iso/..": "/r/", "/r/one.iso/.": "/r/one.iso/", "//": "", "/..": "",
			"/r/one.iso/": "/r/one.iso", "/r/%2Fevil.com/": "/r/%2Fevil.com", "/d/tree": "/r/tree", "/d/tree/": "/r/tree", "/r/one.iso.torrent": "/t/one.iso.torrent",
		},
		"http://h/pub (x)/": {
			"/pub%20(x)": "/pub%20%28x%29/", "/pub%20%28x%29": "/pub%20%28x%29/", "/pub%20(x)//r/one.iso": "/pub%20%28x%29/r/one.iso", "//r/one.iso": "/pub%20%28x%29/r/one.iso",
			"/pub%20(x)/../r/one.iso": "/pub%20%28x%29/r/one.iso", "/pub%20(x)//": "/pub%20%28x%29/", "/pub%20(x)//evil.com": "/pub%20%28x%29/evil.com",
			"/pub%20(x)/d/tree": "/pub%20%28x%29/r/tree", "/d/tree/": "/pub%20%28x%29/r/tree", "/pub%20(x)/w/tree": "",
			"/pub%20(x)/r/one.iso/": "/pub%20%28x%29/r/one.iso", "/pub%20(x)/r/one.iso.meta4": "/pub%20%28x%29/m/one.iso.meta4",
		},
	} {
		u, _ := url.Parse(base)
		f := newFixture(t, Options{BaseURL: u})
		f.release(t, "one.iso", 1)
		f.tree(t, "tree", "a")
		for path, want := range paths {
			resp := f.get("GET", "http://h"+path)
			got := resp.Header.Get("Location")
			if got != want || (got != "") != (resp.StatusCode/100 == 3) {
				t.Errorf("%s: %s gave %s to %q, want %q", base, path, resp.Status, got, want)
			}
			for hops := 0; got != ""; hops++ {
				if strings.HasPrefix(got, "//") || !strings.HasPrefix(got, "/") || hops > 2 {
					t.Fatalf("%s: %s leads to %q after %d redirects", base, path, got, hops)
				}
				got = f.get("GET", "http://h"+got).Header.Get("Location")
			}
		}
	}
}

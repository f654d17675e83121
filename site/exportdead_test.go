package site

import (
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"spate"
	"spate/publish"
)

// exportedURLs finds the URLs of a site at https://dl.example.org/pub in a document, absolute ones and
// those without a host in attributes.
var exportedURLs = regexp.MustCompile(`(?:https://dl\.example\.org|(?:href|src|content)=")(/pub[^"<\s]*)`)

// TestExportHasNoDeadLinks checks every URL of the site in all pages and documents of an export, with
// two versions, variants, nice addresses, groups and all languages: links, canonical URLs, the pages in other languages,
// the data for search engines, feeds and the sitemap.
func TestExportHasNoDeadLinks(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	path := sparse(t, 1000, f.dir, "data")
	for _, name := range []string{"My App (x64)", "plain"} {
		for v, version := range []string{"1", "2"} {
			for i, variant := range []string{"linux", "windows"} {
				sample(t, f.catalog, path, func(r *publish.Release) {
					r.Name, r.Slug, r.Version, r.Variant, r.Group, r.Summed = name, name, version, variant, name, true
					r.Published = r.Published.AddDate(0, 0, v)
					r.HashV1, r.HashV2 = spate.InfoHash{byte(v), byte(i), byte(len(name))}, spate.InfoHashV2{byte(v), byte(i), byte(len(name))}
				})
			}
		}
	}
	for v := range 2 { // a release without variants
		sample(t, f.catalog, path, func(r *publish.Release) {
			r.Name, r.Slug, r.Version, r.Summed = "One [file]", "One [file]", []string{"1", "2"}[v], true
			r.Published = r.Published.AddDate(0, 0, v)
			r.HashV1, r.HashV2 = spate.InfoHash{9, byte(v)}, spate.InfoHashV2{9, byte(v)}
		})
	}
	for i := range filesOnPage + 1 {
		sparse(t, 10, f.dir, "tree", "a & b", fmt.Sprint(i))
	}
	sample(t, f.catalog, filepath.Join(f.dir, "tree"), func(r *publish.Release) { r.Summed = true })
	out := filepath.Join(t.TempDir(), "www")
	if _, err := Export(t.Context(), f.catalog, out, ExportOptions{Site: Options{BaseURL: &url.URL{Scheme: "https", Host: "dl.example.org", Path: "/pub"}}}); err != nil {
		t.Fatal(err)
	}
	pages, dead := 0, map[string]string{}
	err := filepath.WalkDir(out, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(file, "/d/") || strings.HasPrefix(file, filepath.Join(out, exportMark)) {
			return err
		}
		text := readFile(t, file)
		if strings.HasPrefix(text, "<!DOCTYPE html>") {
			pages++
		}
		for _, m := range exportedURLs.FindAllStringSubmatch(text, -1) {
			link, _, _ := strings.Cut(html.UnescapeString(strings.ReplaceAll(m[1], `\u0026`, "&")), "#")
			link, _, query := strings.Cut(strings.TrimRight(link, `'\`), "?")
			decoded, err := url.PathUnescape(strings.TrimPrefix(link, "/pub"))
			if err != nil {
				t.Errorf("%s: %v", link, err)
			}
			at := filepath.Join(out, filepath.FromSlash(decoded))
			info, err := os.Stat(at)
			if err == nil && info.IsDir() && !strings.HasSuffix(decoded, "/d/") {
				_, err = os.Stat(filepath.Join(at, "index.html"))
			}
			if err != nil || query && !strings.Contains(decoded, "/static/") { // a server of files ignores queries
				dead[m[1]] = strings.TrimPrefix(file, out)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for link, file := range dead {
		t.Errorf("%s has the dead link %s", file, link)
	}
	if pages < 100 {
		t.Errorf("the export has only %d pages", pages)
	}
}

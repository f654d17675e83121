package site

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spate"
	"spate/publish"
)

// TestExport follows every link of an exported site on a web server without configuration.
func TestExport(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for i, name := range hostile {
		if !strings.ContainsAny(name, "/\x00") {
			f.release(t, name, int64(i))
		}
	}
	group := `Installers/"&`
	f.catalog.Update(t.Context(), hostile[2]+"~1", publish.Change{Group: &group})
	f.tree(t, "tree", "a", "b/c")
	path := sparse(t, 10, f.dir, "os.iso")
	for v := 1; v <= 40; v++ {
		sample(t, f.catalog, path, func(r *publish.Release) {
			r.Name, r.Version, r.Variant = "os.iso", string(rune('A'+v%20)), []string{"amd64", "arm64"}[v/21]
			r.HashV1, r.HashV2 = spate.InfoHash{byte(v)}, spate.InfoHashV2{byte(v)}
		})
	}
	out := filepath.Join(t.TempDir(), "www")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := filepath.Join(out, strings.TrimPrefix(r.URL.Path, "/pub"))
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, "index.html")
		}
		data, err := os.ReadFile(path)
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
		} else if strings.HasSuffix(path, ".html") {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
		}
		w.Write(data)
	}))
	defer srv.Close()
	base, _ := url.Parse(srv.URL + "/pub")
	var skipped []string
	opts := ExportOptions{Site: Options{BaseURL: base}, Skipped: func(p string, _ error) { skipped = append(skipped, p) }}
	done, err := Export(t.Context(), f.catalog, out, opts)
	if err != nil {
		t.Fatal(err)
	}
	if done.Releases < 50 || done.Files < 300 {
		t.Errorf("Export wrote %+v, want at least 50 releases and 300 files", done)
	}
	if len(skipped) > 0 {
		t.Errorf("Export skipped %q", skipped)
	}
	seen := map[string]bool{}
	todo := []string{"/pub/"}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		resp, err := http.Get(srv.URL + at)
		if err != nil {
			t.Fatal(err)
		}
		page := body(t, resp)
		if at == "/pub/d/" {
			continue // the folder of a web seed, to which clients append the paths of files
		}
		if resp.StatusCode != 200 {
			t.Errorf("the exported link %s leads to %s", at, resp.Status)
			continue
		}
		if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || strings.HasPrefix(at, "/pub/d/") {
			continue
		}
		if strings.Contains(page, "data-live") || strings.Contains(page, `role="search"`) {
			t.Errorf("%s has live numbers or a search, which a web server for files cannot answer", at)
		}
		for _, tag := range tags.FindAllStringSubmatch(page, -1) {
			for _, a := range attributes.FindAllStringSubmatch(tag[2], -1) {
				link, _, _ := strings.Cut(strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#39;", "'", "&#34;", `"`).Replace(a[2]), "#")
				if (a[1] == "href" || a[1] == "src") && strings.HasPrefix(link, "/") && !seen[link] {
					seen[link] = true
					todo = append(todo, link)
				}
			}
		}
	}
	if len(seen) < 300 {
		t.Errorf("the export has only %d links, want at least 300", len(seen))
	}

	// An export replaces an older export, but no directory with other files.
	if _, err := Export(t.Context(), f.catalog, out, opts); err != nil {
		t.Errorf("the second Export to the same directory: %v", err)
	}
	linked := filepath.Join(t.TempDir(), "linked")
	if err := os.Symlink(out, linked); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(t.Context(), f.catalog, linked, opts); err != nil {
		t.Errorf("Export to a link to the directory: %v", err)
	}
	if to, err := os.Readlink(linked); to != out {
		t.Errorf("after Export the link leads to %q, %v, want the directory", to, err)
	}
	foreign := t.TempDir()
	for dir, path := range map[string]string{foreign: "thesis.txt", out: "d/thesis.txt"} {
		thesis := filepath.Join(dir, path)
		os.MkdirAll(filepath.Dir(thesis), 0o755)
		os.WriteFile(thesis, []byte("x"), 0o644)
		if _, err := Export(t.Context(), f.catalog, dir, opts); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), thesis) {
			t.Errorf("Export over %s returned %v, want ErrForeign with the path", thesis, err)
		}
		if _, err := os.Stat(thesis); err != nil {
			t.Errorf("the foreign file was lost: %v", err)
		}
	}
	if _, err := Export(t.Context(), f.catalog, filepath.Join(foreign, "thesis.txt"), opts); err == nil {
		t.Error("the export replaced a file")
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".*"))
	if len(left) > 0 {
		t.Errorf("Export left temporary files: %q", left)
	}
}

// TestPageNamesData checks that the page of a release names its data as a web seed, served and in an
// export. The tree of an export is no web seed under another name than that of its torrent.
func TestPageNamesData(t *testing.T) {
	t.Parallel()
	base := &url.URL{Scheme: "http", Host: "h", Path: "/pub"}
	f := newFixture(t, Options{BaseURL: base})
	f.release(t, "a.iso", 10)
	f.tree(t, "tree", "one", "two")
	out := filepath.Join(t.TempDir(), "out")
	if _, err := Export(t.Context(), f.catalog, out, ExportOptions{Site: Options{BaseURL: base}}); err != nil {
		t.Fatal(err)
	}
	for page, want := range map[string][2]string{
		"a.iso": {"/pub/d/a.iso~1", "/pub/d/a.iso"}, "a.iso~1": {"/pub/d/a.iso~1", "/pub/d/a.iso~1"},
		"tree": {"/pub/w/tree~1/", "/pub/d/"}, "tree~1": {"/pub/w/tree~1/", ""},
	} {
		file, err := os.ReadFile(filepath.Join(out, "r", page, "index.html"))
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range []string{body(t, f.get("GET", "/r/"+page)), string(file)} {
			tag := `<link rel="enclosure" href="` + want[i] + `">`
			if strings.Contains(text, tag) != (want[i] != "") || strings.Count(text, `rel="enclosure"`) > 1 {
				t.Errorf("%s, exported %t: the page does not have exactly the tag %s", page, i == 1, tag)
			}
		}
	}
}

// TestExportedLink checks that an export links to the target of a symbolic link.
func TestExportedLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := sparse(t, 10, dir, "data")
	linked, to := filepath.Join(dir, "a.iso"), filepath.Join(t.TempDir(), "a.iso")
	if err := os.Symlink("data", linked); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(linked)
	if err == nil {
		defer f.Close()
		err = link(f, to)
	}
	if err != nil {
		t.Fatal(err)
	}
	want, err1 := os.Stat(path)
	got, err2 := os.Stat(to)
	if err1 != nil || err2 != nil || !os.SameFile(want, got) {
		t.Errorf("the exported file is not the target of the link: %v, %v", err1, err2)
	}
}

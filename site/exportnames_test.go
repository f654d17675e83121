package site

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"spate/internal/weburl"
)

// TestExportNames checks that each path of the site has a file of its own, whose name fits, and
// that other names stay.
func TestExportNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 255)
	for _, c := range []struct {
		windows, folds bool
		in, want       []string // want: a pattern of the exported path; empty: unchanged
	}{
		{in: []string{"/", "/r/a.iso~1", "/t/a.iso.torrent", "/t/A.iso.torrent", "/t/CON.torrent", "/d/a:b?", "/d/a. ", "/d/" + long, "/r/é", "/r/e\u0301"},
			want: make([]string, 10)},
		{in: []string{"/t/" + long + ".torrent", "/t/" + long[1:] + "m.torrent", "/t/" + long + ".torrent.minisig", "/m/" + long + ".meta4", "/d/" + long + "~1", "/r/" + strings.Repeat("é", 130) + "/files", "/l/group=" + long},
			want: []string{`^/t/n{238}-[0-9a-f]{8}\.torrent$`, `^/t/n{238}-[0-9a-f]{8}\.torrent$`, `^/t/n{230}-[0-9a-f]{8}\.torrent\.minisig$`, `^/m/n{240}-[0-9a-f]{8}\.meta4$`, `^/d/n{246}-[0-9a-f]{8}$`, `^/r/é{123}-[0-9a-f]{8}/files$`, `^/l/group=n{240}-[0-9a-f]{8}$`}},
		{windows: true, in: []string{"/t/CON.torrent", "/t/_CON.torrent", "/t/a:b.torrent", "/t/a_b.torrent", "/r/nul/files", "/r/a./x", "/r/a /x", "/d/com1.iso", "/d/a<b>", "/d/plain"},
			want: []string{`^/t/_CON-[0-9a-f]{8}\.torrent$`, "", `^/t/a_b-[0-9a-f]{8}\.torrent$`, "", `^/r/_nul-[0-9a-f]{8}/files$`, `^/r/a_-[0-9a-f]{8}/x$`, `^/r/a_-[0-9a-f]{8}/x$`, `^/d/_com1.iso-[0-9a-f]{8}$`, `^/d/a_b_-[0-9a-f]{8}$`, ""}},
		{folds: true, in: []string{"/r/a.iso/files", "/r/A.iso/files", "/t/a.torrent", "/t/A.torrent", "/t/é.torrent", "/t/E\u0301.torrent", "/d/x/Y", "/d/X/y", "/d/x/y"},
			want: []string{"", `^/r/A\.iso-[0-9a-f]{8}/files$`, "", `^/t/A-[0-9a-f]{8}\.torrent$`, "", `^/t/E\x{301}-[0-9a-f]{8}\.torrent$`, "", `^/d/X-[0-9a-f]{8}/y$`, `^/d/x/y-[0-9a-f]{8}$`}},
	} {
		n := &exportNames{windows: c.windows, folds: c.folds, given: map[string]string{}, taken: map[string]bool{}}
		seen := map[string]string{}
		for i, in := range c.in {
			got := n.path(in)
			if c.want[i] == "" && got != in || !regexp.MustCompile(c.want[i]).MatchString(got) {
				t.Errorf("windows %v, folds %v: %q is exported as %q, want %q", c.windows, c.folds, in, got, c.want[i])
			}
			key := got
			if c.folds {
				key = strings.ToLower(got)
			}
			if other, ok := seen[key]; ok {
				t.Errorf("%q and %q are both exported as %q", other, in, got)
			}
			seen[key] = in
			for part := range strings.SplitSeq(got, "/") {
				if len(part) > 255 {
					t.Errorf("%q is exported as %q with %d bytes", in, part, len(part))
				}
			}
			link := n.encoded(weburl.Encode(strings.Split(strings.TrimPrefix(in, "/"), "/")) + "?x=y")
			path, query, _ := strings.Cut(link, "?")
			if decoded, err := url.PathUnescape(path); err != nil || decoded != got || query != "x=y" {
				t.Errorf("the link to %q is %q, want that of %q", in, link, got)
			}
			if again := n.path(in); again != got {
				t.Errorf("%q is exported as %q, and then as %q", in, got, again)
			}
		}
	}
}

// TestExportLongName checks that all links of an export lead to the files of a release whose name
// has the maximum length.
func TestExportLongName(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	name := strings.Repeat("ü", 127) + "x"
	f.release(t, name, 1)
	out := filepath.Join(t.TempDir(), "www")
	base, _ := url.Parse("https://files.example/pub")
	_, err := Export(t.Context(), f.catalog, out, ExportOptions{Site: Options{BaseURL: base}, Skipped: func(p string, err error) { t.Errorf("skipped %s: %v", p, err) }})
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`(?:https://files\.example)?/pub(/[rtdm][0-9]?/[^"'<>\s\\]+)`)
	seen, torrents := map[string]bool{}, 0
	err = filepath.WalkDir(out, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, filepath.Join(out, "d")) || strings.HasPrefix(path, filepath.Join(out, exportMark)) {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range links.FindAllStringSubmatch(strings.ReplaceAll(string(b), "&#34;", `"`), -1) {
			if seen[m[1]] {
				continue
			}
			seen[m[1]] = true
			file, perr := url.PathUnescape(m[1])
			if _, serr := os.Stat(filepath.Join(out, file)); perr != nil || serr != nil && !strings.Contains(file, "SHA256SUMS") {
				t.Errorf("%s has the link %s: %v, %v", path, m[1], perr, serr)
			}
			if strings.HasSuffix(file, ".torrent") {
				torrents++
			}
		}
		return err
	})
	if err != nil || torrents == 0 {
		t.Errorf("there are %d links to torrents, %v", torrents, err)
	}
}

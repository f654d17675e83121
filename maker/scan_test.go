package maker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spate/metainfo"

	"github.com/google/go-cmp/cmp"
)

// paths returns the paths of a torrent without pad files. Symbolic links are "path ->
// target".
func paths(m *metainfo.MetaInfo) []string {
	var list []string
	for i := range m.Info.Files {
		f := &m.Info.Files[i]
		switch {
		case f.Pad():
		case f.Symlink != nil:
			list = append(list, f.DisplayPath()+" -> "+strings.Join(f.Symlink.Target, "/"))
		default:
			list = append(list, f.DisplayPath())
		}
	}
	return list
}

func TestScanSelects(t *testing.T) {
	dir := t.TempDir()
	x := []byte("x")
	write(t, dir, map[string][]byte{
		"t/a.txt": x, "t/b.bin": x, "t/d/a.txt": x, "t/d/e/c.bin": x, "t/f/a.txt": x,
		"t/.hidden": x, "t/.git/config": x, "t/.DS_Store": x, "t/d/Thumbs.db": x, "t/d/desktop.ini": x,
		"t/d/__MACOSX/a": x, "t/empty/": nil,
	})
	plain := []string{"a.txt", "b.bin", "d/a.txt", "d/e/c.bin", "f/a.txt"}
	for _, c := range []struct {
		name string
		o    Options
		want []string
	}{
		{"all", Options{}, plain},
		{"hidden", Options{Hidden: true}, []string{
			".DS_Store", ".git/config", ".hidden", "a.txt", "b.bin", "d/Thumbs.db", "d/__MACOSX/a", "d/a.txt", "d/desktop.ini",
			"d/e/c.bin", "f/a.txt",
		}},
		{"include name", Options{Include: []string{"*.txt"}}, []string{"a.txt", "d/a.txt", "f/a.txt"}},
		{"include directory", Options{Include: []string{"d"}}, []string{"d/a.txt", "d/e/c.bin"}},
		{"include path", Options{Include: []string{"d/*.txt", "/b.bin"}}, []string{"b.bin", "d/a.txt"}},
		{"exclude", Options{Exclude: []string{"d"}}, []string{"a.txt", "b.bin", "f/a.txt"}},
		{"exclude path", Options{Exclude: []string{"d/e/"}}, []string{"a.txt", "b.bin", "d/a.txt", "f/a.txt"}},
		{"exclude counts more", Options{Include: []string{"*.txt"}, Exclude: []string{"/a.txt"}}, []string{"d/a.txt", "f/a.txt"}},
		{"any depth", Options{Include: []string{"**/c.*"}}, []string{"d/e/c.bin"}},
		{"below", Options{Exclude: []string{"d/**"}}, []string{"a.txt", "b.bin", "f/a.txt"}},
		{"files", Options{Files: []string{"f", "d/e/c.bin"}}, []string{"d/e/c.bin", "f/a.txt"}},
		{"files, cleaned", Options{Files: []string{"./f//a.txt"}}, []string{"f/a.txt"}},
		{"files, all", Options{Files: []string{"."}}, plain},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mustMake(t, filepath.Join(dir, "t"), c.o)
			if diff := cmp.Diff(c.want, paths(m)); diff != "" {
				t.Errorf("the selected files differ:\n%s", diff)
			}
		})
	}
	_, err := Make(context.Background(), filepath.Join(dir, "t"), Options{Files: []string{"f", "no", "../t"}})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "../t, no") {
		t.Errorf("Make with missing files returned %v, want an error with their names", err)
	}
}

func TestScanReportsSkipped(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"t/a": []byte("a"), "t/.h": nil, "t/e/": nil, "t/d/b": nil, "outside": []byte("o")})
	for link, to := range map[string]string{
		"out": "../outside", "abs": "/etc/passwd", "dangling": "nothing", "up": "..", "d/loop": "../d", "self": "self",
		"tohidden": ".h", "chain": "tohidden", "good": "d/b", "d/dir": "../e",
	} {
		must(t, os.Symlink(to, filepath.Join(dir, "t", link)))
	}
	l, err := net.Listen("unix", filepath.Join(dir, "t", "socket"))
	must(t, err)
	defer l.Close()
	var skipped []string
	o := Options{Skipped: func(s Skipped) { skipped = append(skipped, fmt.Sprintf("%s: %s", s.Path, s.Reason)) }}
	m := mustMake(t, filepath.Join(dir, "t"), o)
	if diff := cmp.Diff([]string{"a", "d/b", "good -> d/b"}, paths(m)); diff != "" {
		t.Errorf("the files of the torrent differ:\n%s", diff)
	}
	slices.Sort(skipped)
	want := []string{
		".h: " + string(SkipHidden), "abs: " + string(SkipOutside), "chain: " + string(SkipDangling), "d/dir: " + string(SkipDangling),
		"d/loop: " + string(SkipLoop), "dangling: " + string(SkipDangling), "e: " + string(SkipEmptyTree), "out: " + string(SkipOutside),
		"self: " + string(SkipDangling), "socket: " + string(SkipSpecial), "tohidden: " + string(SkipDangling), "up: " + string(SkipOutside),
	}
	if diff := cmp.Diff(want, skipped); diff != "" {
		t.Errorf("the skipped entries differ:\n%s", diff)
	}
}

func TestLinks(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"t/d/a": []byte("data"), "t/b": []byte("b"), "t/deep/c": []byte("c"), "outside/x": []byte("secret")})
	must(t, os.Mkdir(filepath.Join(dir, "t/deep/er"), 0o755))
	for link, to := range map[string]string{
		"toa": "d/a", "tod": "d", "d/up": "../b", "d/back": "..", "out": "../outside", "via": "out/x", "chain": "toa",
		"deep/er/up": "../c", "far": "deep/er", // in the directory far/up, .. leads elsewhere
	} {
		must(t, os.Symlink(to, filepath.Join(dir, "t", link)))
	}
	for _, c := range []struct {
		links Links
		want  []string
	}{
		{LinksKeep, []string{"b", "chain -> toa", "d/a", "d/up -> b", "deep/c", "deep/er/up -> deep/c", "far -> deep/er", "toa -> d/a", "tod -> d"}},
		{LinksFollow, []string{"b", "chain", "d/a", "d/up", "deep/c", "deep/er/up", "far/up", "toa", "tod/a", "tod/up"}},
		{LinksSkip, []string{"b", "d/a", "deep/c"}},
	} {
		for _, f := range formats {
			m := mustMake(t, filepath.Join(dir, "t"), Options{Links: c.links, Format: f})
			if diff := cmp.Diff(c.want, paths(m)); diff != "" {
				t.Errorf("%s: the files differ:\n%s", f, diff)
			}
			checkHashes(t, dir, m)
			if r := mustVerify(t, m, filepath.Join(dir, "t")); !r.Whole() {
				t.Errorf("%s: Verify reports %+v, want complete data", f, r)
			}
			b, err := m.Bytes()
			must(t, err)
			again, err := metainfo.Parse(b)
			must(t, err)
			if diff := cmp.Diff(paths(m), paths(again)); diff != "" || len(again.Warnings) > 0 {
				t.Errorf("the parsed torrent differs, with the warnings %v:\n%s", again.Warnings, diff)
			}
		}
	}
	// A symbolic link that the user has named is followed.
	must(t, os.Symlink("t", filepath.Join(dir, "named")))
	if m := mustMake(t, filepath.Join(dir, "named"), Options{}); m.Info.Name != "named" || len(m.Info.Files) < 2 {
		t.Errorf("the torrent of a link is %+v, want the name and the files of its target", m.Info)
	}
}

func TestScanUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"t/a": []byte("a"), "t/d/b": []byte("b")})
	must(t, os.Chmod(filepath.Join(dir, "t", "d"), 0))
	defer os.Chmod(filepath.Join(dir, "t", "d"), 0o755)
	if _, err := Make(context.Background(), filepath.Join(dir, "t"), Options{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("Make returned %v, want os.ErrPermission", err)
	}
}

func TestOrders(t *testing.T) {
	list := []string{"a/z", "a-b", "a.c", "B/x", "b", "C", "a/b/c"}
	for o, want := range map[order][]string{
		orderPath: {"B/x", "C", "a-b", "a.c", "a/b/c", "a/z", "b"},
		orderFold: {"a-b", "a.c", "a/b/c", "a/z", "b", "B/x", "C"},
	} {
		var entries []entry
		for _, rel := range list {
			entries = append(entries, entry{rel: rel})
		}
		sortEntries(entries, o)
		var got []string
		for _, e := range entries {
			got = append(got, e.rel)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("order %d gives other paths:\n%s", o, diff)
		}
	}
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no string
	}{
		{"*.txt", "a.txt d/a.txt a.txt/x", "a.bin txt"},
		{"d/*", "d/a d/a/b", "d e/d/a da"},
		{"d/", "d d/a x/d", "dd"},
		{"/d", "d d/a", "x/d"},
		{"**/x", "x a/x a/b/x a/b/x/y", "xx a/xx"},
		{"a/**/z", "a/z a/b/z a/b/c/z a/z/q", "z b/a/z a/b"},
		{"a/**", "a/b a/b/c", "a b/a"},
		{"**/a/**/b/*", "a/b/c x/a/y/b/z", "a/b b/a/c"},
		{"[ab]?", "a1 b2/x", "a c1"},
	} {
		g, err := parseGlobs([]string{c.pattern})
		must(t, err)
		for _, p := range strings.Fields(c.yes) {
			if !g.match(p) {
				t.Errorf("the pattern %s does not match %s, but should", c.pattern, p)
			}
		}
		for _, p := range strings.Fields(c.no) {
			if g.match(p) {
				t.Errorf("the pattern %s matches %s, but should not", c.pattern, p)
			}
		}
	}
	for _, p := range []string{"", "/", "[", "a//b", `\`} {
		if _, err := parseGlobs([]string{p}); !errors.As(err, new(*PatternError)) {
			t.Errorf("parsing the pattern %q returned %v, want a PatternError", p, err)
		}
	}
	// The cost of a pattern is at most proportional to its length times that of the
	// path.
	g, _ := parseGlobs([]string{strings.Repeat("**/a/", 500) + "b"})
	if g.match(strings.Repeat("a/", 2000) + "c") {
		t.Error("the pattern matches a path that does not end in b")
	}
}

func TestPieceLength(t *testing.T) {
	for _, c := range []struct {
		total int64
		seed  bool
		want  int64
	}{
		{0, false, 16 << 10}, {1, false, 16 << 10}, {2500 * 16 << 10, false, 16 << 10}, {2500*16<<10 + 1, false, 32 << 10},
		{380e6, false, 256 << 10}, {1 << 30, false, 512 << 10}, {4 << 30, false, 2 << 20}, {100 << 30, false, 16 << 20},
		{100 << 30, true, 4 << 20}, {1e12, false, 16 << 20}, {600e9, true, 4 << 20}, {900e9, true, 8 << 20}, {1e12, true, 8 << 20}, {2e12, true, 16 << 20},
		{2.5e12, false, 16 << 20}, {3e12, false, 32 << 20}, {10e12, false, 64 << 20}, {10e12, true, 64 << 20},
		{100e12, false, 64 << 20}, {150e12, false, 128 << 20}, {900e12, false, 512 << 20}, {1 << 60, false, 512 << 20},
	} {
		if got := PieceLength(c.total, c.seed); got != c.want {
			t.Errorf("PieceLength(%d, %t) = %d, want %d", c.total, c.seed, got, c.want)
		}
	}
	// A hybrid .torrent stays below 8 MB up to 10 TB.
	for total := int64(1); total < 10e12; total += total/5 + 1 {
		for _, seed := range []bool{false, true} {
			n := PieceLength(total, seed)
			if hashes := (total + n - 1) / n * hashesPerPiece; hashes > wantHashes {
				t.Errorf("%d bytes (web seed: %t) give %d bytes of hashes", total, seed, hashes)
			}
		}
	}
	for total := int64(40 << 20); total < 30<<30; total += total / 7 {
		if n := (total + PieceLength(total, false) - 1) / PieceLength(total, false); n < 1000 || n > 2500 {
			t.Errorf("%d bytes give %d pieces, want 1000 to 2500", total, n)
		}
	}
}

// TestAlignedPieceLength checks that small files get little padding, and that large
// files beside them do not get too many pieces.
func TestAlignedPieceLength(t *testing.T) {
	of := func(n int, size int64) []int64 { return slices.Repeat([]int64{size}, n) }
	for name, c := range map[string]struct {
		sizes []int64
		want  int64
	}{
		"one file":                 {of(1, 700<<20), 512 << 10},
		"large files":              {of(10, 700<<20), 4 << 20},
		"whole pieces":             {of(2000, 1<<20), 1 << 20},
		"20,000 of 65,535":         {of(20000, 65535), 64 << 10},
		"20,000 of 66,000":         {of(20000, 66000), 64 << 10},
		"a thousand of 1 KiB":      {of(1000, 1<<10), 16 << 10},
		"large, and 5,000 of 4 KB": {append(of(5000, 4000), 10<<30), 2 << 20},
		"large, and some small":    {append(of(20, 4000), 10<<30), 8 << 20},
		"200,000 of 65,535":        {of(200000, 65535), 64 << 10},
		"200,000 of 66,000":        {of(200000, 66000), 128 << 10},
		"nothing":                  {of(3, 0), 16 << 10},
	} {
		got := alignedPieceLength(c.sizes, false)
		pieces, padding := align(c.sizes, got)
		if got != c.want {
			t.Errorf("%s: %d, want %d; %d pieces, %d bytes of padding", name, got, c.want, pieces, padding)
		}
	}
}

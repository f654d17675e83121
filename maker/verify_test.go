package maker

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"spate/metainfo"

	"github.com/google/go-cmp/cmp"
)

func mustVerify(t testing.TB, m *metainfo.MetaInfo, path string) *Report {
	t.Helper()
	r, err := Verify(context.Background(), m, path, VerifyOptions{})
	must(t, err)
	if n := r.Good + r.Bad + r.Missing; n != r.Pieces || r.Have.Count() != r.Good {
		t.Fatalf("the report is inconsistent: %d good, %d bad, %d missing of %d pieces; %d in the bitfield", r.Good, r.Bad, r.Missing, r.Pieces, r.Have.Count())
	}
	return r
}

// poke changes one byte of a file.
func poke(t testing.TB, path string, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, off)
	must(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, off)
	must(t, err)
}

func TestVerifyWhole(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{
		"tree/a": random(1, 200_000), "tree/b/c": random(2, 40_000), "tree/empty": nil, "tree/z": random(3, 9),
		"single": random(4, 3<<20),
	})
	must(t, os.Symlink("a", filepath.Join(dir, "tree", "link")))
	for _, name := range []string{"tree", "single"} {
		for _, f := range formats {
			m := mustMake(t, filepath.Join(dir, name), Options{Format: f, PieceLength: 32 << 10})
			r := mustVerify(t, m, filepath.Join(dir, name))
			if !r.Whole() || r.Good != r.Pieces || r.Pieces != m.Info.NumPieces() {
				t.Errorf("Verify of %s %s reports %+v, want all pieces good", f, name, r)
			}
		}
	}
}

func TestVerifyDamage(t *testing.T) {
	t.Parallel()
	const piece = 32 << 10
	files := map[string][]byte{
		"t/a": random(1, 100_000), "t/b": random(2, 50_000), "t/c": random(3, 10), "t/d": random(4, 3*piece),
		"t/e": nil, "t/f": random(5, 1000),
	}
	type want map[string]FileReport
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		// v2 also applies to hybrid torrents, whose files do not share pieces, and to v1 torrents
		// with v2 hashes, which have a root for each file.
		v1, v2 want
	}{
		{"byte", func(t *testing.T, dir string) { poke(t, filepath.Join(dir, "a"), piece+5) },
			want{"a": {State: FileDamaged, Damaged: []Range{{piece, 2 * piece}}}},
			want{"a": {State: FileDamaged, Damaged: []Range{{piece, 2 * piece}}}}},
		{"shared piece", func(t *testing.T, dir string) { poke(t, filepath.Join(dir, "a"), 99_999) },
			want{
				"a": {State: FileDamaged, Damaged: []Range{{3 * piece, 100_000}}},
				"b": {State: FileDamaged, Damaged: []Range{{0, 4*piece - 100_000}}},
			},
			want{"a": {State: FileDamaged, Damaged: []Range{{3 * piece, 100_000}}}}},
		{"missing", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "c"))) },
			want{
				"c": {State: FileMissing, Damaged: []Range{{0, 10}}},
				"b": {State: FileUnverified, Unverified: []Range{{4*piece - 100_000, 50_000}}},
				"d": {State: FileUnverified, Unverified: []Range{{0, 5*piece - 150_010}}},
			},
			want{"c": {State: FileMissing, Damaged: []Range{{0, 10}}}}},
		{"short", func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, "a"), 2*piece+1)) },
			want{
				"a": {State: FileDamaged, Damaged: []Range{{2 * piece, 100_000}}},
				"b": {State: FileUnverified, Unverified: []Range{{0, 4*piece - 100_000}}},
			},
			want{"a": {State: FileDamaged, Damaged: []Range{{2 * piece, 100_000}}}}},
		{"too long", func(t *testing.T, dir string) { write(t, dir, map[string][]byte{"f": append(random(5, 1000), 'x')}) },
			want{"f": {State: FileTooLong}}, want{"f": {State: FileTooLong}}},
		{"empty ones", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "e"))) },
			want{"e": {State: FileMissing}}, want{"e": {State: FileMissing}}},
		{"not a file", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "d")))
			must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
		},
			want{
				"d": {State: FileUnreadable, Damaged: []Range{{0, 3 * piece}}},
				"b": {State: FileUnverified, Unverified: []Range{{4*piece - 100_000, 50_000}}},
				"c": {State: FileUnverified, Unverified: []Range{{0, 10}}},
				"f": {State: FileUnverified, Unverified: []Range{{0, 1000}}},
			},
			want{"d": {State: FileUnreadable, Damaged: []Range{{0, 3 * piece}}}}},
	} {
		for _, f := range formats {
			t.Run(c.name+"/"+string(f), func(t *testing.T) {
				dir := t.TempDir()
				write(t, dir, files)
				m := mustMake(t, filepath.Join(dir, "t"), Options{Format: f, PieceLength: piece})
				c.damage(t, filepath.Join(dir, "t"))
				r := mustVerify(t, m, filepath.Join(dir, "t"))
				expect := c.v2
				if f == metainfo.V1 {
					expect = c.v1
				}
				for _, got := range r.Files {
					w := expect[got.Path]
					if diff := cmp.Diff([]any{w.State.String(), w.Damaged, w.Unverified}, []any{got.State.String(), got.Damaged, got.Unverified}); diff != "" {
						t.Errorf("the report of %s differs:\n%s", got.Path, diff)
					}
					if (got.State == FileMissing || got.State == FileUnreadable) != (got.Err != nil) {
						t.Errorf("%s is %s with the error %v; only missing and unreadable files have an error", got.Path, got.State, got.Err)
					}
				}
				if r.Whole() {
					t.Error("damaged data is reported as whole")
				}
			})
		}
	}
}

// TestVerifyByRoot checks that a file that shares a bad piece is whole only if its own root matches,
// and that neither a wrong root nor more bytes after its end hide that.
func TestVerifyByRoot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string, m *metainfo.MetaInfo)
		want   FileState // of the file b, whose neighbour a is missing
	}{
		"good": {func(*testing.T, string, *metainfo.MetaInfo) {}, FileWhole},
		"longer": {func(t *testing.T, dir string, _ *metainfo.MetaInfo) {
			must(t, os.Truncate(filepath.Join(dir, "b"), 150_001))
		}, FileTooLong},
		"shorter": {func(t *testing.T, dir string, _ *metainfo.MetaInfo) {
			must(t, os.Truncate(filepath.Join(dir, "b"), 149_999))
		}, FileDamaged},
		"bad at first":  {func(t *testing.T, dir string, _ *metainfo.MetaInfo) { poke(t, filepath.Join(dir, "b"), 5) }, FileUnverified},
		"bad inside":    {func(t *testing.T, dir string, _ *metainfo.MetaInfo) { poke(t, filepath.Join(dir, "b"), 80_000) }, FileDamaged},
		"another root":  {func(_ *testing.T, _ string, m *metainfo.MetaInfo) { m.V2Hashes.Files[32] ^= 1 }, FileUnverified},
		"without roots": {func(_ *testing.T, _ string, m *metainfo.MetaInfo) { m.V2Hashes = nil }, FileUnverified},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, map[string][]byte{"t/a": random(1, 10), "t/b": random(2, 150_000)})
			top := filepath.Join(dir, "t")
			m := mustMake(t, top, Options{PieceLength: 32 << 10})
			must(t, os.Remove(filepath.Join(top, "a")))
			c.change(t, top, m)
			r := mustVerify(t, m, top)
			if b := r.Files[1]; b.State != c.want || b.State == FileWhole && len(b.Unverified)+len(b.Damaged) > 0 || r.Whole() {
				t.Errorf("the report of b is %+v, want %s", b, c.want)
			}
		})
	}
}

// TestVerifyMixedHybrid checks that data which matches only its v1 or only its v2
// hashes is bad, and that the report counts it.
func TestVerifyMixedHybrid(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"f": random(1, 100_000), "g/f": random(2, 100_000)})
	one := mustMake(t, filepath.Join(dir, "f"), Options{Format: metainfo.Hybrid, PieceLength: 16 << 10})
	other := mustMake(t, filepath.Join(dir, "g", "f"), Options{Format: metainfo.Hybrid, PieceLength: 16 << 10})
	info := one.Info
	info.Pieces = other.Info.Pieces
	mixed, err := metainfo.New(info, one.PieceLayers)
	must(t, err)
	for _, path := range []string{"f", "g/f"} {
		if r := mustVerify(t, mixed, filepath.Join(dir, path)); r.Good != 0 || r.Differ != r.Pieces {
			t.Errorf("Verify of %s reports %+v, want all pieces to differ", path, r)
		}
	}
	// The layer may come from peers later.
	mixed.PieceLayers = nil
	if r := mustVerify(t, mixed, filepath.Join(dir, "g", "f")); r.Good != 0 || r.Differ != r.Pieces {
		t.Errorf("Verify without piece layers reports %+v, want all pieces to differ", r)
	}
}

func TestVerifyWithoutLayers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"t/a": random(1, 100_000), "t/b": random(2, 10)})
	m := mustMake(t, filepath.Join(dir, "t"), Options{Format: metainfo.V2, PieceLength: 16 << 10})
	m, err := metainfo.FromInfo(m.InfoBytes)
	must(t, err)
	if r := mustVerify(t, m, filepath.Join(dir, "t")); !r.Whole() {
		t.Errorf("Verify reports %+v, want complete data", r)
	}
	poke(t, filepath.Join(dir, "t", "a"), 50_000)
	r := mustVerify(t, m, filepath.Join(dir, "t"))
	if diff := cmp.Diff(r.Files[0].Damaged, []Range{{0, 100_000}}); diff != "" || r.Files[1].State != FileWhole {
		t.Errorf("the report is %+v, want only the first file damaged:\n%s", r, diff)
	}
}

func TestVerifyStaysInside(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"t/a": []byte("secret"), "t/b": []byte("b")})
	m := mustMake(t, filepath.Join(dir, "t"), Options{Format: metainfo.Hybrid})
	must(t, os.Rename(filepath.Join(dir, "t", "a"), filepath.Join(dir, "outside")))
	must(t, os.Symlink("../outside", filepath.Join(dir, "t", "a")))
	r := mustVerify(t, m, filepath.Join(dir, "t"))
	if r.Files[0].State != FileUnreadable || r.Files[1].State != FileWhole {
		t.Errorf("the files are %+v, want the first unreadable and the second whole", r.Files)
	}
}

func TestVerifyMissingData(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"t/a": []byte("a"), "s": []byte("s")})
	for _, name := range []string{"t", "s"} {
		m := mustMake(t, filepath.Join(dir, name), Options{})
		must(t, os.RemoveAll(filepath.Join(dir, name)))
		if r, err := Verify(context.Background(), m, filepath.Join(dir, name), VerifyOptions{}); !os.IsNotExist(err) {
			t.Errorf("Verify of the missing path %s returned %+v, %v, want fs.ErrNotExist", name, r, err)
		}
	}
}

func TestFindData(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{
		"x/t/a": random(1, 500), "x/t/b": random(2, 600), "y/other/a": random(1, 500), "y/other/b": random(2, 600), "z/": nil,
		"x/s": random(3, 77), "y/renamed": random(3, 77), "w/t/a": random(1, 499),
	})
	at := func(p string) string { return filepath.Join(dir, p) }
	tree, single := mustMake(t, at("x/t"), Options{}), mustMake(t, at("x/s"), Options{})
	for _, c := range []struct {
		m     *metainfo.MetaInfo
		paths []string
		want  string
	}{
		{tree, []string{"x"}, "x/t"}, {tree, []string{"x/t"}, "x/t"}, {tree, []string{"y/other"}, "y/other"},
		{tree, []string{"z", "x"}, "x/t"}, {tree, []string{"w", "x"}, "x/t"}, {tree, []string{"w"}, "w/t"},
		{tree, []string{"z", "y", "none"}, ""}, {tree, []string{"x/s"}, ""},
		{single, []string{"x"}, "x/s"}, {single, []string{"x/s"}, "x/s"}, {single, []string{"y/renamed"}, "y/renamed"},
		{single, []string{"x/t"}, ""},
	} {
		var paths []string
		for _, p := range c.paths {
			paths = append(paths, at(p))
		}
		got, err := FindData(c.m, paths...)
		if c.want == "" {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("FindData of %v returned %q, %v, want fs.ErrNotExist", c.paths, got, err)
			}
		} else if got != at(c.want) {
			t.Errorf("%v: %s %v, want %s", c.paths, got, err, c.want)
		}
	}
}

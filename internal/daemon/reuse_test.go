package daemon

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"spate/internal/folder"
	"spate/maker"
	"spate/metainfo"
)

// reuseFixture is a torrent with its data in one directory, and a directory for a download of it.
type reuseFixture struct {
	t         *testing.T
	m         *metainfo.MetaInfo
	made, dir string
}

var reuseFiles = map[string]int{"a": 300_000, "sub/b": 70_000, "sub/c": 70_000, "d": 5}

func newReuseFixture(t *testing.T, format metainfo.Format) *reuseFixture {
	t.Helper()
	x := &reuseFixture{t: t, made: filepath.Join(t.TempDir(), "name"), dir: t.TempDir()}
	rng := rand.NewChaCha8([32]byte{})
	for _, name := range []string{"a", "d", "sub/b", "sub/c"} {
		b := make([]byte, reuseFiles[name])
		rng.Read(b)
		writeAt(t, filepath.Join(x.made, name), b)
	}
	m, err := maker.Make(t.Context(), x.made, maker.Options{Format: format, PieceLength: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	x.m = m
	return x
}

func writeAt(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// data returns the data of a file of the torrent.
func (x *reuseFixture) data(name string) []byte {
	b, err := os.ReadFile(filepath.Join(x.made, name))
	if err != nil {
		x.t.Fatal(err)
	}
	return b
}

// prepare prepares the download of the files that sel selects, and returns the paths below the
// directory of the data that exist then.
func (x *reuseFixture) prepare(sel func([]string) bool) (there []string) {
	x.t.Helper()
	d, err := PrepareDownload(x.t.Context(), testEnv(), x.m, DownloadConfig{State: x.t.TempDir(), Dir: x.dir, Name: "name", Reuse: sel},
		func() (func(done, total int64), func()) {
			return func(done, total int64) {
				if done < 0 || done > total {
					x.t.Errorf("the progress is %d of %d", done, total)
				}
			}, func() {}
		})
	if err != nil {
		x.t.Fatal(err)
	}
	d.Release()
	filepath.WalkDir(filepath.Join(x.dir, "name"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(filepath.Join(x.dir, "name"), path)
			there = append(there, filepath.ToSlash(rel))
		}
		return nil
	})
	return there
}

func all([]string) bool { return true }

// TestReuseByRoot checks that a download copies the files of the torrent that are elsewhere in its
// directory, and that the found files stay as they are.
func TestReuseByRoot(t *testing.T) {
	t.Parallel()
	other := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1]++; return b }
	for name, c := range map[string]struct {
		format metainfo.Format
		put    func(x *reuseFixture)
		sel    func([]string) bool
		want   []string
	}{
		"renamed and moved": {put: func(x *reuseFixture) {
			writeAt(t, filepath.Join(x.dir, "deep/er/old"), x.data("a"))
			writeAt(t, filepath.Join(x.dir, "b"), x.data("sub/b"))
		}, want: []string{"a", "sub/b"}},
		"hybrid": {format: metainfo.Hybrid, put: func(x *reuseFixture) { writeAt(t, filepath.Join(x.dir, "x"), x.data("sub/c")) }, want: []string{"sub/c"}},
		"v2":     {format: metainfo.V2, put: func(x *reuseFixture) { writeAt(t, filepath.Join(x.dir, "x"), x.data("a")) }, want: []string{"a"}},
		"without roots": {put: func(x *reuseFixture) {
			x.m.V2Hashes = nil
			writeAt(t, filepath.Join(x.dir, "x"), x.data("a"))
		}},
		"inside the data": {put: func(x *reuseFixture) { writeAt(t, filepath.Join(x.dir, "name/moved/b"), x.data("sub/b")) }, want: []string{"moved/b", "sub/b"}},
		"other data": {put: func(x *reuseFixture) {
			writeAt(t, filepath.Join(x.dir, "a"), other(x.data("a")))
			writeAt(t, filepath.Join(x.dir, "b"), other(x.data("sub/b")))
			writeAt(t, filepath.Join(x.dir, "longer"), append(x.data("sub/c"), 0))
		}},
		"not selected": {put: func(x *reuseFixture) {
			writeAt(t, filepath.Join(x.dir, "x"), x.data("a"))
			writeAt(t, filepath.Join(x.dir, "y"), x.data("sub/b"))
		}, sel: func(path []string) bool { return path[0] == "a" }, want: []string{"a"}},
		"another file is there": {put: func(x *reuseFixture) {
			writeAt(t, filepath.Join(x.dir, "name/a"), x.data("a")[:100_000])
			writeAt(t, filepath.Join(x.dir, "x"), x.data("a"))
		}, want: []string{"a"}},
		"a link": {put: func(x *reuseFixture) {
			if err := os.Symlink(filepath.Join(x.made, "a"), filepath.Join(x.dir, "x")); err != nil {
				t.Skip(err)
			}
		}},
		"hidden": {put: func(x *reuseFixture) {
			writeAt(t, filepath.Join(x.dir, ".keys/a"), x.data("a"))
			writeAt(t, filepath.Join(x.dir, "old/.b"), x.data("sub/b"))
		}},
		"a copy that was killed": {put: func(x *reuseFixture) {
			writeAt(t, filepath.Join(x.dir, "name/.a.reuse"), x.data("a"))
			writeAt(t, filepath.Join(x.dir, "x"), x.data("a"))
		}, want: []string{"a"}},
		"wrong roots": {put: func(x *reuseFixture) { // made up by the one who sent the torrent
			lie := make([]byte, reuseFiles["a"])
			writeAt(t, filepath.Join(x.dir, "x"), lie)
			root, err := maker.FileRoot(t.Context(), bytes.NewReader(lie), int64(len(lie)))
			if err != nil {
				t.Fatal(err)
			}
			copy(x.m.V2Hashes.Files, root[:])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.sel == nil {
				c.sel = all
			}
			x := newReuseFixture(t, c.format)
			c.put(x)
			before := snapshot(t, x.dir)
			if got := x.prepare(c.sel); !slices.Equal(got, c.want) {
				t.Fatalf("after the preparation there is %v, want %v", got, c.want)
			}
			after := snapshot(t, x.dir)
			for path, was := range before {
				if now, ok := after[path]; !strings.HasSuffix(path, reuseTemp) && (!ok || now != was) {
					t.Errorf("%s was changed", path)
				}
			}
			for _, path := range c.want {
				if got, _ := os.ReadFile(filepath.Join(x.dir, "name", path)); name != "another file is there" && reuseFiles[path] > 0 && !bytes.Equal(got, x.data(path)) {
					t.Errorf("the copy of %s has other data", path)
				}
			}
		})
	}
}

// fileState is the state of a file that nothing may change.
type fileState struct {
	data string
	mode fs.FileMode
	at   time.Time
}

func snapshot(t *testing.T, dir string) map[string]fileState {
	t.Helper()
	all := map[string]fileState{}
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			b, _ := os.ReadFile(path)
			info, _ := e.Info()
			all[path] = fileState{string(b), info.Mode(), info.ModTime()}
		}
		return nil
	})
	return all
}

// TestReuseReadsLittle checks that a download does not read files of the right length to their end if
// their beginning is wrong, and that it stops after a multiple of what is missing.
func TestReuseReadsLittle(t *testing.T) {
	t.Parallel()
	x := newReuseFixture(t, "")
	d := &Download{MetaInfo: x.m, conf: DownloadConfig{Name: "name", Reuse: all}}
	path := filepath.Join(x.dir, "zeros")
	writeAt(t, path, make([]byte, reuseFiles["a"]))
	writeAt(t, filepath.Join(x.dir, "same"), x.data("a"))
	in, err := folder.Open(x.dir, folder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for _, c := range []struct {
		name  string
		limit int64
		want  int64
	}{{"zeros", 1 << 30, 64 << 10}, {"same", 1 << 30, 64<<10 + 300_000 + 300_000}, {"same", 1 << 10, 0}} {
		r := &reuser{d: d, in: in, missing: map[int64][]int{}, reads: c.limit, update: func(int64, int64) {}}
		r.findMissing()
		if err := r.try(t.Context(), c.name); err != nil {
			t.Fatal(err)
		}
		if r.done != c.want {
			t.Errorf("%s, limit %d: read and copied %d bytes, want %d", c.name, c.limit, r.done, c.want)
		}
		os.RemoveAll(filepath.Join(x.dir, "name"))
	}
}

// TestReuseKeepsFilesPrivate checks that nobody can read the copy of a file who cannot read the file.
func TestReuseKeepsFilesPrivate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("files have no permissions of other users")
	}
	x := newReuseFixture(t, metainfo.Hybrid)
	writeAt(t, filepath.Join(x.dir, "mine"), x.data("a"))
	if got := x.prepare(all); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("the copies are %v", got)
	}
	info, err := os.Stat(filepath.Join(x.dir, "name/a"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy of a file with the mode 0600 has %v, %v", info.Mode(), err)
	}
}

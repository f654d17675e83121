package folder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spate/internal/folder"
	"spate/internal/folder/foldertest"
)

// walked returns the paths of all calls of the WalkFunc. It marks an entry that cannot be
// read, and an entry that info does not describe. then is the result of each call.
func walked(f *folder.Folder, name string, then func(rel string) error) (all []string, err error) {
	err = f.Walk(name, func(in *folder.Folder, rel string, info fs.FileInfo, err error) error {
		what := filepath.ToSlash(rel)
		if err != nil {
			what += " failed"
		} else if got, err := in.Stat(info.Name()); err == nil && !os.SameFile(got, info) && info.Mode()&fs.ModeSymlink == 0 {
			what += " is another"
		}
		all = append(all, what)
		return then(rel)
	})
	return all, err
}

// TestWalk checks the order of a walk, how it handles links, and that the function can skip
// entries or end the walk.
func TestWalk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{"t/b/x", "t/b/y", "t/a", "t/c/z", "out/o"} {
		at := filepath.Join(dir, filepath.FromSlash(path))
		os.MkdirAll(filepath.Dir(at), 0o755)
		os.WriteFile(at, nil, 0o644)
	}
	for link, to := range map[string]string{"t/l": "b", "t/m": "../out", "t/c/up": "..", "in": "t"} {
		if err := os.Symlink(to, filepath.Join(dir, filepath.FromSlash(link))); err != nil {
			t.Skip(err)
		}
	}
	stop := errors.New("stop")
	for _, follow := range []bool{false, true} {
		f, err := folder.Open(dir, folder.Options{FollowLinks: follow})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, c := range []struct {
			name, at string
			then     error
			want     string
		}{
			{"t", "", nil, " a b b/x b/y c c/up c/z l m"},
			{"in", "", nil, " a b b/x b/y c c/up c/z l m"},
			{"t", "b", fs.SkipDir, " a b c c/up c/z l m"},
			{"t", "b/x", fs.SkipDir, " a b b/x c c/up c/z l m"},
			{"t", "b", fs.SkipAll, " a b"},
			{"t", "b/x", stop, " a b b/x"},
		} {
			all, err := walked(f, c.name, func(rel string) error {
				if c.at != "" && filepath.ToSlash(rel) == c.at {
					return c.then
				}
				return nil
			})
			if got := strings.Join(all, " "); got != c.want || (err != nil) != (c.then == stop) {
				t.Errorf("Walk of %s with the result %v at %s visited %q, %v, want %q", c.name, c.then, c.at, got, err, c.want)
			}
		}
	}
}

// TestWalkEndsAtMaxDepth checks that deep directories do not use up all descriptors.
func TestWalkEndsAtMaxDepth(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, filepath.Join(slices.Repeat([]string{"d"}, 150)...)), 0o755); err != nil {
		t.Skip(err)
	}
	f, err := folder.Open(dir, folder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if all, err := walked(f, ".", func(string) error { return nil }); err != nil || len(all) != 101 {
		t.Errorf("Walk visited %d directories, %v, want 101", len(all), err)
	}
}

// TestWalkReplacedDirectory checks that Walk does not enter an entry that has replaced a
// directory before Walk reaches it.
func TestWalkReplacedDirectory(t *testing.T) {
	t.Parallel()
	for _, entry := range foldertest.Entries("text") {
		if entry.Name == "directory" {
			continue
		}
		t.Run(entry.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "in")
			for _, name := range []string{"a", "b", "c"} {
				os.MkdirAll(filepath.Join(dir, name, "inside"), 0o755)
			}
			f, err := folder.Open(dir, folder.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			all, err := walked(f, ".", func(rel string) error {
				if rel == "a" {
					os.RemoveAll(filepath.Join(dir, "b"))
					entry.Put(t, filepath.Join(dir, "b"))
				}
				return nil
			})
			if want := " a a/inside b failed c c/inside"; strings.Join(all, " ") != want || err != nil {
				t.Errorf("Walk visited %q, %v, want %q", all, err, want)
			}
		})
	}
}

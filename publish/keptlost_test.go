package publish

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLostKeptData checks that a release is seeded from its unchanged entry if its kept data
// is lost, both while the program runs and after a restart.
func TestLostKeptData(t *testing.T) {
	remove := func(t *testing.T, path string) {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	shorten := func(t *testing.T, path string) {
		remove(t, path)
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name, file string // file of the entry "a", which is lost in the kept data
		lose       func(t *testing.T, path string)
		change     string // new data of the entry
		gone, used bool
	}{
		{name: "file", file: "a", lose: remove, used: true},
		{name: "file of another size", file: "a", lose: shorten, used: true},
		{name: "directory", file: "a/b", lose: func(t *testing.T, path string) { remove(t, filepath.Dir(path)) }, used: true},
		{name: "file of a directory", file: "a/b", lose: remove, used: true},
		{name: "intact", file: "a", lose: func(*testing.T, string) {}},
		{name: "changed entry", file: "a", lose: remove, change: "other data"},
		{name: "both gone", file: "a", lose: remove, gone: true},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(tc.name+map[bool]string{true: " after a restart"}[restart], func(t *testing.T) {
				t.Parallel()
				h := newFolderFixture(t, 1)
				h.write("other", "another entry")
				h.write(tc.file, "the data")
				h.update()
				first, err := h.catalog.Get(t.Context(), "a")
				if err != nil {
					t.Fatal(err)
				}
				if !h.pub.opts.Keeper.Holds(first) {
					t.Skip("the file system can neither clone nor link files")
				}
				tc.lose(t, filepath.Join(filepath.Dir(first.Path), filepath.FromSlash(tc.file)))
				if tc.change != "" {
					h.write(tc.file, tc.change)
				}
				if tc.gone {
					remove(t, filepath.Join(h.in, "a"))
				}
				if restart {
					h.start(1)
					if _, err := h.pub.Restore(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				h.folder.keptSeen = nil // a minute later
				h.update()
				at := strings.TrimPrefix(h.seeded[first.Hash()], "to be checked: ")
				if used := at == filepath.Join(h.in, "a"); used != tc.used {
					t.Errorf("the release is seeded from %q, want its entry: %v", at, tc.used)
				}
			})
		}
	}
}

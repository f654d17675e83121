package publish

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"spate/internal/atomicfile"
	"spate/maker"
)

// TestCompanionsAreNoRelease checks that no companion of an entry becomes a release, even for a
// moment, while the entry or the companion is replaced in the ways of mv, rm, rsync and editors.
// The folder is scanned after every step, as after the event of each change.
func TestCompanionsAreNoRelease(t *testing.T) {
	t.Parallel()
	rename := func(from, to string) func(*folderFixture) error {
		return func(h *folderFixture) error { return os.Rename(filepath.Join(h.in, from), filepath.Join(h.in, to)) }
	}
	remove := func(name string) func(*folderFixture) error {
		return func(h *folderFixture) error { return os.Remove(filepath.Join(h.in, name)) }
	}
	put := func(name, data string) func(*folderFixture) error {
		return func(h *folderFixture) error { h.write(name, data); return nil }
	}
	torrentOf := func(of, name string) func(*folderFixture) error {
		return func(h *folderFixture) error {
			m, err := maker.Make(h.t.Context(), filepath.Join(h.in, of), maker.Options{Comment: time.Now().String()})
			if err != nil {
				return err
			}
			b, err := m.Bytes()
			h.write(name, string(b))
			return err
		}
	}
	// young makes a file appear to be just written, so that it is not complete.
	young := func(name string) func(*folderFixture) error {
		return func(h *folderFixture) error {
			late := time.Now().Add(2 * time.Hour)
			return os.Chtimes(filepath.Join(h.in, name), late, late)
		}
	}
	old := func(name string) func(*folderFixture) error {
		return func(h *folderFixture) error {
			early := time.Now().Add(-time.Hour)
			return os.Chtimes(filepath.Join(h.in, name), early, early)
		}
	}
	notes := []func(*folderFixture) error{put("a.bin", "one"), put("a.bin.md", "notes")}
	seed := []func(*folderFixture) error{put("x", "the data"), torrentOf("x", "x.torrent")}
	both := append(slices.Clone(seed), put("x.md", "notes"), put("x.torrent.md", "notes"))
	for _, c := range []struct {
		name         string
		first, steps []func(*folderFixture) error
		end          string // the names of the releases after the steps
	}{
		{"mv over the entry", notes, []func(*folderFixture) error{put("a.bin", "two")}, "a.bin"},
		{"mv over it again and again", notes, []func(*folderFixture) error{put("a.bin", "2"), put("a.bin", "3"), put("a.bin", "4"), put("a.bin", "5")}, "a.bin"},
		{"mv over it, and it is young", notes, []func(*folderFixture) error{put("a.bin", "two"), young("a.bin"), old("a.bin")}, "a.bin"},
		{"rm and mv", notes, []func(*folderFixture) error{remove("a.bin"), put("a.bin", "two")}, "a.bin"},
		{"mv away and back", notes, []func(*folderFixture) error{rename("a.bin", "a.bin~"), rename("a.bin~", "a.bin")}, "a.bin"},
		{"the temporary name of rsync", notes, []func(*folderFixture) error{put(".a.bin.x7Gh2k", "two"), rename(".a.bin.x7Gh2k", "a.bin")}, "a.bin"},
		{"rm and the temporary name of rsync", notes, []func(*folderFixture) error{remove("a.bin"), put(".a.bin.x7Gh2k", "two"), rename(".a.bin.x7Gh2k", "a.bin")}, "a.bin"},
		{"the backup of an editor", notes, []func(*folderFixture) error{rename("a.bin", "a.bin~"), put("a.bin", "two"), remove("a.bin~")}, "a.bin"},
		{"the swap file of an editor", notes, []func(*folderFixture) error{put(".a.bin.swp", "s"), rename("a.bin", "a.bin~"), put("a.bin", "two"), remove(".a.bin.swp")}, "a.bin"},
		{"the notes are replaced", notes, []func(*folderFixture) error{put("a.bin.md", "new")}, "a.bin"},
		{"the notes are removed and written", notes, []func(*folderFixture) error{remove("a.bin.md"), put("a.bin.md", "new"), young("a.bin.md"), old("a.bin.md")}, "a.bin"},
		{"the backup of the notes", notes, []func(*folderFixture) error{rename("a.bin.md", "a.bin.md~"), put("a.bin.md", "new")}, "a.bin"},
		{"both are replaced", notes, []func(*folderFixture) error{put("a.bin.md", "new"), put("a.bin", "two")}, "a.bin"},
		{"both are removed and written", notes, []func(*folderFixture) error{remove("a.bin"), remove("a.bin.md"), put("a.bin.md", "new"), put("a.bin", "two")}, "a.bin"},
		{"the notes arrive first", []func(*folderFixture) error{put("other", "1")}, []func(*folderFixture) error{put("a.bin.md", "notes"), put("a.bin", "one")}, "a.bin other"},
		{"the entry of the notes is downloaded", []func(*folderFixture) error{put("other", "1")},
			[]func(*folderFixture) error{put("a.bin.md", "notes"), put("a.bin.part", "o"), nil, nil, nil, nil, nil, nil, nil, nil, nil, rename("a.bin.part", "a.bin")}, "a.bin other"},
		{"the entry of the notes is copied by rsync", []func(*folderFixture) error{put("other", "1")},
			[]func(*folderFixture) error{put("a.bin.md", "notes"), put(".a.bin.Qw12Zz", "o"), nil, nil, nil, nil, nil, nil, nil, nil, nil, rename(".a.bin.Qw12Zz", "a.bin")}, "a.bin other"},
		{"the notes of a refused entry", []func(*folderFixture) error{put("other", "1")}, []func(*folderFixture) error{func(h *folderFixture) error {
			return os.Symlink("nowhere", filepath.Join(h.in, "a.bin"))
		}, put("a.bin.md", "notes"), nil, nil, nil, nil, nil, nil, nil, nil, nil}, "other"},
		{"mv over the .torrent", seed, []func(*folderFixture) error{torrentOf("x", "x.torrent")}, "x.torrent"},
		{"mv over the .torrent, and it is young", seed, []func(*folderFixture) error{torrentOf("x", "x.torrent"), young("x.torrent"), old("x.torrent")}, "x.torrent"},
		{"rm and mv of the .torrent", seed, []func(*folderFixture) error{remove("x.torrent"), torrentOf("x", "x.torrent")}, "x.torrent"},
		{"the temporary name of the .torrent", seed, []func(*folderFixture) error{remove("x.torrent"), torrentOf("x", ".x.torrent.x7Gh2k"), rename(".x.torrent.x7Gh2k", "x.torrent")}, "x.torrent"},
		{"v2 hashes", seed, []func(*folderFixture) error{put("x.torrent.v2", "h"), remove("x.torrent"), torrentOf("x", "x.torrent")}, "x.torrent"},
		{"v2 hashes with a cut name, without their .torrent", seed, []func(*folderFixture) error{put(atomicfile.Name(strings.Repeat("n", 245)+".torrent", ".v2"), "h")}, "x.torrent"},
		{"mv over the data", seed, []func(*folderFixture) error{put("x", "the data")}, "x.torrent"},
		{"mv over the data, and it is young", seed, []func(*folderFixture) error{put("x", "the data"), young("x"), old("x")}, "x.torrent"},
		{"rm and mv of the data", seed, []func(*folderFixture) error{remove("x"), put("x", "the data")}, "x.torrent"},
		{"the data arrives with a young .torrent", []func(*folderFixture) error{put("other", "1")},
			[]func(*folderFixture) error{func(h *folderFixture) error {
				tmp := filepath.Join(h.in, "..", "x")
				if err := os.WriteFile(tmp, []byte("the data"), 0o666); err != nil {
					return err
				}
				return errors.Join(torrentOf("../x", "x.torrent")(h), young("x.torrent")(h))
			}, put("x", "the data"), old("x.torrent")}, "other x.torrent"},
		{"notes of data and of its .torrent", both, []func(*folderFixture) error{torrentOf("x", "x.torrent"), put("x", "the data"), put("x.md", "n"), remove("x"), put("x", "the data")}, "x.torrent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newFolderFixture(t, 1)
			at := time.Unix(1_800_000_000, 0)
			h.pub.opts.Now = func() time.Time { return at }
			for _, step := range c.first {
				if err := step(h); err != nil {
					t.Fatal(err)
				}
			}
			h.update()
			for i, step := range c.steps {
				if step != nil {
					if err := step(h); err != nil {
						t.Skip(err)
					}
				}
				for range 2 { // the state of the first scan influences the second
					h.update()
					at = at.Add(2 * time.Second)
					if got := h.watched(); strings.Contains(got, ".md") || strings.Contains(" "+got+" ", " x ") {
						t.Fatalf("after step %d these entries are releases: %s", i+1, got)
					}
				}
			}
			if got := h.watched(); got != c.end {
				t.Errorf("at the end these entries are releases: %s; want %s", got, c.end)
			}
		})
	}
}

// watched returns the sorted names of the entries that are releases.
func (h *folderFixture) watched() string {
	h.t.Helper()
	list, _, err := h.catalog.List(h.t.Context(), Query{All: true})
	if err != nil {
		h.t.Fatal(err)
	}
	names := map[string]bool{}
	for _, r := range list {
		if r.Watched != "" {
			names[filepath.Base(r.Watched)] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), " ")
}

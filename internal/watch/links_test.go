package watch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate/internal/folder/foldertest"
)

// TestRefusesUnsafeEntries checks that a link counts as its target if the target is in the folder or
// all links are followed, and that the scan refuses links that lead out and entries that are
// neither files nor directories.
func TestRefusesUnsafeEntries(t *testing.T) {
	t.Parallel()
	for _, follow := range []bool{false, true} {
		for _, entry := range foldertest.Entries("text") {
			t.Run(entry.Name+map[bool]string{true: " with FollowLinks"}[follow], func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "in")
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				entry.Put(t, filepath.Join(dir, "x"))
				f, err := New(dir, Options{FollowLinks: follow})
				if err != nil {
					t.Fatal(err)
				}
				s := f.Scan(time.Now().Add(time.Hour))
				want := entry.Strict
				if follow {
					want = entry.Follow
				}
				switch {
				case entry.Name == "nothing":
					if len(s.Entries)+len(s.Waiting)+len(s.Refused) != 0 {
						t.Errorf("the scan is %+v, want no entries", s)
					}
				case entry.Name == "directory" || entry.Name == "link to a directory out" && follow:
					if len(s.Entries) != 1 || !s.Entries[0].Dir || len(s.Refused) != 0 {
						t.Errorf("the scan is %+v, want one directory", s)
					}
				case want == foldertest.Read || want == foldertest.Leaked || want == foldertest.Denied:
					if len(s.Entries) != 1 || s.Entries[0].Dir || len(s.Refused) != 0 {
						t.Errorf("the scan is %+v, want one file", s)
					}
				default:
					if len(s.Refused) != 1 || s.Refused[0].Name != "x" || len(s.Entries)+len(s.Waiting) != 0 {
						t.Fatalf("the scan is %+v, want only x, refused", s)
					}
					if is := foldertest.OutcomeOf("", s.Refused[0].Err, ""); is != want {
						t.Errorf("the outcome is %s, want %s: %v", is, want, s.Refused[0].Err)
					}
				}
			})
		}
	}
}

// TestLinkStamp checks that a link has the stamp of its target, so that the scan sees changes
// of the target.
func TestLinkStamp(t *testing.T) {
	f, write := watched(t)
	write("file", "1", time.Hour)
	write("tree/a", "1", time.Hour)
	for link, to := range map[string]string{"link": "file", "treelink": "tree", "deep": "tree/a", "self": ".", "tree/up": "..", "tree/out": "../../.."} {
		if err := os.Symlink(to, filepath.Join(f.dir, filepath.FromSlash(link))); err != nil {
			t.Skip(err)
		}
	}
	stamps := func() map[string]string {
		m := map[string]string{}
		for _, e := range f.Scan(time.Now().Add(time.Hour)).Entries {
			m[e.Name] = e.Stamp
		}
		return m
	}
	before := stamps()
	if before["link"] != before["file"] || before["treelink"] != before["tree"] || before["deep"] == "" || len(before) != 5 {
		t.Errorf("the stamps are %q, want links with the stamps of their targets", before)
	}
	write("file", "12", time.Hour)
	write("tree/b", "1", time.Hour)
	after := stamps()
	if after["link"] == before["link"] || after["treelink"] == before["treelink"] || after["deep"] != before["deep"] {
		t.Errorf("the stamps %q became %q, want only those of the changed targets to change", before, after)
	}
	s := f.Scan(time.Now())
	if len(s.Refused) != 1 || s.Refused[0].Name != "self" {
		t.Errorf("with a link to the folder itself, refused are %+v, want only the link", s.Refused)
	}
	os.Remove(filepath.Join(f.dir, "file"))
	if s := f.Scan(time.Now()); len(s.Refused) != 2 || s.Refused[0].Name != "link" || !errors.Is(s.Refused[0].Err, fs.ErrNotExist) {
		t.Errorf("with links without a target, refused are %+v, want two entries", s.Refused)
	}
}

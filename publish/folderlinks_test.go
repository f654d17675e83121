package publish

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate/internal/folder/foldertest"
	"spate/maker"
	"spate/storage"
)

const entryText = "text of the folder"

// eachEntry runs test for every entry, with and without FollowLinks.
func eachEntry(t *testing.T, text string, test func(t *testing.T, h *folderFixture, entry foldertest.Entry, want foldertest.Outcome)) {
	for _, follow := range []bool{false, true} {
		for _, entry := range foldertest.Entries(text) {
			t.Run(entry.Name+map[bool]string{true: " followed"}[follow], func(t *testing.T) {
				t.Parallel()
				h := newFolderFixture(t, 1)
				h.follow = follow
				h.start(1)
				want := entry.Strict
				if follow {
					want = entry.Follow
				}
				test(t, h, entry, want)
			})
		}
	}
}

// refuses checks that the folder refuses exactly these entries.
func (h *folderFixture) refuses(names ...string) {
	h.t.Helper()
	got := h.folder.Status().Refused
	for _, name := range names {
		if got[name] == "" {
			h.t.Errorf("%s is not refused; refused are %q", name, got)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		h.t.Errorf("other entries are refused too: %q", got)
	}
}

func (h *folderFixture) at(name string) string { return filepath.Join(h.in, name) }

// TestFolderEntries checks that the folder publishes files and links to files in the folder,
// links that lead out only with FollowLinks, and nothing else, without waiting for pipes.
func TestFolderEntries(t *testing.T) {
	t.Parallel()
	eachEntry(t, entryText, func(t *testing.T, h *folderFixture, entry foldertest.Entry, want foldertest.Outcome) {
		entry.Put(t, h.at("x"))
		h.update()
		switch {
		case want == foldertest.Read:
			h.expect(map[string]string{"x~1": entryText})
			h.refuses()
		case want == foldertest.Leaked:
			h.expect(map[string]string{"x~1": foldertest.Secret})
			h.refuses()
		case entry.Name == "link to a directory out" && h.follow:
			h.expect(map[string]string{"x~1": "secret=" + foldertest.Secret})
			h.refuses()
		case entry.Name == "nothing":
			h.expect(nil)
			h.refuses()
		default:
			h.expect(nil)
			h.refuses("x")
		}
	})
}

// TestFolderReplacedEntries checks the same for an entry that replaces a published file. The file is
// withdrawn.
func TestFolderReplacedEntries(t *testing.T) {
	t.Parallel()
	eachEntry(t, entryText, func(t *testing.T, h *folderFixture, entry foldertest.Entry, want foldertest.Outcome) {
		h.write("stays", "s")
		h.write("x", "as it was")
		h.update()
		h.expect(map[string]string{"stays~1": "s", "x~1": "as it was"})
		os.Remove(h.at("x"))
		entry.Put(t, h.at("x"))
		list := map[string]string{"stays~1": "s"}
		switch {
		case want == foldertest.Read:
			list["x~1"], list["x~2"] = "as it was", entryText
		case want == foldertest.Leaked:
			list["x~1"], list["x~2"] = "as it was", foldertest.Secret
		case entry.Name == "link to a directory out" && h.follow:
			list["x~1"], list["x~2"] = "as it was", "secret="+foldertest.Secret
		case entry.Name == "directory" || want == foldertest.Denied: // cannot be published; the old release stays
			list["x~1"] = "as it was"
		case h.follow && strings.HasSuffix(entry.Name, "to nothing"): // the target may be on a disk that is not mounted
			list["x~1"] = "as it was"
		}
		h.update()
		h.expect(list)
		h.start(1) // the same after a restart
		if restored, err := h.pub.Restore(t.Context()); err != nil {
			t.Error(restored, err)
		}
		h.update()
		h.expect(list)
	})
}

// TestFolderNotesEntries checks that notes come from a file in the folder or a link to one. An
// entry with other notes is published without them, and the reason is reported.
func TestFolderNotesEntries(t *testing.T) {
	t.Parallel()
	eachEntry(t, entryText, func(t *testing.T, h *folderFixture, entry foldertest.Entry, want foldertest.Outcome) {
		h.write("x", "data")
		entry.Put(t, h.at("x.md"))
		notes := map[foldertest.Outcome]string{foldertest.Read: entryText, foldertest.Leaked: foldertest.Secret}[want]
		for range 2 {
			h.update()
			if entry.Name == "link to a directory out" && h.follow {
				continue // it is an entry of its own
			}
			h.expect(map[string]string{"x~1": "data"})
			if r, _ := h.catalog.Get(t.Context(), "x"); r.Notes != notes {
				t.Errorf("notes %q, want %q", r.Notes, notes)
			}
			if notes == "" && entry.Name != "nothing" {
				h.refuses("x.md")
			} else {
				h.refuses()
			}
		}
	})
}

// TestFolderNotesReplacedEntries checks that an entry that replaces the notes leaves the old notes,
// unless it can be read.
func TestFolderNotesReplacedEntries(t *testing.T) {
	t.Parallel()
	eachEntry(t, entryText, func(t *testing.T, h *folderFixture, entry foldertest.Entry, want foldertest.Outcome) {
		h.write("x", "data")
		h.write("x.md", "as they were")
		h.update()
		os.Remove(h.at("x.md"))
		entry.Put(t, h.at("x.md"))
		h.update()
		notes := map[foldertest.Outcome]string{foldertest.Read: entryText, foldertest.Leaked: foldertest.Secret}[want]
		if notes == "" {
			notes = "as they were"
		}
		if r, _ := h.catalog.Get(t.Context(), "x"); r.Notes != notes {
			t.Errorf("notes %q, want %q", r.Notes, notes)
		}
	})
}

// TestFolderNotesSwapped checks that notes are not read if another entry replaces them after the scan.
func TestFolderNotesSwapped(t *testing.T) {
	t.Parallel()
	eachEntry(t, entryText, func(t *testing.T, h *folderFixture, entry foldertest.Entry, want foldertest.Outcome) {
		h.write("x", "data")
		h.write("x.md", "as they were")
		h.folder.setScan(h.folder.watcher.Scan(time.Now().Add(time.Hour)))
		os.Remove(h.at("x.md"))
		entry.Put(t, h.at("x.md"))
		for h.folder.step(t.Context()) {
		}
		notes := map[foldertest.Outcome]string{foldertest.Read: entryText, foldertest.Leaked: foldertest.Secret}[want]
		if r, err := h.catalog.Get(t.Context(), "x"); err != nil || r.Notes != notes {
			t.Errorf("notes %q, want %q: %v", r.Notes, notes, err)
		}
		if notes == "" && want != foldertest.Missing {
			h.refuses("x.md")
		}
	})
}

func TestFolderLargeNotes(t *testing.T) {
	t.Parallel()
	h := newFolderFixture(t, 1)
	h.write("x", "data")
	h.write("x.md", strings.Repeat("n", MaxNotes+1))
	h.update()
	h.expect(map[string]string{"x~1": "data"})
	h.refuses("x.md")
	if s := h.folder.Status(); !strings.Contains(s.Refused["x.md"], "larger than 64 KiB") {
		t.Errorf("refused are %q, want x.md because of its size", s.Refused)
	}
	h.write("x.md", strings.Repeat("n", MaxNotes))
	h.update()
	if r, _ := h.catalog.Get(t.Context(), "x"); len(r.Notes) != MaxNotes {
		t.Errorf("the release has %d bytes of notes, want the maximum", len(r.Notes))
	}
	h.refuses()
}

// torrentOf returns the .torrent of a file named data with the given text.
func torrentOf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := maker.Make(t.Context(), path, maker.Options{Comment: "made elsewhere", NoDate: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestFolderTorrentEntries checks that a .torrent is read if it is a file in the folder or a
// link to one.
func TestFolderTorrentEntries(t *testing.T) {
	t.Parallel()
	eachEntry(t, torrentOf(t, "of the torrent"), func(t *testing.T, h *folderFixture, entry foldertest.Entry, want foldertest.Outcome) {
		h.write("data", "of the torrent")
		entry.Put(t, h.at("x.torrent"))
		h.update()
		if entry.Name == "link to a directory out" && h.follow {
			return // it is an entry of its own
		}
		h.expect(map[string]string{"data~1": "of the torrent"})
		r, err := h.catalog.Get(t.Context(), "data")
		if adopted := err == nil && r.Comment != ""; adopted != (want == foldertest.Read) {
			t.Errorf("the torrent was read: %v", adopted)
		}
		if want == foldertest.Read || entry.Name == "nothing" {
			h.refuses()
		} else {
			h.refuses("x.torrent")
		}
	})
}

// TestFolderTorrentDataEntries checks that the data of a .torrent is seeded if it is in the
// folder, and from outside only with FollowLinks.
func TestFolderTorrentDataEntries(t *testing.T) {
	t.Parallel()
	torrents := map[foldertest.Outcome]string{foldertest.Read: torrentOf(t, entryText), foldertest.Leaked: torrentOf(t, foldertest.Secret)}
	for seen, torrent := range torrents {
		t.Run(string(seen), func(t *testing.T) {
			eachEntry(t, entryText, func(t *testing.T, h *folderFixture, entry foldertest.Entry, want foldertest.Outcome) {
				h.write("x.torrent", torrent)
				entry.Put(t, h.at("data"))
				h.update()
				list := map[string]string{}
				if want == seen {
					list["data~1"] = map[foldertest.Outcome]string{foldertest.Read: entryText, foldertest.Leaked: foldertest.Secret}[seen]
				}
				h.expect(list)
				if _, told := h.folder.Status().Refused["x.torrent"]; told != (want != seen) {
					t.Errorf("refused are %q, want x.torrent only if its data cannot be read", h.folder.Status().Refused)
				}
			})
		})
	}
}

// TestFolderSwapped checks that no data from outside the folder is published if a link
// replaces an entry after the scan or during hashing.
func TestFolderSwapped(t *testing.T) {
	t.Parallel()
	for _, entry := range foldertest.Entries(entryText) {
		for _, when := range []string{"before", "asked", "made"} {
			for _, name := range []string{"x", "tree/x", "tree"} {
				t.Run(fmt.Sprintf("%s, %s, %s", entry.Name, when, name), func(t *testing.T) {
					t.Parallel()
					h := newFolderFixture(t, 1)
					if name == "tree" {
						h.write("tree/a", "as it was")
					} else {
						h.write(name, "as it was")
					}
					swap := func() {
						h.toMake, h.whenMade = nil, nil
						if err := os.RemoveAll(h.at(name)); err != nil {
							t.Errorf("removing the entry: %v", err)
						}
						entry.Put(t, h.at(name))
					}
					h.folder.setScan(h.folder.watcher.Scan(time.Now().Add(time.Hour)))
					switch when {
					case "before":
						swap()
					case "asked":
						h.toMake = swap
					case "made":
						h.whenMade = func(string) { swap() }
					}
					h.folder.step(t.Context())
					list, _, err := h.catalog.List(t.Context(), Query{All: true})
					if err != nil {
						t.Fatal(err)
					}
					if when == "before" && name != "tree/x" && entry.Strict == foldertest.Read {
						h.expect(map[string]string{name + "~1": entryText}) // it is one of the folder
						return
					}
					for _, short := range list {
						r, _ := h.catalog.Get(t.Context(), short.Ref())
						for i := range r.Files {
							f, err := r.Open(i)
							if err != nil {
								continue
							}
							b := make([]byte, 100)
							n, _ := f.Read(b)
							f.Close()
							if string(b[:n]) == foldertest.Secret || !strings.HasPrefix(r.Path, filepath.Dir(h.in)) {
								t.Errorf("the data %q is published from %s, want data of the folder only", b[:n], r.Path)
							}
						}
					}
					if when != "before" && len(list) > 0 {
						t.Errorf("%d releases were made of the replaced entry, want none", len(list))
					}
				})
			}
		}
	}
}

// TestFolderSwappedBack checks that the hashes of a file outside the folder are not
// published if a link replaces an entry only during hashing.
func TestFolderSwappedBack(t *testing.T) {
	t.Parallel()
	for _, entry := range foldertest.Entries(entryText) {
		if entry.Strict != foldertest.Outside {
			continue
		}
		t.Run(entry.Name, func(t *testing.T) {
			t.Parallel()
			h := newFolderFixture(t, 1)
			h.write("x", strings.Repeat("x", len(foldertest.Secret)))
			away := h.at(".away")
			h.toMake = func() {
				h.toMake = nil
				if err := os.Rename(h.at("x"), away); err != nil {
					t.Errorf("moving the entry away: %v", err)
				}
				entry.Put(t, h.at("x"))
			}
			h.whenMade = func(string) {
				h.whenMade = nil
				if err := os.Rename(away, h.at("x")); err != nil {
					t.Errorf("moving the entry back: %v", err)
				}
			}
			h.folder.setScan(h.folder.watcher.Scan(time.Now().Add(time.Hour)))
			h.folder.step(t.Context())
			h.expect(nil)
			h.refuses("x")
		})
	}
}

// TestServedSwapped checks that a file outside the folder is not sent if a link to it
// replaces a published file or its directory, even if the file has the same size and time.
func TestServedSwapped(t *testing.T) {
	t.Parallel()
	for _, entry := range foldertest.Entries(entryText) {
		for _, name := range []string{"x", "tree/x", "tree"} {
			t.Run(entry.Name+", "+name, func(t *testing.T) {
				t.Parallel()
				h := newFolderFixture(t, 0)
				file := name
				if name == "tree" {
					file = "tree/secret"
				}
				h.write(file, foldertest.Secret)
				h.update()
				r, err := h.catalog.Get(t.Context(), strings.Split(name, "/")[0])
				if err != nil {
					t.Fatal(err)
				}
				os.RemoveAll(h.at(name))
				entry.Put(t, h.at(name))
				alike := *r // as if an attacker could choose times and inodes
				alike.Files = append([]File{}, r.Files...)
				for _, path := range []string{h.at(file), filepath.Join(filepath.Dir(h.in), "outside", "x", "secret"), filepath.Join(filepath.Dir(h.in), "outside", "tree", "secret")} {
					if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
						alike.Files[0].setState(storage.StatOf(info))
						alike.Files[0].Length = info.Size()
					}
				}
				f, err := alike.Open(0)
				if err == nil {
					b := make([]byte, 100)
					n, _ := f.Read(b)
					f.Close()
					if string(b[:n]) == foldertest.Secret {
						t.Errorf("the site sends the file outside the folder")
					}
				} else if strings.Contains(err.Error(), h.in) {
					t.Errorf("the error contains a path: %v", err)
				}
				if alike.Intact() == nil && entry.Strict != foldertest.Read && entry.Strict != foldertest.Denied {
					t.Error("the release counts as intact")
				}
			})
		}
	}
}

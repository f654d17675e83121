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
)

const trapText = "text of the folder"

// eachTrap runs test for every trap, with links followed and not.
func eachTrap(t *testing.T, text string, test func(t *testing.T, h *house, trap foldertest.Trap, want foldertest.Outcome)) {
	for _, follow := range []bool{false, true} {
		for _, trap := range foldertest.Traps(text) {
			t.Run(trap.Name+map[bool]string{true: " followed"}[follow], func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, 1)
				h.follow = follow
				h.start(1)
				want := trap.Strict
				if follow {
					want = trap.Follow
				}
				test(t, h, trap, want)
			})
		}
	}
}

// refuses checks that exactly the entries named are refused, and named as they are.
func (h *house) refuses(names ...string) {
	h.t.Helper()
	got := h.folder.Status().Refused
	for _, name := range names {
		if got[name] == "" {
			h.t.Errorf("%s is not told as refused: %q", name, got)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		h.t.Errorf("refused: %q", got)
	}
}

func (h *house) at(name string) string { return filepath.Join(h.in, name) }

// TestFolderTraps: an entry is published if it is a file of the folder, or a link
// to one; a link that leads out is only where links are followed, and nothing else
// is waited for or published.
func TestFolderTraps(t *testing.T) {
	t.Parallel()
	eachTrap(t, trapText, func(t *testing.T, h *house, trap foldertest.Trap, want foldertest.Outcome) {
		trap.Put(t, h.at("x"))
		h.look()
		switch {
		case want == foldertest.Read:
			h.agree(map[string]string{"x~1": trapText})
			h.refuses()
		case want == foldertest.Leaked:
			h.agree(map[string]string{"x~1": foldertest.Secret})
			h.refuses()
		case trap.Name == "link to a directory out" && h.follow:
			h.agree(map[string]string{"x~1": "secret=" + foldertest.Secret})
			h.refuses()
		case trap.Name == "nothing":
			h.agree(nil)
			h.refuses()
		default:
			h.agree(nil)
			h.refuses("x")
		}
	})
}

// TestFolderTrapsLater: what takes the place of a published file is published or
// refused as if it had been there first, and the file is withdrawn.
func TestFolderTrapsLater(t *testing.T) {
	t.Parallel()
	eachTrap(t, trapText, func(t *testing.T, h *house, trap foldertest.Trap, want foldertest.Outcome) {
		h.write("stays", "s")
		h.write("x", "as it was")
		h.look()
		h.agree(map[string]string{"stays~1": "s", "x~1": "as it was"})
		os.Remove(h.at("x"))
		trap.Put(t, h.at("x"))
		list := map[string]string{"stays~1": "s"}
		switch {
		case want == foldertest.Read:
			list["x~1"], list["x~2"] = "as it was", trapText
		case want == foldertest.Leaked:
			list["x~1"], list["x~2"] = "as it was", foldertest.Secret
		case trap.Name == "link to a directory out" && h.follow:
			list["x~1"], list["x~2"] = "as it was", "secret="+foldertest.Secret
		case trap.Name == "directory" || want == foldertest.Denied: // cannot be published, and what was there stays
			list["x~1"] = "as it was"
		case h.follow && strings.HasSuffix(trap.Name, "to nothing"): // a disk that is away
			list["x~1"] = "as it was"
		}
		h.look()
		h.agree(list)
		h.start(1) // and at the next start
		if restored, err := h.pub.Restore(t.Context()); err != nil {
			t.Error(restored, err)
		}
		h.look()
		h.agree(list)
	})
}

// TestFolderNotesTraps: the notes of an entry are those of a file in the folder, of
// a link to one, or none; what is wrong with them is told, and the entry is
// published all the same.
func TestFolderNotesTraps(t *testing.T) {
	t.Parallel()
	eachTrap(t, trapText, func(t *testing.T, h *house, trap foldertest.Trap, want foldertest.Outcome) {
		h.write("x", "data")
		trap.Put(t, h.at("x.md"))
		notes := map[foldertest.Outcome]string{foldertest.Read: trapText, foldertest.Leaked: foldertest.Secret}[want]
		for range 2 {
			h.look()
			if trap.Name == "link to a directory out" && h.follow {
				continue // it is published for itself
			}
			h.agree(map[string]string{"x~1": "data"})
			if r, _ := h.catalog.Get(t.Context(), "x"); r.Notes != notes {
				t.Errorf("notes %q, want %q", r.Notes, notes)
			}
			if notes == "" && trap.Name != "nothing" {
				h.refuses("x.md")
			} else {
				h.refuses()
			}
		}
	})
}

// TestFolderNotesTrapsLater: what takes the place of notes leaves those that were
// read, unless it can be read.
func TestFolderNotesTrapsLater(t *testing.T) {
	t.Parallel()
	eachTrap(t, trapText, func(t *testing.T, h *house, trap foldertest.Trap, want foldertest.Outcome) {
		h.write("x", "data")
		h.write("x.md", "as they were")
		h.look()
		os.Remove(h.at("x.md"))
		trap.Put(t, h.at("x.md"))
		h.look()
		notes := map[foldertest.Outcome]string{foldertest.Read: trapText, foldertest.Leaked: foldertest.Secret}[want]
		if notes == "" {
			notes = "as they were"
		}
		if r, _ := h.catalog.Get(t.Context(), "x"); r.Notes != notes {
			t.Errorf("notes %q, want %q", r.Notes, notes)
		}
	})
}

// TestFolderNotesSwapped: notes that become a trap after the folder was looked at
// are not read.
func TestFolderNotesSwapped(t *testing.T) {
	t.Parallel()
	eachTrap(t, trapText, func(t *testing.T, h *house, trap foldertest.Trap, want foldertest.Outcome) {
		h.write("x", "data")
		h.write("x.md", "as they were")
		h.folder.setScan(h.folder.watcher.Scan(time.Now().Add(time.Hour)))
		os.Remove(h.at("x.md"))
		trap.Put(t, h.at("x.md"))
		for h.folder.step(t.Context()) {
		}
		notes := map[foldertest.Outcome]string{foldertest.Read: trapText, foldertest.Leaked: foldertest.Secret}[want]
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
	h := newHouse(t, 1)
	h.write("x", "data")
	h.write("x.md", strings.Repeat("n", MaxNotes+1))
	h.look()
	h.agree(map[string]string{"x~1": "data"})
	h.refuses("x.md")
	if s := h.folder.Status(); !strings.Contains(s.Refused["x.md"], "larger than 64 KiB") {
		t.Errorf("%q", s.Refused)
	}
	h.write("x.md", strings.Repeat("n", MaxNotes))
	h.look()
	if r, _ := h.catalog.Get(t.Context(), "x"); len(r.Notes) != MaxNotes {
		t.Errorf("%d bytes of notes", len(r.Notes))
	}
	h.refuses()
}

// torrentOf is the .torrent of a file data with the given text.
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

// TestFolderTorrentTraps: a .torrent is read if it is a file of the folder, or a link
// to one.
func TestFolderTorrentTraps(t *testing.T) {
	t.Parallel()
	eachTrap(t, torrentOf(t, "of the torrent"), func(t *testing.T, h *house, trap foldertest.Trap, want foldertest.Outcome) {
		h.write("data", "of the torrent")
		trap.Put(t, h.at("x.torrent"))
		h.look()
		if trap.Name == "link to a directory out" && h.follow {
			return // it is published for itself
		}
		h.agree(map[string]string{"data~1": "of the torrent"})
		r, err := h.catalog.Get(t.Context(), "data")
		if adopted := err == nil && r.Comment != ""; adopted != (want == foldertest.Read) {
			t.Errorf("the torrent was read: %v", adopted)
		}
		if want == foldertest.Read || trap.Name == "nothing" {
			h.refuses()
		} else {
			h.refuses("x.torrent")
		}
	})
}

// TestFolderTorrentDataTraps: the data beside a .torrent is seeded if it is in the
// folder, and from outside only where links are followed.
func TestFolderTorrentDataTraps(t *testing.T) {
	t.Parallel()
	torrents := map[foldertest.Outcome]string{foldertest.Read: torrentOf(t, trapText), foldertest.Leaked: torrentOf(t, foldertest.Secret)}
	for seen, torrent := range torrents {
		t.Run(string(seen), func(t *testing.T) {
			eachTrap(t, trapText, func(t *testing.T, h *house, trap foldertest.Trap, want foldertest.Outcome) {
				h.write("x.torrent", torrent)
				trap.Put(t, h.at("data"))
				h.look()
				list := map[string]string{}
				if want == seen {
					list["data~1"] = map[foldertest.Outcome]string{foldertest.Read: trapText, foldertest.Leaked: foldertest.Secret}[seen]
				}
				h.agree(list)
				if _, told := h.folder.Status().Refused["x.torrent"]; told != (want != seen) {
					t.Errorf("refused: %q", h.folder.Status().Refused)
				}
			})
		})
	}
}

// TestFolderSwapped: what takes the place of an entry after the folder was looked at,
// or while it is hashed, is not published from outside the folder.
func TestFolderSwapped(t *testing.T) {
	t.Parallel()
	for _, trap := range foldertest.Traps(trapText) {
		for _, when := range []string{"before", "asked", "made"} {
			for _, name := range []string{"x", "tree/x", "tree"} {
				t.Run(fmt.Sprintf("%s, %s, %s", trap.Name, when, name), func(t *testing.T) {
					t.Parallel()
					h := newHouse(t, 1)
					if name == "tree" {
						h.write("tree/a", "as it was")
					} else {
						h.write(name, "as it was")
					}
					swap := func() {
						h.toMake, h.whenMade = nil, nil
						if err := os.RemoveAll(h.at(name)); err != nil {
							t.Error(err)
						}
						trap.Put(t, h.at(name))
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
					if when == "before" && name != "tree/x" && trap.Strict == foldertest.Read {
						h.agree(map[string]string{name + "~1": trapText}) // it is one of the folder
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
								t.Errorf("%s is published from %s", b[:n], r.Path)
							}
						}
					}
					if when != "before" && len(list) > 0 {
						t.Errorf("%d releases of what was swapped", len(list))
					}
				})
			}
		}
	}
}

// TestFolderSwappedBack: a link that takes the place of a file only while it is
// hashed does not have the hashes of a file outside published.
func TestFolderSwappedBack(t *testing.T) {
	t.Parallel()
	for _, trap := range foldertest.Traps(trapText) {
		if trap.Strict != foldertest.Outside {
			continue
		}
		t.Run(trap.Name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 1)
			h.write("x", strings.Repeat("x", len(foldertest.Secret)))
			away := h.at(".away")
			h.toMake = func() {
				h.toMake = nil
				if err := os.Rename(h.at("x"), away); err != nil {
					t.Error(err)
				}
				trap.Put(t, h.at("x"))
			}
			h.whenMade = func(string) {
				h.whenMade = nil
				if err := os.Rename(away, h.at("x")); err != nil {
					t.Error(err)
				}
			}
			h.folder.setScan(h.folder.watcher.Scan(time.Now().Add(time.Hour)))
			h.folder.step(t.Context())
			h.agree(nil)
			h.refuses("x")
		})
	}
}

// TestServedSwapped: what takes the place of a published file, or of the directory
// that it is in, is not sent, however alike.
func TestServedSwapped(t *testing.T) {
	t.Parallel()
	for _, trap := range foldertest.Traps(trapText) {
		for _, name := range []string{"x", "tree/x", "tree"} {
			t.Run(trap.Name+", "+name, func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, 0)
				file := name
				if name == "tree" {
					file = "tree/secret"
				}
				h.write(file, foldertest.Secret)
				h.look()
				r, err := h.catalog.Get(t.Context(), strings.Split(name, "/")[0])
				if err != nil {
					t.Fatal(err)
				}
				os.RemoveAll(h.at(name))
				trap.Put(t, h.at(name))
				alike := *r // as an attacker would have it who chooses times and inodes
				alike.Files = append([]File{}, r.Files...)
				for _, path := range []string{h.at(file), filepath.Join(filepath.Dir(h.in), "outside", "x", "secret"), filepath.Join(filepath.Dir(h.in), "outside", "tree", "secret")} {
					if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
						alike.Files[0].ModTime, alike.Files[0].Inode, alike.Files[0].Length = info.ModTime(), inode(info), info.Size()
					}
				}
				f, err := alike.Open(0)
				if err == nil {
					b := make([]byte, 100)
					n, _ := f.Read(b)
					f.Close()
					if string(b[:n]) == foldertest.Secret {
						t.Errorf("the file outside is sent")
					}
				} else if strings.Contains(err.Error(), h.in) {
					t.Errorf("the error tells a path: %v", err)
				}
				if alike.Intact() == nil && trap.Strict != foldertest.Read && trap.Strict != foldertest.Denied {
					t.Error("it counts as what was published")
				}
			})
		}
	}
}

package maker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"spate/internal/folder"
)

// Selection is the list of the files that a torrent will contain, with their states. A caller
// that needs the list before [Make] passes it on with [Options].Selected, so that the directory
// is read once.
type Selection struct {
	t       *tree
	skipped int
}

// Select lists the files at path that the options select. It reads no data. It calls
// [Options.Skipped] and [Options.Unmatched]; later calls with the selection do not.
func Select(ctx context.Context, path string, o Options) (*Selection, error) {
	s := &Selection{}
	each := o.Skipped
	o.Skipped = func(e Skipped) {
		s.skipped++
		if each != nil {
			each(e)
		}
	}
	o.Selected = nil
	t, _, err := o.scan(ctx, path)
	s.t = t
	return s, err
}

// Skipped returns the number of entries that the options left out.
func (s *Selection) Skipped() int { return s.skipped }

// SelectedFile is the state of a file of a [Selection].
type SelectedFile struct {
	Length  int64 // bytes
	ModTime time.Time
	Inode   uint64 // 0 if the system has none
	Change  int64  // when the data or an attribute last changed, in nanoseconds since 1970; 0 if unknown
}

// Files yields the files by their paths below the top directory, with slashes. The path of a
// single file is "". Symbolic links that the torrent contains as links are left out.
func (s *Selection) Files() iter.Seq2[string, SelectedFile] {
	return func(yield func(string, SelectedFile) bool) {
		for i := range s.t.entries {
			e := &s.t.entries[i]
			if e.link == "" && !yield(e.rel, SelectedFile{e.stat.size, time.Unix(0, e.stat.mtime), e.stat.ino, e.stat.ctime}) {
				return
			}
		}
	}
}

// Paths yields the paths of [Selection.Files].
func (s *Selection) Paths() iter.Seq[string] {
	return func(yield func(string) bool) {
		for path := range s.Files() {
			if !yield(path) {
				return
			}
		}
	}
}

// Stamp returns a hash of the names and states of the files, and the time of the last change of
// a file or of a directory that was read.
func (s *Selection) Stamp() (stamp string, newest time.Time) {
	h := sha256.New()
	last := int64(0)
	for i := range s.t.entries {
		e := &s.t.entries[i]
		var b [25]byte // the last byte, 0, separates entries
		binary.BigEndian.PutUint64(b[0:], uint64(e.stat.size))
		binary.BigEndian.PutUint64(b[8:], uint64(e.stat.mtime))
		binary.BigEndian.PutUint64(b[16:], e.stat.ino)
		h.Write([]byte(e.rel + "\x00" + e.link + "\x00"))
		h.Write(b[:])
		if e.link == "" {
			last = max(last, e.stat.mtime)
		}
	}
	for _, d := range s.t.dirs {
		last = max(last, d.stat.mtime)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), time.Unix(0, last)
}

// Single reports whether the selection is a file that the user named, and not a directory.
func (s *Selection) Single() bool { return s.t.single }

// Outdated reports whether an entry was added to a directory of the selection, or removed from
// it, since the directory was read. [Make] finds changes of the files.
func (s *Selection) Outdated() bool {
	for _, d := range s.t.dirs {
		info, err := s.stat(d.rel)
		if err != nil || d.stat.changed(statOf(info)) != "" {
			return true
		}
	}
	return false
}

// CheckWritten returns a *[WrittenError] if the selection contains a file or directory of
// written, as [Make] does for [Options.Written].
func (s *Selection) CheckWritten(written []os.FileInfo) error {
	for _, list := range [][]entry{s.t.dirs, s.t.entries} {
		for i := range list {
			e := &list[i]
			if e.link != "" || !slices.ContainsFunc(written, func(w os.FileInfo) bool { return e.stat.mayBe(statOf(w)) }) {
				continue
			}
			info, err := s.stat(e.rel)
			if err == nil {
				err = s.t.checkWritten(written, e.rel, info)
			} else {
				err = nil // Make reports that the file is gone
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// mayBe reports whether two states can be those of the same file: their inode numbers are equal,
// or the system has none.
func (before fileStat) mayBe(now fileStat) bool {
	return before.ino == now.ino && before.dev == now.dev
}

// stat returns the present state of a file or directory of the selection.
func (s *Selection) stat(rel string) (os.FileInfo, error) {
	at := s.t.at
	if at.root == nil {
		return os.Stat(filepath.Join(at.path, filepath.FromSlash(rel)))
	}
	return folder.In(at.root).Stat(filepath.Join(at.name, filepath.FromSlash(rel)))
}

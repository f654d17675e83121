package storage

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"spate/internal/units"
)

// File is one file of a [Layout].
type File struct {
	Path   string // below the download directory, elements separated by '/'
	Length int64  // in bytes
	Offset int64  // offset of the file in the byte space
	Pad    bool   // a pad file, which is never stored (BEP 47)
	Exec   bool   // executable (BEP 47)
	Link   string // target of a symbolic link (BEP 47) in the form of Path; "" for a file
}

// Layout maps the byte space of a torrent to files. It is immutable and safe for
// concurrent use.
type Layout struct {
	files []File
	total int64
}

// ErrLayout is wrapped by the errors of [NewLayout].
var ErrLayout = errors.New("invalid layout of files")

// NewLayout checks files, which must be ordered by offset, and returns their layout. It
// keeps the slice. Gaps between files are padding, as in BEP 52. Paths must be local,
// clean and unique, and no file may be a parent directory of another.
func NewLayout(files []File) (*Layout, error) {
	l := &Layout{files: files}
	for i := range files {
		f := &files[i]
		if f.Length < 0 || f.Offset < l.total || f.Length > math.MaxInt64-f.Offset {
			return nil, fmt.Errorf("%w: file %d has offset %d and length %d after %s", ErrLayout, i, f.Offset, f.Length, units.Plural(l.total, "byte"))
		}
		l.total = f.Offset + f.Length
		if f.Pad {
			continue
		}
		if err := checkPath(f.Path); err != nil {
			return nil, fmt.Errorf("%w: file %d: %w", ErrLayout, i, err)
		}
		if f.Link != "" {
			if f.Length != 0 {
				return nil, fmt.Errorf("%w: file %d is a symbolic link with %s", ErrLayout, i, units.Plural(f.Length, "byte"))
			}
			if err := checkPath(f.Link); err != nil {
				return nil, fmt.Errorf("%w: link %d: %w", ErrLayout, i, err)
			}
		}
	}
	return l, l.checkTree()
}

// checkPath returns an error unless p is a clean relative path.
func checkPath(p string) error {
	if p == "." || path.Clean(p) != p || !filepath.IsLocal(filepath.FromSlash(p)) || strings.ContainsAny(p, "\x00") {
		return fmt.Errorf("unsafe path %q", p)
	}
	return nil
}

// checkTree returns an error if two files have the same path or one is a directory of
// another.
func (l *Layout) checkTree() error {
	seen := make(map[string]bool, len(l.files)) // true for a file, false for a directory
	for i := range l.files {
		f := &l.files[i]
		if f.Pad {
			continue
		}
		if _, taken := seen[f.Path]; taken {
			return fmt.Errorf("%w: two entries at %q", ErrLayout, f.Path)
		}
		seen[f.Path] = true
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			isFile, known := seen[dir]
			if isFile {
				return fmt.Errorf("%w: %q is a file and a directory", ErrLayout, dir)
			}
			if known {
				break
			}
			seen[dir] = false
		}
	}
	return nil
}

// Files returns the files. The caller must not change them.
func (l *Layout) Files() []File { return l.files }

// Len returns the length of the byte space including padding.
func (l *Layout) Len() int64 { return l.total }

// Extent is the part of a range that lies in one file.
type Extent struct {
	File   int   // index in the layout; -1 for padding between files
	Offset int64 // offset in the file
	Length int64
	Pad    bool // not stored, reads as zeros
}

// Extents iterates over the extents of n bytes from off. It skips bytes outside of the byte
// space and files of length zero.
func (l *Layout) Extents(off, n int64) iter.Seq[Extent] {
	return func(yield func(Extent) bool) {
		if off < 0 {
			off, n = 0, n+off
		}
		end := l.total
		if n < l.total-off {
			end = off + n
		}
		for i := l.find(off); off < end; i++ {
			f := &l.files[i]
			if off < f.Offset {
				e := Extent{File: -1, Length: min(end, f.Offset) - off, Pad: true}
				off += e.Length
				if !yield(e) || off == end {
					return
				}
			}
			e := Extent{File: i, Offset: off - f.Offset, Pad: f.Pad}
			e.Length = min(f.Length-e.Offset, end-off)
			off += e.Length
			if e.Length > 0 && !yield(e) {
				return
			}
		}
	}
}

// find returns the index of the first file that ends after off.
func (l *Layout) find(off int64) int {
	return sort.Search(len(l.files), func(i int) bool { return l.files[i].Offset+l.files[i].Length > off })
}

// inRange returns an error unless the n bytes from off lie in the byte space.
func inRange(op string, off int64, n int, total int64) error {
	if off < 0 || off > total || int64(n) > total-off {
		return fmt.Errorf("%s %s at %d: %w of %s", op, units.Plural(n, "byte"), off, ErrRange, units.Plural(total, "byte"))
	}
	return nil
}

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
)

// File is one file of a [Layout].
type File struct {
	Path   string // below the download directory, parts separated by '/'
	Length int64  // bytes
	Offset int64  // where the file begins in the byte space
	Pad    bool   // BEP 47: zeros that are never stored
	Exec   bool   // BEP 47: executable
	Link   string // BEP 47: what a symbolic link points to, as Path; "" if a file
}

// Layout says which file each byte of a torrent belongs to. It does not change
// and may be used by any number of goroutines.
type Layout struct {
	files []File
	total int64
}

// ErrLayout is the cause of every failure of [NewLayout].
var ErrLayout = errors.New("files cannot be laid out")

// NewLayout checks files, which are in the order of their offsets, and returns
// their layout; it keeps the slice. Gaps between files are padding, as in BEP 52.
// Paths have to be local, clean and different from each other, and no file may
// be the directory of another.
func NewLayout(files []File) (*Layout, error) {
	l := &Layout{files: files}
	for i := range files {
		f := &files[i]
		if f.Length < 0 || f.Offset < l.total || f.Length > math.MaxInt64-f.Offset {
			return nil, fmt.Errorf("%w: file %d has offset %d and length %d after %d bytes", ErrLayout, i, f.Offset, f.Length, l.total)
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
				return nil, fmt.Errorf("%w: file %d is a symbolic link with %d bytes", ErrLayout, i, f.Length)
			}
			if err := checkPath(f.Link); err != nil {
				return nil, fmt.Errorf("%w: link %d: %w", ErrLayout, i, err)
			}
		}
	}
	return l, l.checkTree()
}

// checkPath refuses what is not a clean, relative path of real names.
func checkPath(p string) error {
	if p == "." || path.Clean(p) != p || !filepath.IsLocal(filepath.FromSlash(p)) || strings.ContainsAny(p, "\x00") {
		return fmt.Errorf("unsafe path %q", p)
	}
	return nil
}

// checkTree refuses files at one path, and files below files.
func (l *Layout) checkTree() error {
	seen := make(map[string]bool, len(l.files)) // true: a file, false: a directory
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

// Files returns the files, which the caller must not change.
func (l *Layout) Files() []File { return l.files }

// Len returns the length of the byte space, padding included.
func (l *Layout) Len() int64 { return l.total }

// Extent is the part of a range of the byte space that lies in one file.
type Extent struct {
	File   int   // index in the layout; -1: padding between files
	Offset int64 // in the file
	Length int64
	Pad    bool // reads as zeros, is not stored
}

// Extents yields, in order, the extents that make up n bytes from off. What
// lies outside the byte space is left out. Files of zero length have none.
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

// inRange reports an error unless n bytes from off lie in the byte space.
func inRange(op string, off int64, n int, total int64) error {
	if off < 0 || off > total || int64(n) > total-off {
		return fmt.Errorf("%s %d bytes at %d: %w of %d bytes", op, n, off, ErrRange, total)
	}
	return nil
}

package storage

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"spate/internal/units"
	"spate/metainfo"
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
	top   string          // the first element of all paths; "" if files has it
	files []metainfo.File // shared with the torrent, because it can have a million files
	total int64
}

// ErrLayout is wrapped by the errors of [NewLayout].
var ErrLayout = errors.New("invalid layout of files")

// NewLayout checks files, which must be ordered by offset, and returns their layout. Gaps
// between files are padding, as in BEP 52. Paths must be local, clean and unique, and no file
// may be a parent directory of another.
func NewLayout(files []File) (*Layout, error) {
	l := &Layout{files: make([]metainfo.File, len(files))}
	for i, f := range files {
		to := &l.files[i]
		to.Length, to.Offset = f.Length, f.Offset
		switch {
		case f.Pad:
			to.Attr = metainfo.AttrPad
			continue
		case f.Exec:
			to.Attr = metainfo.AttrExecutable
		}
		if err := checkPath(f.Path); err != nil {
			return nil, fmt.Errorf("%w: file %d: %w", ErrLayout, i, err)
		}
		to.Path = strings.Split(f.Path, "/")
		if f.Link != "" {
			to.Attr |= metainfo.AttrSymlink
			to.Symlink = &metainfo.Symlink{Target: strings.Split(f.Link, "/")}
		}
	}
	return l, l.check()
}

// LayoutOf returns the layout of a torrent's files. All paths start with the name of the
// torrent. The layout keeps info.Files, which must not change afterwards.
func LayoutOf(info *metainfo.Info) (*Layout, error) {
	if err := checkElement(info.Name); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	l := &Layout{top: info.Name, files: info.Files}
	return l, l.check()
}

// check checks the layout as NewLayout does, and sets total.
func (l *Layout) check() error {
	for i := range l.files {
		f := &l.files[i]
		if f.Length < 0 || f.Offset < l.total || f.Length > math.MaxInt64-f.Offset {
			return fmt.Errorf("%w: file %d has offset %d and length %d after %s", ErrLayout, i, f.Offset, f.Length, units.Plural(l.total, "byte"))
		}
		l.total = f.Offset + f.Length
		if l.isPad(i) {
			continue
		}
		if err := checkElements(f.Path); err != nil {
			return fmt.Errorf("%w: file %d: %w", ErrLayout, i, err)
		}
		if f.Symlink != nil {
			if f.Length != 0 {
				return fmt.Errorf("%w: file %d is a symbolic link with %s", ErrLayout, i, units.Plural(f.Length, "byte"))
			}
			if err := checkElements(f.Symlink.Target); err != nil {
				return fmt.Errorf("%w: link %d: %w", ErrLayout, i, err)
			}
		}
	}
	return l.checkTree()
}

// checkPath returns an error unless p is a clean relative path.
func checkPath(p string) error {
	if p == "." || path.Clean(p) != p || !filepath.IsLocal(filepath.FromSlash(p)) || strings.ContainsAny(p, "\x00") {
		return fmt.Errorf("unsafe path %q", p)
	}
	return nil
}

// checkElement returns an error unless e can be an element of a clean relative path.
func checkElement(e string) error {
	if e == "." || strings.IndexByte(e, '/') >= 0 || strings.IndexByte(e, 0) >= 0 || !filepath.IsLocal(e) {
		return fmt.Errorf("unsafe path element %q", e)
	}
	return nil
}

func checkElements(path []string) error {
	for _, e := range path {
		if err := checkElement(e); err != nil {
			return err
		}
	}
	return nil
}

// checkTree returns an error if two files have the same path or one is a directory of
// another. It compares each file with the next one in the order of the paths, which is the order
// of most torrents.
func (l *Layout) checkTree() error {
	last := -1 // the previous file
	for i := range l.files {
		if l.isPad(i) {
			continue
		}
		if last >= 0 && slices.Compare(l.files[last].Path, l.files[i].Path) > 0 {
			return l.checkUnordered()
		}
		if err := l.checkPair(last, i); err != nil {
			return err
		}
		last = i
	}
	return nil
}

// checkUnordered is checkTree for files in any order.
func (l *Layout) checkUnordered() error {
	order := make([]int32, 0, len(l.files))
	for i := range l.files {
		if !l.isPad(i) {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(a, b int32) int { return slices.Compare(l.files[a].Path, l.files[b].Path) })
	for k := 1; k < len(order); k++ {
		if err := l.checkPair(int(order[k-1]), int(order[k])); err != nil {
			return err
		}
	}
	return nil
}

// checkPair returns an error if the files a and b have the same path, or a is a directory of b.
// a is -1 for no file.
func (l *Layout) checkPair(a, b int) error {
	if a < 0 {
		return nil
	}
	above, below := l.files[a].Path, l.files[b].Path
	switch {
	case len(above) > len(below) || !slices.Equal(above, below[:len(above)]):
		return nil
	case len(above) == len(below):
		return fmt.Errorf("%w: two entries at %q", ErrLayout, l.path(a))
	}
	return fmt.Errorf("%w: %q is a file and a directory", ErrLayout, l.path(a))
}

// path returns the path of file i in the form of File.Path.
func (l *Layout) path(i int) string { return joinPath(l.top, l.files[i].Path) }

// firstElement returns the element that all paths start with.
func (l *Layout) firstElement() (string, error) {
	if l.top != "" {
		return l.top, nil
	}
	top := ""
	for i := range l.files {
		if l.isPad(i) {
			continue
		}
		first := l.files[i].Path[0]
		if top != "" && first != top {
			return "", fmt.Errorf("%w: paths start with both %q and %q", ErrLayout, top, first)
		}
		top = first
	}
	return top, nil
}

// below returns the elements of the path of file i after the first one.
func (l *Layout) below(i int) []string {
	if l.top != "" {
		return l.files[i].Path
	}
	return l.files[i].Path[1:]
}

// link returns the target of a symbolic link in the form of File.Link, and "" for a file.
func (l *Layout) link(i int) string {
	if f := &l.files[i]; f.Symlink != nil && !f.Pad() {
		return joinPath(l.top, f.Symlink.Target)
	}
	return ""
}

// isPad reports whether file i is not stored. Nothing on disk stands for a link that must not be
// created.
func (l *Layout) isPad(i int) bool {
	f := &l.files[i]
	return f.Pad() || f.IsSymlink() && f.Symlink == nil
}

// joinPath joins the elements of a path. top may be empty.
func joinPath(top string, rest []string) string {
	if len(rest) == 0 {
		return top
	}
	n := len(top) + len(rest)
	for _, e := range rest {
		n += len(e)
	}
	var b strings.Builder
	b.Grow(n)
	b.WriteString(top)
	for _, e := range rest {
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		b.WriteString(e)
	}
	return b.String()
}

// Files returns a new list of the files.
func (l *Layout) Files() []File {
	files := make([]File, len(l.files))
	for i := range l.files {
		f := &l.files[i]
		files[i] = File{Length: f.Length, Offset: f.Offset, Pad: l.isPad(i)}
		if !files[i].Pad {
			files[i].Path, files[i].Exec, files[i].Link = l.path(i), f.Executable(), l.link(i)
		}
	}
	return files
}

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
			e := Extent{File: i, Offset: off - f.Offset, Pad: l.isPad(i)}
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

// Package folder opens files in a directory to which other users may write: a watched
// folder, a directory of torrents, a theme.
//
// It opens only regular files and directories below that directory, even if another user
// replaces an entry at the same time. [os.Root] resolves the paths, opening a pipe or a
// device never blocks, the type of the open descriptor is checked, and each read has a
// limit.
//
// The package follows links that stay inside the directory. Like os.Root, it treats an
// absolute link as one that leads out.
package folder

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options are the settings of a [Folder]. The zero value refuses links that lead out.
type Options struct {
	// FollowLinks follows all links, also those that lead out.
	FollowLinks bool
}

// Folder is an open directory to which other users may write. Its methods are safe for
// concurrent use. Names are relative to the directory, with the system's separators.
//
// The methods return a [*LinkError] for a link that leads out, a [*TypeError] for an entry
// of the wrong type, a [*SizeError] for a file over the limit, or an error of the system.
// Each error contains the whole path.
type Folder struct {
	path string
	root *os.Root // nil if all links are followed
}

// Open opens the directory at path. Because the user chose path, it may be a link.
func Open(path string, o Options) (*Folder, error) {
	if !o.FollowLinks {
		root, err := OpenRoot(path)
		if err != nil {
			return nil, err
		}
		return &Folder{path, root}, nil
	}
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &TypeError{Path: path, Type: info.Mode().Type(), Dir: true}
	}
	if err != nil {
		return nil, err
	}
	return &Folder{path: path}, nil
}

// In returns a Folder for the open directory root, which refuses links that lead out. The
// caller closes root.
func In(root *os.Root) *Folder { return &Folder{filepath.Clean(root.Name()), root} }

// Close closes the directory. Files that were opened in it stay open.
func (f *Folder) Close() error {
	if f.root == nil {
		return nil
	}
	return f.root.Close()
}

// Path returns the path of name.
func (f *Folder) Path(name string) string { return filepath.Join(f.path, name) }

// Root returns the open directory, or nil with [Options.FollowLinks]. It is valid until
// Close.
func (f *Folder) Root() *os.Root { return f.root }

// Stat describes the file or directory name, or the target if name is a link.
func (f *Folder) Stat(name string) (fs.FileInfo, error) {
	info, err := f.stat(name)
	return info, f.explain("stat", name, err)
}

// stat is like Stat, but returns the errors of the system unchanged.
func (f *Folder) stat(name string) (fs.FileInfo, error) {
	switch {
	case f.root != nil:
		return f.root.Stat(name)
	case !filepath.IsLocal(name):
		return nil, ErrOutside
	}
	return os.Stat(f.Path(name))
}

// Open opens the regular file name for reading.
func (f *Folder) Open(name string) (*os.File, error) {
	file, err := openRegular(f.Path(name), func() (fs.FileInfo, error) { return f.stat(name) }, func() (*os.File, error) {
		if f.root != nil {
			return f.root.OpenFile(name, os.O_RDONLY|openFlags, 0)
		}
		return os.OpenFile(f.Path(name), os.O_RDONLY|openFlags, 0)
	})
	return file, f.explain("open", name, err)
}

// ReadFile returns the contents of the regular file name. It returns a [*SizeError] if the
// file has more than limit bytes.
func (f *Folder) ReadFile(name string, limit int64) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return ReadOpen(file, f.Path(name), limit)
}

// Head checks the beginning of a file before the rest is read.
type Head struct {
	Size  int                // number of bytes to check; a shorter file is checked whole
	Check func([]byte) error // a non-nil error is the result of the read
}

// ReadChecked is like ReadFile, but reads only the beginning of a file that h rejects.
func (f *Folder) ReadChecked(name string, limit int64, h Head) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return read(file, f.Path(name), limit, &h)
}

// ReadDir returns the entries of the directory, sorted by name. An entry for a link
// describes the link.
func (f *Folder) ReadDir() ([]fs.DirEntry, error) { return f.readDir(-1) }

// ReadSome is like ReadDir, but reads at most n entries, which must be above 0. They are any of
// the entries if the directory has more.
func (f *Folder) ReadSome(n int) ([]fs.DirEntry, error) { return f.readDir(n) }

// readDir reads at most n entries, or all if n is negative.
func (f *Folder) readDir(n int) ([]fs.DirEntry, error) {
	dir, err := f.openDir(".")
	if err != nil {
		return nil, f.explain("open", ".", err)
	}
	defer dir.Close()
	list, err := dir.ReadDir(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil // the directory is empty
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, f.explain("read", ".", err)
}

// openDir opens the directory name for listing.
func (f *Folder) openDir(name string) (*os.File, error) {
	switch {
	case f.root != nil:
		return OpenDir(f.root, name)
	case !filepath.IsLocal(name):
		return nil, ErrOutside
	}
	return os.OpenFile(f.Path(name), os.O_RDONLY|dirFlags, 0)
}

// Sub opens the directory name as a Folder. Without FollowLinks, links in it may not lead
// out of that directory.
func (f *Folder) Sub(name string) (*Folder, error) {
	if f.root == nil {
		if !filepath.IsLocal(name) {
			return nil, f.explain("open", name, ErrOutside)
		}
		return Open(f.Path(name), Options{FollowLinks: true})
	}
	root, err := OpenSub(f.root, name)
	if err != nil {
		return nil, f.explain("open", name, err)
	}
	return &Folder{f.Path(name), root}, nil
}

// explain converts the error of an operation on name to an error of this package, with the
// whole path.
func (f *Folder) explain(op, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case Escapes(err):
		return f.linkError(name)
	}
	if cause, ok := bareCause(err); ok {
		return &fs.PathError{Op: op, Path: f.Path(name), Err: cause}
	}
	return err
}

// linkError returns the error for a name that leads out. It reports the first link in the
// path.
func (f *Folder) linkError(name string) error {
	if f.root == nil {
		return &LinkError{Path: f.Path(name)}
	}
	parts := strings.Split(filepath.Clean(name), string(filepath.Separator))
	for i := range parts {
		at := filepath.Join(parts[:i+1]...)
		if target, err := f.root.Readlink(at); err == nil {
			return &LinkError{Path: f.Path(at), Target: target}
		}
	}
	return &LinkError{Path: f.Path(name)}
}

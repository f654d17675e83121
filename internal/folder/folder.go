// Package folder opens files in a directory that somebody else may write to: a
// watched folder, a directory of torrents, a theme.
//
// Everything that it opens is a regular file or a directory below that directory,
// whatever lies there and whatever is put in its place meanwhile: paths are
// resolved by [os.Root], no open waits for a pipe or a device, the type is that
// of the open descriptor, and each read has a limit.
//
// Links that stay inside the directory are followed. An absolute link counts as
// one that leads out, as for os.Root.
package folder

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options of a [Folder]. The zero value refuses links that lead out.
type Options struct {
	// FollowLinks follows links wherever they lead.
	FollowLinks bool
}

// Folder is an open directory that somebody else may write to. Its methods may be
// called concurrently. Names are relative to it, with the system's separators.
//
// Errors are a [*LinkError] for a link that leads out, a [*TypeError] for what is
// not a regular file, a [*SizeError] for a file over the limit, and those of the
// system, each with the whole path.
type Folder struct {
	path string
	root *os.Root // nil: links are followed wherever they lead
}

// Open opens the directory at path, which the user named: it may be a link.
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

// In returns the open directory root, which stays the caller's, as a Folder that
// refuses links that lead out.
func In(root *os.Root) *Folder { return &Folder{filepath.Clean(root.Name()), root} }

// Close closes the directory. What was opened in it stays open.
func (f *Folder) Close() error {
	if f.root == nil {
		return nil
	}
	return f.root.Close()
}

// Path returns the path of name.
func (f *Folder) Path(name string) string { return filepath.Join(f.path, name) }

// Root returns the open directory, or nil if links are followed wherever they
// lead. It is valid until Close.
func (f *Folder) Root() *os.Root { return f.root }

// Stat describes what name is, or what it leads to if it is a link.
func (f *Folder) Stat(name string) (fs.FileInfo, error) {
	info, err := f.stat(name)
	return info, f.explain("stat", name, err)
}

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

// ReadFile reads the regular file name, of at most limit bytes.
func (f *Folder) ReadFile(name string, limit int64) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return read(file, f.Path(name), limit)
}

// ReadDir lists the directory by name. The entries describe links, not what they
// lead to.
func (f *Folder) ReadDir() ([]fs.DirEntry, error) {
	dir, err := f.openDir(".")
	if err != nil {
		return nil, f.explain("open", ".", err)
	}
	defer dir.Close()
	list, err := dir.ReadDir(-1)
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, f.explain("read", ".", err)
}

func (f *Folder) openDir(name string) (*os.File, error) {
	switch {
	case f.root != nil:
		return OpenDir(f.root, name)
	case !filepath.IsLocal(name):
		return nil, ErrOutside
	}
	return os.OpenFile(f.Path(name), os.O_RDONLY|dirFlags, 0)
}

// Sub opens the directory name. Links in it may not lead out of that.
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

// explain returns err, of an operation on name, with the whole path and as one of
// the errors of this package.
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

// linkError returns the error for name, naming the first link on the way to it.
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

package maker

import (
	"errors"
	"os"
	"path/filepath"

	"spate/internal/folder"
)

// location is the path of a torrent's data, which is a file or a directory.
type location struct {
	path string   // the absolute path, for errors
	root *os.Root // directory that contains the data; nil if the user chose the path, which may then be a link to anywhere
	name string   // the path below root
}

// ErrNoPath is returned for an empty path, which is usually the mistake of a caller. The
// path of the current directory is ".".
var ErrNoPath = errors.New("the path is empty")

// locationOf returns the location of a path, which is relative to root if root is not
// nil.
func locationOf(path string, root *os.Root) (location, error) {
	if path == "" {
		return location{}, ErrNoPath
	}
	if root == nil {
		abs, err := filepath.Abs(path)
		return location{path: abs}, err
	}
	abs, err := filepath.Abs(filepath.Join(root.Name(), path))
	return location{abs, root, path}, err
}

// stat returns the FileInfo of the file or directory.
func (p location) stat() (os.FileInfo, error) {
	if p.root == nil {
		return os.Stat(p.path)
	}
	return folder.In(p.root).Stat(p.name)
}

// openDir opens the directory. Links in it cannot lead out of it.
func (p location) openDir() (*os.Root, error) {
	if p.root == nil {
		return folder.OpenRoot(p.path)
	}
	sub, err := folder.In(p.root).Sub(p.name)
	if err != nil {
		return nil, err
	}
	return sub.Root(), nil
}

// openAbove opens the directory that contains the file, and returns the name of the
// file in it. It returns nil if root is nil.
func (p location) openAbove() (*os.Root, string, error) {
	if p.root == nil {
		return nil, "", nil
	}
	root, err := folder.OpenSub(p.root, ".")
	return root, p.name, err
}

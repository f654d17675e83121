package maker

import (
	"errors"
	"os"
	"path/filepath"

	"spate/internal/folder"
)

// place is the location of a torrent's data, which is a file or a directory.
type place struct {
	path string   // the absolute path, for errors
	root *os.Root // directory that contains the data; nil if the user chose the path, which may then be a link to anywhere
	name string   // the path below root
}

// ErrNoPath is returned for an empty path, which is usually the mistake of a caller. The
// path of the current directory is ".".
var ErrNoPath = errors.New("the path is empty")

// placeOf returns the place of a path, which is relative to root if root is not
// nil.
func placeOf(path string, root *os.Root) (place, error) {
	if path == "" {
		return place{}, ErrNoPath
	}
	if root == nil {
		abs, err := filepath.Abs(path)
		return place{path: abs}, err
	}
	abs, err := filepath.Abs(filepath.Join(root.Name(), path))
	return place{abs, root, path}, err
}

// stat returns the FileInfo of the file or directory.
func (p place) stat() (os.FileInfo, error) {
	if p.root == nil {
		return os.Stat(p.path)
	}
	return folder.In(p.root).Stat(p.name)
}

// openDir opens the directory. Links in it cannot lead out of it.
func (p place) openDir() (*os.Root, error) {
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
func (p place) openAbove() (*os.Root, string, error) {
	if p.root == nil {
		return nil, "", nil
	}
	root, err := folder.OpenSub(p.root, ".")
	return root, p.name, err
}

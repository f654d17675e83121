package maker

import (
	"errors"
	"os"
	"path/filepath"

	"spate/internal/folder"
)

// place is where the data of a torrent lies: a file or a directory.
type place struct {
	path string   // absolute; what it is called in errors
	root *os.Root // that it is in; nil: the user named it, and it may be a link to anywhere
	name string   // in root
}

// ErrNoPath is returned for an empty path, which is usually the mistake of a caller. The
// path of the current directory is ".".
var ErrNoPath = errors.New("the path is empty")

// placeOf returns the place of a path, which is relative to root unless that is
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

// stat describes what lies there.
func (p place) stat() (os.FileInfo, error) {
	if p.root == nil {
		return os.Stat(p.path)
	}
	return folder.In(p.root).Stat(p.name)
}

// openDir opens the directory that lies there. No link in it leads out of it.
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

// openAbove opens the directory in which a file is looked up, and returns the
// file's name in it; nil if the user named the file.
func (p place) openAbove() (*os.Root, string, error) {
	if p.root == nil {
		return nil, "", nil
	}
	root, err := folder.OpenSub(p.root, ".")
	return root, p.name, err
}

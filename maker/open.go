package maker

import (
	"os"
	"path/filepath"
)

// name returns the path of a file for errors.
func (o *opener) name(rel string) string {
	if o.root == nil {
		return o.path
	}
	return filepath.Join(o.path, filepath.FromSlash(rel))
}

// slowStat gets the FileInfo of a file with the standard library.
func (o *opener) slowStat(rel string) (os.FileInfo, error) {
	switch {
	case o.root == nil:
		return os.Stat(o.path)
	case o.follow:
		return o.root.Stat(filepath.FromSlash(rel))
	}
	return o.root.Lstat(filepath.FromSlash(rel))
}

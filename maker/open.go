package maker

import (
	"os"
	"path/filepath"
)

// name is how a file is called in errors.
func (o *opener) name(rel string) string {
	if o.root == nil {
		return o.path
	}
	return filepath.Join(o.path, filepath.FromSlash(rel))
}

// slowStat is stat by way of the standard library.
func (o *opener) slowStat(rel string) (os.FileInfo, error) {
	switch {
	case o.root == nil:
		return os.Stat(o.path)
	case o.follow:
		return o.root.Stat(filepath.FromSlash(rel))
	}
	return o.root.Lstat(filepath.FromSlash(rel))
}

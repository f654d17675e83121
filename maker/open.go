package maker

import (
	"os"
	"path/filepath"
)

// newOpener returns an opener for a single file, or for the files of a directory.
func newOpener(at location, single bool) (*opener, error) {
	o := &opener{path: at.path}
	var err error
	if single {
		o.root, o.file, err = at.openAbove()
	} else {
		o.root, err = at.openDir()
	}
	if err == nil {
		err = o.prepare()
	}
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// local returns the name of a file in root: rel, or the name of the single file.
func (o *opener) local(rel string) string {
	if rel == "" {
		return o.file
	}
	return filepath.FromSlash(rel)
}

// name returns the path of a file for errors.
func (o *opener) name(rel string) string { return filepath.Join(o.path, filepath.FromSlash(rel)) }

// slowStat gets the FileInfo of a file with the standard library.
func (o *opener) slowStat(rel string) (os.FileInfo, error) {
	switch {
	case o.root == nil:
		return os.Stat(o.path)
	case o.follow || rel == "":
		return o.root.Stat(o.local(rel))
	}
	return o.root.Lstat(o.local(rel))
}

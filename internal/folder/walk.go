package folder

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// maxDepth is how many directories Walk has open at once.
const maxDepth = 100

// WalkFunc is told of a file or a directory. rel is its path below the directory
// that is walked, "" for that itself, and info describes it, a link as a link. It
// has info's name in the folder in, which is open during the call only. err says
// why a directory cannot be read; what is in it is then left out, if the function
// returns nil.
//
// fs.SkipDir leaves out what is in a directory, fs.SkipAll ends the walk. Any other
// error ends it too, and is returned.
type WalkFunc func(in *Folder, rel string, info fs.FileInfo, err error) error

// Walk calls each for the directory name, and for everything below it by name. It
// enters no directory behind a link, but for name itself, and none deeper than 100.
func (f *Folder) Walk(name string, each WalkFunc) error {
	info, err := f.Stat(name)
	if err == nil {
		err = f.walk(name, "", 0, info, each)
	}
	if errors.Is(err, fs.SkipAll) {
		return nil
	}
	return err
}

// walk does that for a directory whose path below the first is rel.
func (f *Folder) walk(name, rel string, depth int, info fs.FileInfo, each WalkFunc) error {
	sub, err := f.Sub(name)
	if err == nil {
		defer sub.Close()
	}
	switch skip := each(f, rel, info, err); {
	case errors.Is(skip, fs.SkipDir):
		return nil
	case skip != nil || err != nil || depth >= maxDepth:
		return skip
	}
	entries, err := sub.ReadDir()
	if err != nil {
		if err = each(f, rel, info, err); errors.Is(err, fs.SkipDir) {
			return nil
		}
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // removed meanwhile
		}
		at := filepath.Join(rel, e.Name())
		if info.IsDir() {
			err = sub.walk(e.Name(), at, depth+1, info, each)
		} else if err = each(sub, at, info, nil); errors.Is(err, fs.SkipDir) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

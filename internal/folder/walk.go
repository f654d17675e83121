package folder

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// maxDepth bounds the depth of Walk, which keeps one directory open per level.
const maxDepth = 100

// WalkFunc is called by [Folder.Walk] for a file or a directory. rel is the path below the
// directory of the walk, "" for that directory itself. info describes the entry, which may
// be a link. in is the folder that contains the entry, and is open only during the call.
// err is not nil if Walk cannot read the directory; if WalkFunc then returns nil, Walk
// skips its entries.
//
// If WalkFunc returns fs.SkipDir for a directory, Walk skips its entries. If it returns
// fs.SkipDir for a file, Walk skips the rest of the directory that contains the file.
// fs.SkipAll ends the walk. Any other error ends the walk and is returned by Walk.
type WalkFunc func(in *Folder, rel string, info fs.FileInfo, err error) error

// Walk calls each for the directory name and for all entries below it, in the order of
// their names. If name itself is a link, Walk follows it, but no other link. It enters no
// directory more than 100 levels below name.
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

// walk is like Walk for a directory with the path rel below the directory of the walk.
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
		err = each(f, rel, info, err)
		if errors.Is(err, fs.SkipDir) {
			return nil
		}
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // the entry was removed
		}
		at := filepath.Join(rel, e.Name())
		if info.IsDir() {
			err = sub.walk(e.Name(), at, depth+1, info, each)
		} else {
			err = each(sub, at, info, nil)
			if errors.Is(err, fs.SkipDir) {
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

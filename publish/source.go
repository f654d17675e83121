package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"spate/internal/folder"
)

// ErrNoFile is the cause when a release has no file of the path that was asked
// for.
var ErrNoFile = errors.New("no such file in the release")

// ErrGone is the cause when a file of a release cannot be read where it was:
// removed, unreadable, or on a disk that is not mounted. It may come back.
var ErrGone = errors.New("cannot be read where it was published from")

// ErrChanged is the cause when a file is not the one that was hashed any more.
var ErrChanged = errors.New("not what was hashed")

// Open opens file i of r for reading, after making sure that it is the one that
// was hashed: a regular file inside the release's own path, with the size, the
// modification time and the inode of then. Otherwise the error is [ErrChanged]
// or [ErrGone].
//
// No link leads out of the tree, nor out of the directory that the tree or the
// file is in. The caller closes the file.
func (r *Release) Open(i int) (*os.File, error) {
	if i < 0 || i >= len(r.Files) {
		return nil, ErrNoFile
	}
	in, err := r.folder()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, bare(err))
	}
	defer in.Close()
	name := r.nameIn(r.Files[i].Path)
	info, err := in.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, bare(err))
	}
	if err := r.Files[i].Same(info); err != nil {
		return nil, err
	}
	f, err := in.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, bare(err))
	}
	if err := r.Files[i].check(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Same reports, as an [ErrChanged], what info has otherwise than f had when it
// was hashed.
func (f *File) Same(info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: it is not a regular file now", ErrChanged)
	case info.Size() != f.Length:
		return fmt.Errorf("%w: it had %d bytes, and has %d now", ErrChanged, f.Length, info.Size())
	case !info.ModTime().Equal(f.ModTime):
		return fmt.Errorf("%w: it was written to at %s", ErrChanged, info.ModTime().UTC().Format(time.DateTime))
	case f.Inode != 0 && inode(info) != f.Inode:
		return fmt.Errorf("%w: another file is in its place", ErrChanged)
	}
	return nil
}

// folder opens the directory that holds the data: for a single file the one that
// it is in, for a tree the tree. Who may write to the directory above cannot have
// it lead elsewhere.
func (r *Release) folder() (*folder.Folder, error) {
	if r.Path == "" {
		return nil, ErrNoStore
	}
	above, err := folder.Open(filepath.Dir(r.Path), folder.Options{})
	if err != nil || r.Single {
		return above, err
	}
	defer above.Close()
	return above.Sub(filepath.Base(r.Path))
}

// nameIn is the name of the file at path in the directory that folder opens.
func (r *Release) nameIn(path string) string {
	if r.Single {
		return filepath.Base(r.Path)
	}
	return filepath.FromSlash(path)
}

// snapshot is what lay at a path before it was hashed.
type snapshot map[string]fs.FileInfo

// takeSnapshot stats path, and everything under it if it is a directory.
func takeSnapshot(path string) (snapshot, error) {
	above, err := folder.Open(filepath.Dir(path), folder.Options{})
	if err != nil {
		return nil, err
	}
	defer above.Close()
	info, err := above.Stat(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return snapshot{"": info}, nil
	}
	tree, err := above.Sub(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	s := snapshot{}
	err = tree.Walk(".", func(_ *folder.Folder, rel string, info fs.FileInfo, err error) error {
		if info.Mode()&fs.ModeSymlink != 0 {
			info, err = tree.Stat(rel)
		}
		if err == nil && !info.IsDir() { // the maker judges what cannot be read
			s[filepath.ToSlash(rel)] = info
		}
		return nil
	})
	return s, err
}

// record writes into r.Files what each of them is on the disk now, and fails if
// that is not what it was before, nor what was hashed.
func (r *Release) record(before snapshot) error {
	in, err := r.folder()
	if err != nil {
		return err
	}
	defer in.Close()
	for i := range r.Files {
		f := &r.Files[i]
		name := r.nameIn(f.Path)
		info, err := in.Stat(name)
		if err != nil {
			return fmt.Errorf("%s: %w: %w", name, ErrGone, bare(err))
		}
		was := info
		if b, ok := before[f.Path]; ok {
			was = b
		}
		f.ModTime, f.Inode = was.ModTime(), inode(was)
		if err := f.Same(info); err != nil {
			return fmt.Errorf("%s changed while it was read: %w", name, err)
		}
	}
	return nil
}

// moveTo makes r a release of the same data at path, where what was hashed must
// lie, as far as sizes and times of change tell.
func (r *Release) moveTo(path string) error {
	place, err := r.placeAt(path)
	if err != nil {
		return err
	}
	r.Path, r.Files = place.Path, place.Files
	return nil
}

// placeAt describes the data of r at another path: files of the same length and
// time of change.
func (r *Release) placeAt(path string) (*Place, error) {
	moved := *r
	moved.Path = path
	moved.Files = make([]File, len(r.Files))
	in, err := moved.folder()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	for i, f := range r.Files {
		f.Inode = 0
		name := moved.nameIn(f.Path)
		info, err := in.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", name, ErrGone, bare(err))
		}
		if err := f.Same(info); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		f.Inode = inode(info)
		moved.Files[i] = f
	}
	return &Place{Path: path, Files: moved.Files}, nil
}

// bare is the cause of err without the path in it, which is not for the public.
func bare(err error) error {
	var pe *fs.PathError
	var kind *folder.TypeError
	switch {
	case folder.Escapes(err):
		return folder.ErrOutside
	case errors.As(err, &kind):
		return errNotRegular
	case errors.As(err, &pe):
		return pe.Err
	}
	return err
}

var errNotRegular = errors.New("not a regular file")

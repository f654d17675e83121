package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"spate/bitfield"
	"spate/internal/folder"
	"spate/internal/units"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
)

// ErrNoFile is the cause if a release has no file with the requested index.
var ErrNoFile = errors.New("no such file in the release")

// ErrGone is the cause if a file of a release cannot be read, because it was removed, its
// permissions do not allow it, or its disk is not mounted. It may become readable again.
var ErrGone = errors.New("cannot be read at the path it was published from")

// ErrUnchecked is the cause if a file was touched ([ErrTouched]) and its data was not checked yet.
var ErrUnchecked = errors.New("its data has not been checked since a program touched it")

// ErrChanged is the cause if a file has changed or was replaced since it was hashed.
var ErrChanged = errors.New("not what was hashed")

// ErrTouched is a cause beside [ErrChanged] if a file has the size and the modification time
// that it had, but another inode or change time. A program has changed its permissions or
// links or has restored it, or has changed its data and put the modification time back.
var ErrTouched = errors.New("its size and modification time are the same")

// Open opens file i of r for reading. It checks that a regular file with the recorded size,
// modification time, inode and change time exists at the path. Otherwise the error is
// [ErrChanged] or [ErrGone].
//
// Open follows no symbolic link out of a tree, or out of the directory that contains the
// tree or the single file. The caller closes the file.
func (r *Release) Open(i int) (*os.File, error) { return r.open(i, (*File).Same) }

// OpenTouched is Open, but opens a file too that is [ErrTouched], for callers that make links
// to the files, which touches them.
func (r *Release) OpenTouched(i int) (*os.File, error) { return r.open(i, (*File).sameOrTouched) }

// open opens file i of r if same returns nil for its state.
func (r *Release) open(i int, same func(*File, fs.FileInfo) error) (*os.File, error) {
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
	if err := same(&r.Files[i], info); err != nil {
		return nil, err
	}
	f, err := in.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, bare(err))
	}
	if info, err = f.Stat(); err != nil {
		err = fmt.Errorf("%w: %w", ErrGone, bare(err))
	} else {
		err = same(&r.Files[i], info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Same returns nil if info is the state that f had when it was hashed. Otherwise it returns
// an [ErrChanged] that says what differs, and that is [ErrTouched] too if only the inode or the
// change time differs.
func (f *File) Same(info fs.FileInfo) error {
	now := storage.StatOf(info)
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: it is not a regular file now", ErrChanged)
	case info.Size() != f.Length:
		return fmt.Errorf("%w: it had %s and now has %d", ErrChanged, units.Plural(f.Length, "byte"), info.Size())
	case !info.ModTime().Equal(f.ModTime):
		return fmt.Errorf("%w: it was modified at %s", ErrChanged, info.ModTime().UTC().Format(time.DateTime))
	case f.Inode != 0 && now.Inode != f.Inode:
		return fmt.Errorf("%w: another file replaced it, and %w", ErrChanged, ErrTouched)
	case f.Change != 0 && now.Change != 0 && now.Change != f.Change:
		return fmt.Errorf("%w: it was changed at %s, but %w", ErrChanged, time.Unix(0, now.Change).UTC().Format(time.DateTime), ErrTouched)
	}
	return nil
}

// sameOrTouched is Same, but returns nil for [ErrTouched].
func (f *File) sameOrTouched(info fs.FileInfo) error {
	err := f.Same(info)
	if errors.Is(err, ErrTouched) {
		return nil
	}
	return err
}

// setState records s as the state of f.
func (f *File) setState(s storage.FileStat) {
	f.ModTime, f.Inode, f.Change = time.Unix(0, s.ModTime), s.Inode, s.Change
}

// folder opens the top directory of a tree, or the directory that contains a single file. It
// does not follow a symbolic link at the path of a tree out of the directory that contains
// the tree.
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

// nameIn returns the name of the file at path in the directory that folder opens.
func (r *Release) nameIn(path string) string {
	if r.Single {
		return filepath.Base(r.Path)
	}
	return filepath.FromSlash(path)
}

// states yields the states of files before hashing, by path.
type states = iter.Seq2[string, storage.FileStat]

// noStates yields nothing: the states before hashing are unknown.
func noStates(func(string, storage.FileStat) bool) {}

// snapshot holds the states of files before hashing, by path.
type snapshot map[string]storage.FileStat

// statesOf yields the states of the files when they were selected, by path.
func statesOf(s *maker.Selection) states {
	return func(yield func(string, storage.FileStat) bool) {
		for path, f := range s.Files() {
			if !yield(path, storage.FileStat{Exists: true, Size: f.Length, ModTime: f.ModTime.UnixNano(), Inode: f.Inode, Change: f.Change}) {
				return
			}
		}
	}
}

// takeSnapshot returns the state of the file at path, or of all files in the directory.
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
		return snapshot{"": storage.StatOf(info)}, nil
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
		if err == nil && !info.IsDir() { // the maker reports files that cannot be read
			s[filepath.ToSlash(rel)] = storage.StatOf(info)
		}
		return nil
	})
	return s, err
}

// record stores the present state of the files in r.Files. It returns an error if the state
// of a file differs from the state in before, or its length from the length in the torrent.
func (r *Release) record(before states) error {
	in, err := r.folder()
	if err != nil {
		return err
	}
	defer in.Close()
	known := r.recordBefore(before)
	at := dirStat{in: in}
	defer at.close()
	for i := range r.Files {
		f := &r.Files[i]
		name := r.nameIn(f.Path)
		info, err := at.stat(name)
		if err != nil {
			return fmt.Errorf("%s: %w: %w", name, ErrGone, bare(err))
		}
		now := storage.StatOf(info)
		if !known.Get(i) {
			f.setState(now)
		}
		if err := f.Same(info); err != nil {
			return fmt.Errorf("%s changed while it was read: %w", name, err)
		}
	}
	return nil
}

// recordBefore stores the states in before in r.Files, and returns the indexes of the files that
// have one. It is fastest if before has the order of r.Files.
func (r *Release) recordBefore(before states) bitfield.Bitfield {
	known := bitfield.New(len(r.Files))
	next := 0
	for path, state := range before {
		if next == len(r.Files) || r.Files[next].Path != path {
			i, ok := r.Lookup(path)
			if !ok {
				continue
			}
			next = i
		}
		r.Files[next].setState(state)
		known.Set(next)
		next++
	}
	return known
}

// useOtherPaths changes the paths of the files that exist only at another path
// ([metainfo.MetaInfo.OtherPaths]). r must be a new release of m.
func (r *Release) useOtherPaths(m *metainfo.MetaInfo) error {
	other := m.OtherPaths(false)
	if len(other) == 0 {
		return nil
	}
	in, err := r.folder()
	if err != nil {
		return err
	}
	defer in.Close()
	k := 0
	for i := range m.Info.Files {
		if !isListed(&m.Info.Files[i]) {
			continue
		}
		f := &r.Files[k]
		k++
		for _, path := range other[i] {
			if _, err := in.Stat(r.nameIn(f.Path)); !errors.Is(err, fs.ErrNotExist) {
				break
			}
			if _, err := in.Stat(r.nameIn(path)); err == nil {
				f.Path = path
			}
		}
	}
	r.Reindex()
	return nil
}

// moveTo changes the path of r. The files there must have the same sizes and modification
// times.
func (r *Release) moveTo(path string) error {
	location, err := r.locationAt(path)
	if err != nil {
		return err
	}
	r.Path, r.Files = location.Path, location.Files
	return nil
}

// locationAt returns the state of the files of r at another path. They must have the same
// sizes and modification times.
func (r *Release) locationAt(path string) (*Location, error) {
	moved := *r
	moved.Path = path
	moved.Files = make([]File, len(r.Files))
	in, err := moved.folder()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	at := dirStat{in: in}
	defer at.close()
	for i, f := range r.Files {
		name := moved.nameIn(f.Path)
		info, err := at.stat(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", name, ErrGone, bare(err))
		}
		if err := f.sameOrTouched(info); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		f.setState(storage.StatOf(info))
		moved.Files[i] = f
	}
	return &Location{Path: path, Files: moved.Files}, nil
}

// bare returns the cause of err without its path, because visitors of the site must not see
// the path.
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

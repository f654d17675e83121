package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"spate/metainfo"
)

// DirOptions configures a [Dir]. The zero value downloads and seeds all files.
type DirOptions struct {
	// ReadOnly opens the files only for reading. Several torrents may then read the
	// same files.
	ReadOnly bool
	// Within, if not empty, is a directory that must contain the directory of the files,
	// even if links on the way to it change. It may be the same directory.
	Within string
	// Name replaces the name of the torrent, which is the name of its file or top
	// directory.
	Name string
	// Force shortens files that are longer than in the torrent when they are first
	// written. Without it such a write returns [ErrLonger].
	Force bool
	// Skip marks files by their index as unwanted. Unwanted files are not created.
	// Their parts of wanted pieces are stored in a hidden file beside the torrent; see
	// [Dir.SetWanted]. Skip may be shorter than the list of files.
	Skip []bool
	// OtherPaths gives more paths of files, by file index. They are relative to the
	// torrent's name. A file that does not exist at the path of the layout is used at the
	// first of these paths at which it exists ([metainfo.MetaInfo.OtherPaths]). A file that
	// exists at none of them is created at the path of the layout.
	OtherPaths map[int][]string
	// Paths gives the paths of renamed files, by file index. They replace the paths of the
	// layout, are relative to the torrent's name, and must be different. A torrent of a single
	// file is renamed by Name.
	Paths map[int]string
}

// Dir is a [Storage] of files in a directory. It creates a file and its directories when
// the file is first written. A file gets its final length at once and is sparse. The pool
// holds the descriptors, except for one that stays open while a torrent with many files is
// written.
type Dir struct {
	layout *Layout
	pool   *Pool
	opts   DirOptions
	states fileStates     // of the files of the layout, then of the parts file
	skip   fileSet        // unwanted files, which are not created
	other  map[int]string // files that exist at one of opts.OtherPaths
	closed atomic.Bool

	unsynced fileSet // files that were written since the last Sync
	creating fileSet // unwanted files that SetWanted creates now

	// moving is locked for writing while location changes, and for reading while a path is
	// resolved. A goroutine that holds the lock of a slot may lock moving. A goroutine that
	// holds moving must not lock a slot.
	moving   sync.RWMutex
	location atomic.Pointer[location]
	parts    sync.RWMutex // locked for reading while the parts file is used
	index    partsIndex   // where the data is in the parts file; its lock is locked after parts, and before that of a slot

	syncing sync.Mutex // locked while watched is used; locked before mu

	mu      sync.Mutex
	dirty   []int           // indexes of files written since the last Sync
	dirs    map[string]bool // directories with names created since the last Sync
	watched *os.File        // see watchErrors
}

// location is where the files of a Dir are.
type location struct {
	root   *rootDir
	top    string // name of the file or of the top directory
	parts  string // name of the parts file
	copies int32  // how often the files were copied to another file system, which makes them new files
}

func (p *location) path() string { return filepath.Join(p.root.path, p.top) }

var _ Storage = (*Dir)(nil)

// OpenDir opens the files of a torrent. dir must exist; it is the directory that contains
// the file or the top directory of the torrent. OpenDir creates nothing. The error wraps
// [ErrInUse] if another Dir of the pool has the same path and at least one of the two
// writes.
func OpenDir(dir string, info *metainfo.Info, pool *Pool, opts DirOptions) (*Dir, error) {
	l, err := LayoutOf(info)
	if err != nil {
		return nil, err
	}
	return OpenLayout(dir, l, pool, opts)
}

// OpenLayout is like [OpenDir] for a layout that does not come from a torrent. All
// paths must have the same first element.
func OpenLayout(dir string, l *Layout, pool *Pool, opts DirOptions) (*Dir, error) {
	top, err := l.firstElement()
	if err != nil {
		return nil, err
	}
	d := &Dir{
		layout: l, pool: pool, opts: opts,
		states: newFileStates(len(l.files) + 1), skip: newFileSet(len(l.files) + 1), unsynced: newFileSet(len(l.files) + 1),
		creating: newFileSet(len(l.files) + 1), dirs: map[string]bool{},
	}
	if opts.Name != "" {
		if err := checkPath(opts.Name); err != nil || topOf(opts.Name) != opts.Name {
			return nil, fmt.Errorf("%w: %q cannot be the name of a file", ErrLayout, opts.Name)
		}
		top = opts.Name
	}
	root, err := pool.use(dir, opts.Within, top, !opts.ReadOnly)
	if err != nil {
		return nil, err
	}
	for i := range min(len(opts.Skip), len(l.files)) {
		if opts.Skip[i] {
			d.skip.set(i)
		}
	}
	d.location.Store(&location{root: root, top: top, parts: partsName(top)})
	d.findParts()
	if len(opts.OtherPaths) > 0 {
		d.findOther()
	}
	for i, p := range opts.Paths {
		if err := d.setPath(i, p); err != nil {
			d.pool.unuse(root, top)
			return nil, err
		}
	}
	return d, nil
}

// setPath replaces the path of file i.
func (d *Dir) setPath(i int, p string) error {
	if i < 0 || i >= len(d.layout.files) || len(d.layout.below(i)) == 0 {
		return fmt.Errorf("%w: file %d cannot be renamed", ErrLayout, i)
	}
	if err := checkPath(p); err != nil {
		return fmt.Errorf("%w: %w", ErrLayout, err)
	}
	if d.other == nil {
		d.other = map[int]string{}
	}
	d.other[i] = "/" + p
	return nil
}

// findOther finds the files that exist at one of opts.OtherPaths. It ignores directories
// that it cannot read. It follows no link to a file that may be written.
func (d *Dir) findOther() {
	found := map[int]string{}
	_ = d.withRoot("open", func(root *os.Root) error {
		for i, paths := range d.opts.OtherPaths {
			if _, err := root.Lstat(d.name(i)); !errors.Is(err, fs.ErrNotExist) {
				continue
			}
			for _, p := range paths {
				info, err := root.Lstat(d.location.Load().top + "/" + p)
				if err == nil && (info.Mode().IsRegular() || d.opts.ReadOnly && !info.IsDir()) {
					found[i] = "/" + p
					break
				}
			}
		}
		return nil
	})
	d.other = found
}

// topOf returns the first element of a path.
func topOf(p string) string {
	top, _, _ := strings.Cut(p, "/")
	return top
}

// Layout returns the layout of the files in the byte space.
func (d *Dir) Layout() *Layout { return d.layout }

// Path implements [FileSystemPath]. It returns the path of the file or of the top directory.
func (d *Dir) Path() string { return d.location.Load().path() }

// name returns the path of file i below the root, for the methods of os.Root. The index
// after the last file is the parts file.
func (d *Dir) name(i int) string {
	at := d.location.Load()
	if i == len(d.layout.files) {
		return at.parts
	}
	top := at.top
	if p, ok := d.other[i]; ok {
		return top + p
	}
	return joinPath(top, d.layout.below(i))
}

// file returns the state of file i.
func (d *Dir) file(i int) *fileState { return d.states.at(i) }

// length returns the length that file i must have, or -1 for the parts file, which has
// none.
func (d *Dir) length(i int) int64 {
	if i == len(d.layout.files) {
		return -1
	}
	return d.layout.files[i].Length
}

// ReadAt implements [Storage].
func (d *Dir) ReadAt(p []byte, off int64) (int, error) {
	if err := inRange("read", off, len(p), d.layout.total); err != nil {
		return 0, err
	}
	done := 0
	for e := range d.layout.Extents(off, int64(len(p))) {
		part := p[done : done+int(e.Length)]
		if e.Pad {
			clear(part)
			done += len(part)
			continue
		}
		n, err := d.readFile(e.File, part, e.Offset)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// WriteAt implements [Storage].
func (d *Dir) WriteAt(p []byte, off int64) (int, error) {
	if err := inRange("write", off, len(p), d.layout.total); err != nil {
		return 0, err
	}
	done := 0
	for e := range d.layout.Extents(off, int64(len(p))) {
		part := p[done : done+int(e.Length)]
		if e.Pad {
			done += len(part)
			continue
		}
		n, err := d.writeFile(e.File, part, e.Offset)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Close implements [Storage]. Reads and writes in progress finish first.
func (d *Dir) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	d.dropAll()
	d.syncing.Lock()
	d.mu.Lock()
	if d.watched != nil {
		d.watched.Close()
	}
	d.mu.Unlock()
	d.syncing.Unlock()
	at := d.location.Load()
	d.pool.unuse(at.root, at.top)
	return nil
}

// withRoot calls f with the opened directory. It limits how many goroutines resolve paths
// at the same time. The caller may hold the lock of a slot, but no directory. f must not
// lock a slot or open its file, because the owner of the slot could be waiting for the
// directory. If the process has no descriptors left, withRoot closes some and calls f
// again.
func (d *Dir) withRoot(op string, f func(*os.Root) error) error {
	if d.closed.Load() {
		return d.fail(op, -1, nil, os.ErrClosed)
	}
	d.moving.RLock()
	defer d.moving.RUnlock()
	h, err := d.pool.root(d.location.Load().root)
	if err != nil {
		return d.fail(op, -1, classify(err, false), err)
	}
	defer h.release()
	d.pool.opening <- struct{}{}
	defer func() { <-d.pool.opening }()
	err = f(h.root)
	for try := 0; classify(err, false) == ErrDescriptors && d.pool.relieve(try); try++ {
		err = f(h.root)
	}
	return err
}

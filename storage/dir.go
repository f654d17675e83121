package storage

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// DirOptions say how the files of a torrent are used. The zero value downloads
// and seeds.
type DirOptions struct {
	// ReadOnly: the files are only read. Several torrents may read the same.
	ReadOnly bool
	// Name is the name of the file, or of the directory above the files, in
	// place of the torrent's.
	Name string
	// Force: files that are longer than the torrent says are cut.
	Force bool
}

// Dir is a [Storage] of files in a directory. Files and directories are created
// when something is written to them, as long as they have to be and sparse. It
// holds no descriptors of its own, only those of its pool.
type Dir struct {
	layout *Layout
	pool   *Pool
	root   *rootDir
	top    string // what was registered with the pool
	opts   DirOptions
	files  []fileState
	closed atomic.Bool

	mu    sync.Mutex
	dirty []int           // files written since the last Sync
	dirs  map[string]bool // directories with names made since the last Sync
}

var _ Storage = (*Dir)(nil)

// OpenLayout opens the files of a layout in dir, which must exist. Nothing is
// created. It fails with an error wrapping [ErrInUse] when another Dir of the
// pool has the same path and one of them writes.
func OpenLayout(dir string, l *Layout, pool *Pool, opts DirOptions) (*Dir, error) {
	top := "."
	for i := range l.files {
		if !l.files[i].Pad {
			top = topOf(l.files[i].Path)
			break
		}
	}
	root, err := pool.use(dir, top, !opts.ReadOnly)
	if err != nil {
		return nil, err
	}
	return &Dir{
		layout: l, pool: pool, root: root, top: top, opts: opts,
		files: make([]fileState, len(l.files)),
		dirs:  map[string]bool{},
	}, nil
}

// topOf returns the first part of a path.
func topOf(p string) string {
	for i := range len(p) {
		if p[i] == '/' {
			return p[:i]
		}
	}
	return p
}

// Layout returns the files and where they lie in the byte space.
func (d *Dir) Layout() *Layout { return d.layout }

// Path returns the path of the file, or of the directory above the files.
func (d *Dir) Path() string { return filepath.Join(d.root.path, d.top) }

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

// markDirty notes that a file has to be synced.
func (d *Dir) markDirty(i int) {
	if st := &d.files[i]; !st.dirty.Load() && st.dirty.CompareAndSwap(false, true) {
		d.mu.Lock()
		d.dirty = append(d.dirty, i)
		d.mu.Unlock()
	}
}

// noteDir notes that names were made in a directory.
func (d *Dir) noteDir(dir string) {
	d.mu.Lock()
	d.dirs[dir] = true
	d.mu.Unlock()
}

// noteDirs notes a directory and all above it.
func (d *Dir) noteDirs(dir string) {
	for ; dir != "."; dir = path.Dir(dir) {
		d.noteDir(dir)
	}
	d.noteDir(".")
}

// Sync implements [Storage]: it syncs the files written since the last Sync,
// and the directories in which names were made. The error joins one [*Error]
// for each file that failed; those are tried again by the next Sync.
func (d *Dir) Sync() error {
	d.mu.Lock()
	files, dirs := d.dirty, d.dirs
	d.dirty, d.dirs = nil, map[string]bool{}
	d.mu.Unlock()
	var errs []error
	for _, i := range files {
		if err := d.syncFile(i); err != nil {
			errs = append(errs, err)
		}
	}
	for dir := range dirs {
		if err := d.syncDir(dir); err != nil {
			d.noteDir(dir)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// syncFile syncs one file and takes what it is then as what it should be.
func (d *Dir) syncFile(i int) error {
	st := &d.files[i]
	h, err := d.acquire(i, true)
	if err != nil {
		st.dirty.Store(false)
		d.markDirty(i)
		return err
	}
	st.dirty.Store(false)
	err = h.file.Sync()
	var now fs.FileInfo
	if err == nil {
		now, err = h.file.Stat()
	}
	h.release()
	if err != nil {
		d.markDirty(i)
		return d.fail("sync", i, classify(err, true), err)
	}
	st.slot.mu.Lock()
	st.base, st.known = statOf(now), true
	st.slot.mu.Unlock()
	return nil
}

func (d *Dir) syncDir(dir string) error {
	return d.withRoot("sync", func(root *os.Root) error {
		f, err := root.Open(dir)
		if err == nil {
			err = syncDir(f)
			f.Close()
		}
		if err != nil {
			where := filepath.Join(d.root.path, filepath.FromSlash(dir))
			return &Error{Op: "sync", Path: where, File: -1, Reason: classify(err, true), Err: err}
		}
		return nil
	})
}

// Close implements [Storage]. Reads and writes that are under way end first.
func (d *Dir) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	for i := range d.files {
		d.files[i].slot.drop()
	}
	d.pool.unuse(d.root, d.top)
	return nil
}

// withRoot calls f with the directory, when it is its turn to resolve a path.
// The caller may hold a slot's lock, but no directory; f takes no such lock and
// opens no file of a slot: it might wait for what it holds.
func (d *Dir) withRoot(op string, f func(*os.Root) error) error {
	if d.closed.Load() {
		return d.fail(op, -1, nil, os.ErrClosed)
	}
	h, err := d.pool.root(d.root)
	if err != nil {
		return d.fail(op, -1, classify(err, false), err)
	}
	defer h.release()
	d.pool.opening <- struct{}{}
	defer func() { <-d.pool.opening }()
	return f(h.root)
}

// stat returns what there is of file i. What is not a regular file does not
// count as one.
func (d *Dir) stat(i int) (FileStat, error) {
	var st FileStat
	err := d.withRoot("stat", func(root *os.Root) error {
		fi, err := root.Stat(d.name(i))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return d.fail("stat", i, classify(err, false), err)
		case fi.Mode().IsRegular():
			st = statOf(fi)
		}
		return nil
	})
	return st, err
}

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"spate/metainfo"
)

// DirOptions say how the files of a torrent are used. The zero value downloads
// and seeds all of them.
type DirOptions struct {
	// ReadOnly: the files are only read. Several torrents may read the same.
	ReadOnly bool
	// Within, if not empty, is a directory that the one of the files has to be in,
	// however the links on the way to that are changed. It may be the same.
	Within string
	// Name is the name of the file, or of the directory above the files, in
	// place of the torrent's.
	Name string
	// Force: files that are longer than the torrent says are cut when they are
	// first written to.
	Force bool
	// Skip says, by the index of a file, that it is not wanted: it is not
	// created. What is written to it all the same, because a piece that is wanted
	// ends in it, goes to a hidden file beside; see [Dir.SetWanted]. It may be
	// shorter than the list of files.
	Skip []bool
	// RawPaths has, by the index of a file, another path below the torrent's name
	// under which the file is read where it has the layout's not: that which it
	// has where the torrent was made ([metainfo.Info.RawPaths]). Only with ReadOnly.
	RawPaths map[int]string
}

// Dir is a [Storage] of files in a directory. Files and directories are created
// when something is written to them, as long as they have to be and sparse. It
// holds no descriptors of its own, only those of its pool, but for one if it writes to
// one of many files.
type Dir struct {
	layout *Layout
	pool   *Pool
	opts   DirOptions
	cut    int            // length of the first part of the layout's paths
	files  []fileState    // one more than the layout has: the parts
	raw    map[int]string // those of opts.RawPaths that are there
	closed atomic.Bool

	// moving is held for writing while place changes, for reading while a path
	// is resolved. A slot's lock may be held when it is taken, not the reverse.
	moving sync.RWMutex
	place  atomic.Pointer[place]
	parts  sync.RWMutex // held for reading while the parts are used

	syncing sync.Mutex // held while watched is used, taken before mu

	mu      sync.Mutex
	dirty   []int           // files written since the last Sync
	dirs    map[string]bool // directories with names made since the last Sync
	watched *os.File        // see watchErrors
}

// place is where the files of a Dir are.
type place struct {
	root   *rootDir
	top    string // the file, or the directory above the files
	copies int    // how often the files were copied to come here: they are others each time
}

func (p *place) path() string { return filepath.Join(p.root.path, p.top) }

var _ Storage = (*Dir)(nil)

// OpenDir opens the files of a torrent in dir, the directory that holds the file
// or the tree, which must exist. Nothing is created. It fails with an error
// wrapping [ErrInUse] when another Dir of the pool has the same path and one of
// them writes.
func OpenDir(dir string, info *metainfo.Info, pool *Pool, opts DirOptions) (*Dir, error) {
	l, err := LayoutOf(info)
	if err != nil {
		return nil, err
	}
	return OpenLayout(dir, l, pool, opts)
}

// LayoutOf returns the layout of a torrent's files; their paths begin with the
// torrent's name.
func LayoutOf(info *metainfo.Info) (*Layout, error) {
	files := make([]File, len(info.Files))
	for i := range info.Files {
		f := &info.Files[i]
		files[i] = File{
			Path:   path.Join(append([]string{info.Name}, f.Path...)...),
			Length: f.Length, Offset: f.Offset, Exec: f.Executable(),
			// A link that may not be made is nothing on the disk.
			Pad: f.Pad() || f.IsSymlink() && f.Symlink == nil,
		}
		if f.Symlink != nil && !files[i].Pad {
			files[i].Link = path.Join(append([]string{info.Name}, f.Symlink.Target...)...)
		}
	}
	return NewLayout(files)
}

// OpenLayout is OpenDir for a layout that does not come from a torrent. The
// paths of its files must all begin with the same part.
func OpenLayout(dir string, l *Layout, pool *Pool, opts DirOptions) (*Dir, error) {
	top := ""
	for i := range l.files {
		if f := &l.files[i]; !f.Pad {
			first := topOf(f.Path)
			if top != "" && first != top {
				return nil, fmt.Errorf("%w: both %q and %q at the top", ErrLayout, top, first)
			}
			top = first
		}
	}
	d := &Dir{
		layout: l, pool: pool, opts: opts, cut: len(top),
		files: make([]fileState, len(l.files)+1),
		dirs:  map[string]bool{},
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
		d.files[i].skip.Store(opts.Skip[i])
	}
	d.place.Store(&place{root: root, top: top})
	if opts.ReadOnly && len(opts.RawPaths) > 0 {
		d.findRaw()
	}
	return d, nil
}

// findRaw finds out which files have the path of opts.RawPaths. A directory that
// cannot be looked into has none.
func (d *Dir) findRaw() {
	found := map[int]string{}
	_ = d.withRoot("open", func(root *os.Root) error {
		for i, p := range d.opts.RawPaths {
			if _, err := root.Lstat(d.name(i)); !errors.Is(err, fs.ErrNotExist) {
				continue
			}
			p = "/" + p
			if _, err := root.Lstat(d.place.Load().top + p); err == nil {
				found[i] = p
			}
		}
		return nil
	})
	d.raw = found
}

// topOf returns the first part of a path.
func topOf(p string) string {
	top, _, _ := strings.Cut(p, "/")
	return top
}

// Layout returns the files and where they lie in the byte space.
func (d *Dir) Layout() *Layout { return d.layout }

// Path returns the path of the file, or of the directory above the files.
func (d *Dir) Path() string { return d.place.Load().path() }

// name returns the path of file i below the root, for the methods of os.Root.
// The index after the last file stands for the parts.
func (d *Dir) name(i int) string {
	top := d.place.Load().top
	if i == len(d.layout.files) {
		return "." + top + ".parts"
	}
	if p, ok := d.raw[i]; ok {
		return top + p
	}
	return top + d.layout.files[i].Path[d.cut:]
}

// length returns how long file i has to be; the parts grow as they must.
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

// Close implements [Storage]. Reads and writes that are under way end first.
func (d *Dir) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	for i := range d.files {
		d.files[i].slot.drop()
	}
	d.syncing.Lock()
	d.mu.Lock()
	if d.watched != nil {
		d.watched.Close()
	}
	d.mu.Unlock()
	d.syncing.Unlock()
	at := d.place.Load()
	d.pool.unuse(at.root, at.top)
	return nil
}

// withRoot calls f with the directory, when it is its turn to resolve a path.
// The caller may hold a slot's lock, but no directory; f takes no such lock and
// opens no file of a slot: it might wait for what it holds. f is called again
// when descriptors ran out.
func (d *Dir) withRoot(op string, f func(*os.Root) error) error {
	if d.closed.Load() {
		return d.fail(op, -1, nil, os.ErrClosed)
	}
	d.moving.RLock()
	defer d.moving.RUnlock()
	h, err := d.pool.root(d.place.Load().root)
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

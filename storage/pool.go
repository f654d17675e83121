package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"spate/internal/folder"
)

// minPool is the smallest number of descriptors with which a pool works: one
// file, one directory, and what a look-up of a path holds for a moment.
const minPool = 8

// Pool keeps the descriptors of many torrents within a limit: files and
// directories are opened when they are needed and the least recently used are
// closed to make room. It is safe for use by any number of goroutines; using a
// file that is open takes no lock.
type Pool struct {
	files cache
	roots cache
	// opening bounds the descriptors that path look-ups hold for a moment.
	opening chan struct{}

	mu    sync.Mutex
	last  resolved            // the directory that was used last: the next one is often the same
	dirs  map[string]*rootDir // by path, links resolved
	paths map[string]int      // paths in use: readers, or -1 for a writer
}

// NewPool returns a pool that holds at most limit descriptors at any time, those
// that a path look-up needs for a moment included, and fewer when the process
// runs out of them. Zero means a quarter of what
// the process may open, at most 1,024; less than 8 counts as 8.
func NewPool(limit int) *Pool {
	if limit <= 0 {
		limit = min(maxDescriptors()/4, 1024)
	}
	limit = max(limit, minPool)
	roots := min(max(limit/8, 1), 64)
	lookups := min(max(limit/16, 1), 8)
	p := &Pool{
		opening: make(chan struct{}, lookups),
		dirs:    map[string]*rootDir{},
		paths:   map[string]int{},
	}
	p.files.init(limit-roots-3*lookups, p.relieve)
	p.roots.init(roots, p.relieve)
	return p
}

// relieve closes some files that nobody uses, an eighth of all or a few, because
// the process has no descriptor left: it has fewer than the pool was promised.
// It reports whether that may help; tries counts the calls for one purpose.
func (p *Pool) relieve(tries int) bool {
	closed := false
	for range max(4, p.Stats().Open/8) {
		if !p.files.evict() {
			break
		}
		closed = true
	}
	return (closed || p.roots.evict()) && tries < 10
}

// PoolStats are counters of a pool.
type PoolStats struct {
	Open    int    // descriptors held
	Limit   int    // most that may be held
	Opened  uint64 // since the start
	Evicted uint64 // closed to make room
}

// Stats returns the pool's counters.
func (p *Pool) Stats() PoolStats {
	var s PoolStats
	for _, c := range []*cache{&p.files, &p.roots} {
		c.mu.Lock()
		s.Open += c.count
		s.Limit += c.limit
		s.Opened += c.opened
		s.Evicted += c.evicted
		c.mu.Unlock()
	}
	return s
}

// Close closes every descriptor that is not in use at this moment; those in use
// are closed when they are given back. The pool goes on working.
func (p *Pool) Close() error {
	p.files.drain()
	p.roots.drain()
	return nil
}

// rootDir is one download directory, shared by the torrents that lie in it.
type rootDir struct {
	path  string
	slot  slot
	id    fs.FileInfo // what the directory was when it was first opened
	users int         // guarded by Pool.mu
}

// use registers a user of dir, which must exist, in the directory within unless that
// is empty, and of the path below it.
func (p *Pool) use(dir, within, name string, write bool) (*rootDir, error) {
	fail := func(reason, err error) (*rootDir, error) {
		return nil, &Error{Op: "open", Path: dir, File: -1, Reason: reason, Err: err}
	}
	at, err := p.resolve(dir, within)
	if err != nil {
		return fail(classify(err, false), err)
	}
	if !at.id.IsDir() {
		return fail(ErrObstructed, errors.New("not a directory"))
	}
	real, id := at.real, at.id
	p.mu.Lock()
	defer p.mu.Unlock()
	key := filepath.Join(real, name)
	n := p.paths[key]
	if n < 0 || write && n > 0 {
		return nil, &Error{Op: "open", Path: key, File: -1, Reason: ErrInUse}
	}
	if write {
		n = -2
	}
	p.paths[key] = n + 1
	r := p.dirs[real]
	if r == nil {
		r = &rootDir{path: real, id: id}
		p.dirs[real] = r
	}
	r.users++
	return r, nil
}

// resolved is what a path to a directory was found to mean.
type resolved struct {
	dir, within, real string
	id                fs.FileInfo
	at                time.Time
}

// resolvedFor is how long a directory is not looked up again: who opens thousands
// of torrents in it does that within moments.
const resolvedFor = 100 * time.Millisecond

// resolve follows the links of a path to a directory. It does not follow them out
// of within, unless that is empty.
func (p *Pool) resolve(dir, within string) (resolved, error) {
	now := time.Now()
	p.mu.Lock()
	r := p.last
	p.mu.Unlock()
	if r.dir == dir && r.within == within && now.Sub(r.at) < resolvedFor {
		return r, nil
	}
	var id fs.FileInfo
	var err error
	if within != "" {
		if id, err = statWithin(dir, within); err != nil {
			return resolved{}, err
		}
	}
	real, err := filepath.Abs(dir)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err == nil && within == "" {
		id, err = os.Stat(real)
	}
	if err != nil {
		return resolved{}, err
	}
	r = resolved{dir, within, real, id, now}
	p.mu.Lock()
	p.last = r
	p.mu.Unlock()
	return r, nil
}

// statWithin describes the directory dir, which links do not lead out of within.
// Whatever lies at dir later counts only while it is the same directory.
func statWithin(dir, within string) (fs.FileInfo, error) {
	from, err := filepath.Abs(within)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(from, dir)
	if err != nil {
		return nil, err
	}
	in, err := folder.Open(within, folder.Options{})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return in.Stat(rel)
}

// unuse takes back a use.
func (p *Pool) unuse(r *rootDir, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := filepath.Join(r.path, name)
	if n := p.paths[key]; n > 1 {
		p.paths[key] = n - 1
	} else {
		delete(p.paths, key)
	}
	if r.users--; r.users == 0 {
		delete(p.dirs, r.path)
		r.slot.drop()
	}
}

// root returns the directory of r, open until the handle is released.
func (p *Pool) root(r *rootDir) (*handle, error) {
	return p.roots.get(&r.slot, false, func() (openFile, error) {
		root, err := folder.OpenRoot(r.path)
		if err != nil {
			return openFile{}, err
		}
		// A directory that is another one than it was is a mount that went away
		// or came over it: nothing may be created there.
		if id, err := root.Stat("."); err != nil || !os.SameFile(id, r.id) {
			root.Close()
			return openFile{}, errMoved
		}
		return openFile{root: root}, nil
	})
}

// errMoved says that the download directory is not the one it was.
var errMoved = errors.New("the directory is not the one it was: moved, or a mount came or went")

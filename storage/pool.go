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

// minPool is the smallest useful limit of a pool: one file, one directory, and the
// descriptors needed to resolve a path.
const minPool = 8

// Pool limits the descriptors of many torrents. Files and directories are opened when
// they are needed, and the least recently used ones are closed to stay within the
// limit. A Pool is safe for concurrent use. Using an open file takes no lock.
type Pool struct {
	files cache
	roots cache
	// opening limits how many goroutines resolve paths at the same time.
	opening chan struct{}

	mu    sync.Mutex
	last  resolved            // result of the last resolve, because the next directory is often the same
	dirs  map[string]*rootDir // by path without symbolic links
	paths map[string]int      // number of readers of each path in use, or -1 for a writer
}

// NewPool returns a pool that holds at most limit descriptors, including those for
// resolving paths, and fewer if the process runs out of descriptors. 0 selects a
// quarter of what the process may open, up to 1,024. The minimum is 8.
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

// relieve closes some unused files because the process has no descriptors left. It reports
// whether the caller should try the operation again. tries is the number of failed tries.
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

// PoolStats holds the counters of a pool.
type PoolStats struct {
	Open    int    // descriptors that are open
	Limit   int    // maximum number of open descriptors
	Opened  uint64 // number of opens since the pool was made
	Evicted uint64 // number of descriptors closed to make space
}

// Stats returns the counters of the pool.
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

// Close closes all descriptors that are not in use, and the others when they are
// released. The pool can still be used afterwards.
func (p *Pool) Close() error {
	p.files.drain()
	p.roots.drain()
	return nil
}

// rootDir is a download directory, shared by all torrents in it.
type rootDir struct {
	path  string
	slot  slot
	id    fs.FileInfo // identity of the directory when it was first opened
	users int         // guarded by Pool.mu
}

// use registers a user of the path name below the directory dir, which must exist. If
// within is not empty, dir must lie in that directory.
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

// resolved is the result of resolving the path of a directory.
type resolved struct {
	dir, within, real string
	id                fs.FileInfo
	at                time.Time
}

// resolvedFor is how long a result is reused. It only has to last while thousands of
// torrents in one directory are opened one after the other.
const resolvedFor = 100 * time.Millisecond

// resolve resolves the symbolic links in the path of a directory. Unless within is
// empty, links that lead out of it are an error.
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

// statWithin describes the directory dir. Links that lead out of within are an error.
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

// unuse removes a user that use has registered.
func (p *Pool) unuse(r *rootDir, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := filepath.Join(r.path, name)
	if n := p.paths[key]; n > 1 {
		p.paths[key] = n - 1
	} else {
		delete(p.paths, key)
	}
	r.users--
	if r.users == 0 {
		delete(p.dirs, r.path)
		r.slot.drop()
	}
}

// root returns a handle of the directory. The caller must release it.
func (p *Pool) root(r *rootDir) (*handle, error) {
	return p.roots.get(&r.slot, false, func() (openFile, error) {
		root, err := folder.OpenRoot(r.path)
		if err != nil {
			return openFile{}, err
		}
		// If this is another directory than before, a file system was mounted or unmounted,
		// or the directory was moved. Create nothing in it.
		if id, err := root.Stat("."); err != nil || !os.SameFile(id, r.id) {
			root.Close()
			return openFile{}, errMoved
		}
		return openFile{root: root}, nil
	})
}

// errMoved is returned if the download directory was replaced.
var errMoved = errors.New("the directory was moved, or a file system was mounted or unmounted there")

package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/units"
	"spate/metainfo"
	"spate/torrent"
)

// manyTorrents is up to how many torrents are seeded as if each were alone. Of
// more, those that nobody asks for are dormant, and have one lock together.
const manyTorrents = 64

// manySeeds is a seed of many torrents.
type manySeeds struct {
	app   *app
	c     *daemon.Session
	state string
	data  string
	total int
	known map[string]bool // names in state: the places where torrents were, or are, by themselves

	loaded, dormant, failed atomic.Int64

	mu    sync.Mutex // guards what follows, and the output of workers
	awake []*seedJob // those whose data is not whole, not yet told about
	err   error      // of the output
}

// seedMany seeds files, the .torrents that args stand for. It begins to serve each
// as soon as its data is checked.
func (a *app) seedMany(ctx context.Context, args []string, files []torrentFile, opt *seedOptions) error {
	state := a.downloadState(opt.state)
	lock, err := daemon.LockFile(filepath.Join(state, "seed-"+nameOf(args)+".lock"), "the seed of these torrents")
	if err != nil {
		return err
	}
	defer lock.Close()
	c, err := a.openSession(&opt.sessionFlags)
	if err != nil {
		return err
	}
	defer c.Stop()
	m := &manySeeds{app: a, c: c, state: state, data: opt.data, total: len(files), known: map[string]bool{}}
	entries, err := os.ReadDir(state)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			m.known[e.Name()] = true
		}
	}
	if err := m.ready(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	ended := make(chan struct{})
	workers.Go(func() { m.load(ctx, files); close(ended) })
	return m.watch(ctx, ended)
}

// nameOf returns a short name for what args mean here, the same in whatever order.
func nameOf(args []string) string {
	h := sha256.New()
	for _, arg := range slices.Sorted(slices.Values(args)) {
		abs, err := filepath.Abs(arg)
		if err != nil {
			abs = arg
		}
		fmt.Fprintf(h, "%s\x00", abs)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// ready says that the session listens.
func (m *manySeeds) ready() error {
	if !m.app.JSON {
		m.app.Notef("seeding %s on %s; Ctrl-C stops", units.Plural(m.total, "torrent"), m.c.PeerAddr())
		return nil
	}
	return m.app.PrintJSON(readyEvent{Event: "ready", PeerAddr: m.c.PeerAddr(), Torrents: m.total})
}

// load adds all torrents, as many at a time as there are processors.
func (m *manySeeds) load(ctx context.Context, files []torrentFile) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				if err := m.add(files[i]); err != nil && ctx.Err() == nil {
					m.failed.Add(1)
					m.app.Warnf("%v", err)
				}
				m.loaded.Add(1)
			}
		})
	}
	workers.Wait()
	debug.FreeOSMemory() // what the loading needed is not needed any more
}

// add adds the torrent of one file.
func (m *manySeeds) add(file torrentFile) error {
	l := &seedLoader{many: m, file: file}
	j := &seedJob{file: file.path}
	first := &firstLoad{seedLoader: l, job: j}
	infoHash, dormant, err := m.c.AddDormant(first)
	first.job = nil
	switch {
	case errors.Is(err, torrent.ErrDuplicate):
		return fmt.Errorf("%s: the same torrent is there already", file.path)
	case err != nil:
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !dormant {
		j.t = m.c.Torrent(infoHash)
		m.awake = append(m.awake, j)
		return nil
	}
	m.dormant.Add(1)
	if m.app.JSON {
		m.err = errors.Join(m.err, m.app.seedingEvent(j))
	}
	return nil
}

// seedLoader loads one torrent of many.
type seedLoader struct {
	many *manySeeds
	file torrentFile
}

// Load implements [torrent.Loader].
func (l *seedLoader) Load() (*metainfo.MetaInfo, torrent.AddOptions, error) {
	_, mi, opt, err := l.load()
	return mi, opt, err
}

func (l *seedLoader) load() (*seedJob, *metainfo.MetaInfo, torrent.AddOptions, error) {
	j, err := l.file.load(l.many.data, false)
	if err != nil {
		return nil, nil, torrent.AddOptions{}, err
	}
	return j, j.mi, torrent.AddOptions{Dir: j.dir, Name: j.name, SeedOnly: true}, nil
}

// firstLoad is a seedLoader that tells, the first time, what it loaded, and makes
// sure that nobody else works on the torrent.
type firstLoad struct {
	*seedLoader
	job *seedJob // nil afterwards
}

// Load implements [torrent.Loader].
func (l *firstLoad) Load() (*metainfo.MetaInfo, torrent.AddOptions, error) {
	if l.job == nil {
		return l.seedLoader.Load()
	}
	j, mi, opt, err := l.load()
	if err == nil {
		*l.job = *j
		opt.ResumeDir, err = l.many.visit(j)
	}
	return mi, opt, err
}

// visit returns where the resume data is that a torrent has by itself, empty if
// there is none. While another process works there it reports an error.
func (m *manySeeds) visit(j *seedJob) (resume string, err error) {
	if len(m.known) == 0 {
		return "", nil
	}
	name, _, err := daemon.DataKey(j.dir, j.name)
	if err != nil || !m.known[name] {
		return "", err
	}
	p, err := daemon.ClaimData(m.state, j.dir, j.name, j.mi.Hash(), false)
	if err != nil {
		return "", err
	}
	p.Release()
	return p.ResumeDir, nil
}

// watch tells what becomes of the torrents until ctx ends, or until none is left
// that can be seeded.
func (m *manySeeds) watch(ctx context.Context, ended <-chan struct{}) error {
	s := m.app.newStatus(m.c.Session)
	defer s.finish()
	s.more = func() string {
		if n := int(m.loaded.Load()); n < m.total {
			return fmt.Sprintf(", %d of %d checked", n, m.total)
		}
		return fmt.Sprintf(", %d asleep", m.c.Dormant())
	}
	bad := int64(0)
	return s.run(ctx, func() error {
		m.mu.Lock()
		m.awake = slices.DeleteFunc(m.awake, func(j *seedJob) bool {
			told, problem, err := m.app.tellSeed(j)
			m.err = errors.Join(m.err, err)
			if problem != nil {
				bad++
				m.app.Warnf("%v", problem)
			}
			return told
		})
		waiting, err := len(m.awake), m.err
		m.mu.Unlock()
		if err != nil {
			return err
		}
		if waiting > 0 || !isClosed(ended) {
			return nil
		}
		ended = nil // told once
		switch n := int(m.failed.Load() + bad); {
		case n == m.total:
			return fault.New(fault.NotFound, "--data DIR says where the data lies", "none of %d torrents can be seeded", m.total)
		case n > 0:
			m.app.Warnf("%d of %d torrents cannot be seeded", n, m.total)
		}
		return nil
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

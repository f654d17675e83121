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
	"spate/internal/reach"
	"spate/internal/units"
	"spate/internal/watch"
	"spate/metainfo"
	"spate/torrent"
)

// manyTorrents is the maximum number of torrents that are seeded with a lock for each. More
// torrents share one lock, and each is dormant until a peer asks for it.
const manyTorrents = 64

// manySeeds seeds many torrents.
type manySeeds struct {
	app   *app
	c     *daemon.Session
	state string
	data  string
	force bool // --force
	total int
	known map[string]bool // names of directories with the resume data of single torrents

	loaded, dormant, failed atomic.Int64

	mu    sync.Mutex // guards the fields below and the output of the workers
	awake []*seedJob // torrents with incomplete data that were not reported yet
	err   error      // the first error of writing output
}

// seedMany seeds the torrents in files, which come from args. It serves each torrent as soon as
// its data is checked.
func (a *app) seedMany(ctx context.Context, args []string, files []torrentFile, opt *seedOptions) error {
	state := a.downloadState(opt.state)
	lock, err := daemon.LockFile(filepath.Join(state, "seed-"+nameOf(args)+".lock"), "the seed of these torrents")
	if err != nil {
		return err
	}
	defer lock.Close()
	news := &reachNews{app: a}
	c, err := a.openSession(&opt.sessionFlags, news.told)
	if err != nil {
		return err
	}
	defer c.Stop()
	c.AwaitPorts(ctx)
	m := &manySeeds{app: a, c: c, state: state, data: opt.data, force: opt.force, total: len(files), known: map[string]bool{}}
	entries, err := os.ReadDir(state)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			m.known[e.Name()] = true
		}
	}
	if err := m.ready(news); err != nil {
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

// nameOf returns a short name for the paths in args. It does not depend on their order.
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

// ready prints that the session listens.
func (m *manySeeds) ready(news *reachNews) error {
	if !m.app.JSON {
		m.app.Notef("seeding %s%s; Ctrl-C stops", units.Plural(m.total, "torrent"), on(m.c.PeerAddr()))
		return nil
	}
	return news.print(m.c.Reach(), func(s *reach.Status) error {
		return m.app.PrintJSON(readyEvent{Event: "ready", PeerAddr: m.c.PeerAddr(), Torrents: m.total, Reachable: s})
	})
}

// addAll adds the torrents in files, as many at the same time as there are processors. It
// returns those whose data is still being written, and calls unseeded with the error of each.
func (m *manySeeds) addAll(ctx context.Context, files []torrentFile, unseeded func(error)) (waiting []torrentFile) {
	var mu sync.Mutex // guards waiting
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				err := m.add(files[i])
				if written := (*watch.WrittenError)(nil); errors.As(err, &written) {
					unseeded(written)
					mu.Lock()
					waiting = append(waiting, files[i])
					mu.Unlock()
					continue
				}
				if err != nil && ctx.Err() == nil {
					m.failed.Add(1)
					m.app.Warnf("%v", err)
				}
				m.loaded.Add(1)
			}
		})
	}
	workers.Wait()
	debug.FreeOSMemory() // loading allocates much more memory than seeding needs
	return waiting
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
		return fmt.Errorf("%s: another file has the same torrent", file.path)
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

// seedLoader loads a torrent of manySeeds when a peer asks for it.
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

// firstLoad is a seedLoader whose first call fills in the job and checks that no other process
// uses the torrent, and that no program is still writing its data.
type firstLoad struct {
	*seedLoader
	job *seedJob // nil after the first load
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
	if err == nil && !l.many.force {
		err = j.checkWriters()
	}
	return mi, opt, err
}

// visit returns the directory with the resume data of a torrent that was once seeded alone, or
// "" if there is none. It returns an error if another process uses the torrent.
func (m *manySeeds) visit(j *seedJob) (resume string, err error) {
	if len(m.known) == 0 {
		return "", nil
	}
	name, _, err := daemon.DataKey(j.dir, j.name)
	if err != nil || !m.known[name] {
		return "", err
	}
	p, err := m.app.daemonEnv().ClaimData(m.state, j.dir, j.name, j.mi.Hash(), false)
	if err != nil {
		return "", err
	}
	p.Release()
	return p.ResumeDir, nil
}

// watch shows the state of the torrents until ctx ends. It returns an error if no torrent can
// be seeded.
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
		var failed []*seedJob
		m.mu.Lock()
		m.awake = slices.DeleteFunc(m.awake, func(j *seedJob) bool {
			m.err = errors.Join(m.err, m.app.tellSeed(j))
			if j.problem != nil {
				failed = append(failed, j)
			}
			return j.told
		})
		waiting, err := len(m.awake), m.err
		m.mu.Unlock()
		for _, j := range failed {
			bad++
			m.app.Warnf("%v", m.app.explainSeed(ctx, j))
		}
		if err != nil {
			return err
		}
		if waiting > 0 || !isClosed(ended) {
			return nil
		}
		ended = nil // report the result only once
		switch n := int(m.failed.Load() + bad); {
		case n == m.total:
			return fault.New(fault.NotFound, "name the directory of the data with --data DIR", "none of %s can be seeded", units.Plural(m.total, "torrent"))
		case n > 0:
			m.app.Warnf("%s cannot be seeded", units.PartOf(n, m.total, "torrent"))
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

package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/units"
	"spate/internal/uplink"
	"spate/internal/weburl"
	"spate/tracker"
	"spate/tracker/swarm"
	"spate/tracker/trackerlog"
	"spate/tracker/trackerserver"
	"spate/tracker/trackerstats"
)

// TrackerNodeConfig configures a tracker node.
type TrackerNodeConfig struct {
	ActivityLog   string // file of the log of downloads; empty: none
	Privacy       trackerlog.Privacy
	AccessLog     string       // file of the log of announces, as JSON; empty: none
	AccessHandler slog.Handler // handler of announces if AccessLog is empty; may be nil
	Table         swarm.Options
	Server        trackerserver.Options // the node sets Key, Prefix, Log, Now, AccessLog, Observe and Flush
	Stats         trackerstats.Options  // the node sets Log and Now
	Memory        Memory                // may be nil
}

// Memory saves a part of the state of a tracker node outside the state directory.
type Memory interface {
	Load(*swarm.Table) error // called before the node serves
	Save(*swarm.Table) error // called when the node saves its state
}

// TrackerNode is a tracker with its state on disk. Its callers open the sockets.
type TrackerNode struct {
	observe func(*tracker.Observation) // called for each announce, and must not block; may be nil

	// strangers reports whether /metrics are for this machine only, because a router passes
	// requests of strangers; may be nil.
	strangers func() bool

	names hostNames // names of this machine

	env      *Env
	table    *swarm.Table
	server   *trackerserver.Server
	dir      *swarm.Dir
	stats    *trackerstats.Statistics
	past     string                        // file with the history of the charts
	activity *trackerlog.Log               // may be nil
	access   *appendFile                   // may be nil
	tls      *tls.Config                   // nil: plain HTTP
	memory   Memory                        // may be nil
	prefix   []string                      // decoded segments of the public URL's path
	again    chan struct{}                 // signals reload to read all files again
	also     []func(context.Context) error // functions that run with the node
	line     *uplink.Line                  // learns from what HTTP sends; may be nil
}

// saveEvery is the interval between snapshots of the peer lists. A crash of the machine loses
// at most the changes of one interval.
const saveEvery = time.Minute

// openTrackerNode opens the tracker node with its state in the directory state. public is the
// public URL, or nil.
func (e *Env) openTrackerNode(c *TrackerNodeConfig, state string, public *url.URL) (_ *TrackerNode, err error) {
	n := &TrackerNode{env: e, memory: c.Memory, again: make(chan struct{}, 1)}
	if public != nil {
		if n.prefix, err = weburl.Segments(weburl.RawPath(public)); err != nil {
			return nil, err
		}
	}
	e.checkByProxy(c.Server.NATCheck)
	opt, stats := c.Server, c.Stats
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	dir := filepath.Join(state, "tracker")
	if n.table, err = swarm.New(c.Table); err != nil {
		return nil, fault.Usagef("the settings of the tracker: %w", err)
	}
	var warnings []error
	if n.dir, warnings, err = swarm.OpenDir(e.Now(), dir, n.table); err != nil {
		return nil, fault.WithSetting(err, "state")
	}
	for _, w := range warnings {
		e.Warnf("%v", w)
	}
	if opt.Key, err = e.loadConnKey(filepath.Join(dir, "connection.key")); err != nil {
		return nil, err
	}
	opt.Prefix = weburl.Encode(n.prefix)
	if public != nil {
		opt.Hosts = append(slices.Clone(opt.Hosts), public.Hostname())
	}
	n.names = hostNamesOf(opt.Hosts...)
	opt.Hosts = n.names
	opt.STUN = true
	stats.CookiePath = strings.TrimSuffix(opt.Prefix, "/") + "/"
	stats.MayMeasure = func(r *http.Request) bool {
		return n.strangers == nil || !n.strangers() || n.server.ClientAddr(r).IsLoopback()
	}
	opt.Log, opt.Now, stats.Log, stats.Now = e.Log, e.Now, e.Log, e.Now
	if err := n.openLogs(c, &opt); err != nil {
		return nil, err
	}
	if n.activity != nil {
		stats.LogLost = n.activity.Lost
	}
	n.stats = trackerstats.New(stats)
	n.past = filepath.Join(dir, "past.json")
	if err := n.stats.LoadPast(n.past); err != nil {
		e.Warnf("the history of the charts is lost: %v", err)
	}
	opt.Observers = []func(*tracker.Observation){n.stats.Observe, func(o *tracker.Observation) {
		if n.observe != nil {
			n.observe(o)
		}
	}}
	if n.activity != nil {
		opt.Observers = append(opt.Observers, n.activity.Observe)
	}
	opt.Flush = n.dir.Flush
	if n.server, err = trackerserver.New(n.table, opt); err != nil {
		return nil, err
	}
	if n.memory != nil {
		err = n.memory.Load(n.table)
	}
	return n, err
}

// loadConnKey loads the key of connection ids. It replaces a damaged key, because ids are valid for
// two minutes only.
func (e *Env) loadConnKey(path string) (trackerserver.ConnKey, error) {
	key, err := trackerserver.LoadConnKey(path)
	var damaged *atomicfile.DamagedError
	if !errors.As(err, &damaged) {
		return key, err
	}
	e.Warnf("%v; a new key of connection ids is used", err)
	return trackerserver.LoadConnKey(path)
}

// openLogs opens the log of downloads and the log of announces.
func (n *TrackerNode) openLogs(c *TrackerNodeConfig, opt *trackerserver.Options) (err error) {
	if c.ActivityLog != "" {
		if n.activity, err = trackerlog.Open(c.ActivityLog, trackerlog.Options{Privacy: c.Privacy}); err != nil {
			return fault.WithSetting(err, "log")
		}
	}
	switch {
	case c.AccessLog != "":
		if n.access, err = openAppend(c.AccessLog); err != nil {
			return fault.WithSetting(err, "access-log")
		}
		opt.AccessLog = slog.New(slog.NewJSONHandler(n.access, nil))
	case c.AccessHandler != nil:
		opt.AccessLog = slog.New(c.AccessHandler)
	}
	return nil
}

// close closes the files.
func (n *TrackerNode) close() {
	if n.dir != nil {
		n.dir.Close()
	}
	if n.activity != nil {
		n.activity.Close()
	}
	if n.access != nil {
		n.access.Close()
	}
	if n.table != nil {
		n.table.Close()
	}
}

// handler answers announces, scrapes and requests for statistics, with and without the path of
// the public URL. It passes other requests to next unchanged, but refuses pages of strangers
// ([hostNames]).
func (n *TrackerNode) handler(next http.Handler) http.Handler {
	stats := n.stats.Handler(n.server)
	return n.server.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.names.strange(r, n.server.ClientAddr(r)) {
			refuseStrange(w, r)
			return
		}
		segments, err := weburl.Segments(weburl.RawPath(r.URL))
		rest, _ := weburl.CutPrefix(segments, n.prefix)
		for _, path := range [][]string{rest, segments} {
			if err == nil && len(path) > 0 && slices.Contains([]string{"stats", "stats.json", "metrics", "file"}, path[0]) {
				stats.ServeHTTP(w, weburl.WithPath(r, path))
				return
			}
		}
		next.ServeHTTP(w, r)
	}))
}

// run serves the sockets until ctx ends. It saves the state every [saveEvery] and at the end.
// It returns the first failure.
func (n *TrackerNode) run(ctx context.Context, s *sockets, h http.Handler) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	part := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				cancel(err)
			}
		})
	}
	part(n.server.Run)
	part(func(ctx context.Context) error { return n.stats.Run(ctx, n.server) })
	if n.activity != nil {
		part(n.activity.Run)
	}
	var l net.Listener
	if n.tls != nil {
		l = n.server.TLSListener(s.http, n.tls)
	} else {
		l = n.server.Listener(s.http)
	}
	part(func(ctx context.Context) error { return n.env.serveHTTP(ctx, l, h, n.line) })
	if s.udp != nil {
		part(func(ctx context.Context) error { return n.server.ServeUDP(ctx, s.udp) })
	}
	part(n.save)
	part(n.reload)
	for _, f := range n.also {
		part(f)
	}
	wg.Wait()
	n.saveNow() // after the last announce
	if n.activity != nil {
		if dropped, failed := n.activity.Lost(); dropped+failed > 0 {
			n.env.Warnf("the log of downloads lost %s: %d because the disk was too slow, %d because writing failed", units.Plural(dropped+failed, "entry"), dropped, failed)
		}
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Reload makes the tracker read the files with served torrents and networks again, and reopen
// the logs. It does not wait for the end. A file that cannot be read has no effect.
func (n *TrackerNode) Reload() {
	select {
	case n.again <- struct{}{}:
	default:
	}
}

// reload handles the calls of [TrackerNode.Reload] until ctx ends.
func (n *TrackerNode) reload(ctx context.Context) error {
	for {
		select {
		case <-n.again:
		case <-ctx.Done():
			return nil
		}
		errs := []error{n.server.Reload()}
		if n.activity != nil {
			errs = append(errs, n.activity.Reopen())
		}
		if n.access != nil {
			errs = append(errs, n.access.reopen())
		}
		if err := errors.Join(errs...); err != nil {
			n.env.Warnf("reloading failed in part: %v", err)
		} else {
			n.env.Notef("reloaded all files and reopened the logs")
		}
	}
}

// save calls saveNow every [saveEvery] until ctx ends.
func (n *TrackerNode) save(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.saveNow()
		case <-ctx.Done():
			return nil
		}
	}
}

// saveNow writes a snapshot. It prints a warning after an error, because a tracker that cannot
// save can still serve.
func (n *TrackerNode) saveNow() {
	err := errors.Join(n.dir.Save(n.env.Now()), n.stats.SavePast(n.past))
	if n.memory != nil {
		err = errors.Join(err, n.memory.Save(n.table))
	}
	if err != nil {
		n.env.Warnf("the tracker's state was not saved: %v", err)
	}
}

// appendFile is a log file that another program may rename at any time.
type appendFile struct {
	path string
	mu   sync.Mutex
	file *os.File // guarded by mu
}

// openAppend opens the file at path for appending, and creates it if it is missing.
func openAppend(path string) (*appendFile, error) {
	f := &appendFile{path: path}
	return f, f.reopen()
}

// reopen opens the file at the path again. If that fails, the open file stays in use.
func (f *appendFile) reopen() error {
	file, err := filetrust.OpenAppend(f.path, 0o600)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil {
		f.file.Close()
	}
	f.file = file
	return nil
}

func (f *appendFile) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Write(b)
}

func (f *appendFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}

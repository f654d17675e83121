package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/tracker"
	"spate/tracker/swarm"
	"spate/tracker/trackerlog"
	"spate/tracker/trackerserver"
	"spate/tracker/trackerstats"
)

// activityLog is the default of --log, in the state directory.
const activityLog = "activity.log"

// trackerFlags are the flags of what has a tracker in it.
type trackerFlags struct {
	listenFlags
	publicURL     string
	state         string
	log           string // of downloads; "" is in the state directory, "off" none
	privacy       string
	accessLog     string
	access        slog.Handler // in place of accessLog; nil: none
	interval      time.Duration
	proxies       []string
	proxyProtocol bool
	table         swarm.Options // what has no flag of its own here
}

func (t *trackerFlags) add(f *pflag.FlagSet) {
	f.StringVar(&t.listen, "listen", ":6969", "HTTP on this `ADDR`, IP:PORT or :PORT; port 0: any free one")
	f.StringVar(&t.udp, "udp", "", "UDP tracker on this `ADDR` (default: the port of --listen; off: none)")
	f.StringVar(&t.publicURL, "public-url", "", "others reach --listen by this `URL` (default: guessed, and said)")
	f.StringVar(&t.log, "log", "", "log downloads to this `FILE`, rotated (default: activity.log in --state; off: none)")
	f.StringVar(&t.privacy, "log-privacy", "network", "of addresses keep the network, the full address, or none")
	f.DurationVar(&t.interval, "interval", 0, "peers announce again after this `TIME` (default: 30m, adapted to the swarm)")
	f.StringVar(&t.accessLog, "access-log", "", "append each announce to this `FILE`, as JSON")
	f.StringArrayVar(&t.proxies, "proxy", nil, "believe what a proxy in this `NET` says of addresses; repeatable")
	f.BoolVar(&t.proxyProtocol, "proxy-protocol", false, "those proxies speak the PROXY protocol")
}

// tableOptions are the settings of the peers' table.
func (t *trackerFlags) tableOptions() swarm.Options {
	o := t.table
	o.Interval = t.interval
	return o
}

// check looks at --public-url and --proxy before anything is opened.
func (t *trackerFlags) check() error {
	if t.publicURL != "" {
		if _, _, err := publicURL(t.publicURL, netip.AddrPort{}); err != nil {
			return err
		}
	}
	if t.proxyProtocol && len(t.proxies) == 0 {
		return fault.Usagef("--proxy-protocol needs --proxy NET: only a proxy that is named is believed")
	}
	_, err := prefixes("--proxy", t.proxies)
	return err
}

// node is a tracker with its memory on disk.
type node struct {
	observe func(*tracker.Observation) // told of each announce, and does not wait; or nil

	app      *app
	table    *swarm.Table
	server   *trackerserver.Server
	store    *swarm.Dir
	stats    *trackerstats.Statistics
	past     string                        // the file of what the charts show
	activity *trackerlog.Log               // or nil
	access   *appendFile                   // or nil
	tls      *tls.Config                   // or nil: HTTP without
	memo     memo                          // or nil
	again    chan struct{}                 // everything is to be read again
	also     []func(context.Context) error // what runs beside
}

// saveEvery is what a crash of the machine may cost of the peer lists.
const saveEvery = time.Minute

// newNode opens the tracker that is remembered in the directory state.
func (a *app) newNode(f *trackerFlags, state string, opt trackerserver.Options, stats trackerstats.Options) (_ *node, err error) {
	n := &node{app: a, again: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	dir := filepath.Join(state, "tracker")
	if n.table, err = swarm.New(f.tableOptions()); err != nil {
		return nil, fault.Usagef("the tracker's settings: %w", err)
	}
	var warnings []error
	if n.store, warnings, err = swarm.OpenDir(a.Now(), dir, n.table); err != nil {
		return nil, fault.WithHint(err, "choose another directory with --state DIR")
	}
	for _, w := range warnings {
		a.Warnf("%v", w)
	}
	if opt.Key, err = trackerserver.LoadConnKey(filepath.Join(dir, "connection.key")); err != nil {
		return nil, err
	}
	if f.publicURL != "" {
		base, _, err := publicURL(f.publicURL, netip.AddrPort{})
		if err != nil {
			return nil, err
		}
		opt.Prefix = base.Path
	}
	if opt.Proxies, err = prefixes("--proxy", f.proxies); err != nil {
		return nil, err
	}
	opt.ProxyProtocol = f.proxyProtocol
	opt.Log, opt.Now, stats.Log, stats.Now = a.Log, a.Now, a.Log, a.Now
	if err := n.openLogs(f, state, &opt); err != nil {
		return nil, err
	}
	if n.activity != nil {
		stats.LogLost = n.activity.Lost
	}
	n.stats = trackerstats.New(stats)
	n.past = filepath.Join(dir, "past.json")
	if err := n.stats.LoadPast(n.past); err != nil {
		a.Warnf("the charts begin anew: %v", err)
	}
	opt.Observers = []func(*tracker.Observation){n.stats.Observe, func(o *tracker.Observation) {
		if n.observe != nil {
			n.observe(o)
		}
	}}
	if n.activity != nil {
		opt.Observers = append(opt.Observers, n.activity.Observe)
	}
	opt.Flush = n.store.Flush
	n.server, err = trackerserver.New(n.table, opt)
	return n, err
}

// openLogs opens the log of downloads and that of announces.
func (n *node) openLogs(f *trackerFlags, state string, opt *trackerserver.Options) (err error) {
	privacy, err := trackerlog.ParsePrivacy(f.privacy)
	if err != nil {
		return fault.Usagef("--log-privacy: %w", err)
	}
	if f.log != "off" {
		path := f.log
		if path == "" {
			path = filepath.Join(state, activityLog)
		}
		if n.activity, err = trackerlog.Open(path, trackerlog.Options{Privacy: privacy}); err != nil {
			return fault.WithHint(err, "choose another file with --log FILE, or --log off")
		}
	}
	if f.access != nil {
		opt.AccessLog = slog.New(f.access)
	} else if f.accessLog != "" {
		if n.access, err = openAppend(f.accessLog); err != nil {
			return fault.WithHint(err, "choose another file with --access-log FILE")
		}
		opt.AccessLog = slog.New(slog.NewJSONHandler(n.access, nil))
	} else if n.app.Verbose > 0 {
		opt.AccessLog = n.app.Log
	}
	return nil
}

func (n *node) close() {
	if n.store != nil {
		n.store.Close()
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

// handler answers announces, scrapes and requests for the statistics, and
// leaves every other path to next.
func (n *node) handler(next http.Handler) http.Handler {
	stats := n.stats.Handler(n.server)
	return n.server.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch first {
		case "stats", "stats.json", "metrics", "file":
			stats.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	}))
}

// run serves the sockets until ctx ends, and saves what the tracker knows every
// minute and at the end. It returns the first failure.
func (n *node) run(ctx context.Context, s *sockets, h http.Handler) error {
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
	part(func(ctx context.Context) error { return n.app.serveHTTP(ctx, l, h) })
	if s.udp != nil {
		part(func(ctx context.Context) error { return n.server.ServeUDP(ctx, s.udp) })
	}
	part(n.save)
	part(n.reload)
	for _, f := range n.also {
		part(f)
	}
	wg.Wait()
	n.saveNow() // when no announce comes any more
	if n.activity != nil {
		if dropped, failed := n.activity.Lost(); dropped+failed > 0 {
			n.app.Warnf("the log of downloads lost %d entries: the disk was too slow for %d, and failed for %d", dropped+failed, dropped, failed)
		}
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// askReload has reload read everything again; one that waits already is enough.
func (n *node) askReload() {
	select {
	case n.again <- struct{}{}:
	default:
	}
}

// reload reads everything again that says whom the tracker serves, and goes on
// with new log files, whenever that is asked for, until ctx ends. What cannot be
// read stays as it was.
func (n *node) reload(ctx context.Context) error {
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
			n.app.Warnf("not everything was read again: %v", err)
		} else {
			n.app.Notef("everything was read again")
		}
	}
}

// save writes snapshots until ctx ends.
func (n *node) save(ctx context.Context) error {
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

// saveNow writes a snapshot. A failure is told and tried again: a tracker that
// cannot save still serves.
func (n *node) saveNow() {
	err := errors.Join(n.store.Save(n.app.Now()), n.stats.SavePast(n.past))
	if n.memo != nil {
		err = errors.Join(err, n.memo.save(n))
	}
	if err != nil {
		n.app.Warnf("the tracker's state was not saved: %v", err)
	}
}

// appendFile is a log file that somebody else may rename at any time.
type appendFile struct {
	path string
	mu   sync.Mutex
	file *os.File // guarded by mu
}

func openAppend(path string) (*appendFile, error) {
	f := &appendFile{path: path}
	return f, f.reopen()
}

// reopen goes on with a new file at the path. Where that fails, the old one stays.
func (f *appendFile) reopen() error {
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil {
		f.file.Close() // what was written is written
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

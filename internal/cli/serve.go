package cli

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"spate/internal/fault"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/maker"
	"spate/publish"
	"spate/publish/catalogdb"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	publishOptions
	watch          []string
	settle, rescan time.Duration
	older          int
	keepDir        string
	hosts          []string
	apiListen      string
}

func (a *app) serveCmd() *cobra.Command {
	var opt serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "the daemon: watched folders, site, tracker, seeds, API",
		Long: `Publish whatever is put into the watched folders, until stopped: a file or a
directory becomes a release once it is complete, a changed one a new version, and
one that is removed is withdrawn. A .torrent is seeded from the data beside it,
NAME.md is the notes of NAME. Everything is remembered in --state, and nothing is
hashed twice. publish, list, status, withdraw, pause, resume and top speak with
the daemon through a socket there.`,
		Example: `  spate serve --watch /srv/images --public-url http://files.example.org:6969
  spate serve --watch images=/srv/images --watch books=/srv/books`,
		Args: need(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opt.secure.prepare(&opt.listenFlags, &opt.publicURL, cmd.Flags().Changed("listen")); err != nil {
				return err
			}
			return a.serve(cmd.Context(), &opt)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&opt.watch, "watch", nil, "publish what is in this `DIR`; GROUP=DIR lists it under that heading; repeatable")
	f.DurationVar(&opt.settle, "settle", 3*time.Second, "an entry of a watched folder is complete when it did not change for this `TIME`")
	f.DurationVar(&opt.rescan, "rescan", 30*time.Second, "look at watched folders after this `TIME` though the system told of no change")
	f.IntVar(&opt.older, "older-versions", 3, "keep so many versions of what was replaced in a watched folder")
	f.StringVar(&opt.keepDir, "keep-dir", "", "keep their data in this `DIR`, on the folder's file system (default: versions in --state)")
	opt.trackerFlags.add(f)
	opt.client.add(f)
	opt.makeFlags.add(f)
	f.Lookup("name").Hidden = true
	opt.release.addTwin(f)
	opt.sign.add(f)
	opt.secure.add(f)
	opt.site.add(f, "--watch and --theme directories")
	f.StringArrayVar(&opt.hosts, "host", nil, "a `NAME` of this machine that visitors may use, besides --public-url; repeatable")
	f.StringVar(&opt.apiListen, "api", "", "answer the API on this `ADDR` too, to who has a token of serve token (default: only on the socket)")
	f.BoolVar(&opt.reusePort, "reuse-port", false, "take over from the process that listens here with this flag and has --state: it is told to stop")
	cmd.AddCommand(a.serveTokenCmd(), a.serveBackupCmd())
	return cmd
}

// serveDaemon is a serve that runs.
type serveDaemon struct {
	house
	opt     *serveOptions
	state   string
	started time.Time
	life    context.Context // of the whole daemon
	db      *catalogdb.DB
	catalog publish.Catalog
	folders []*publish.Folder
	apiAddr string // of the API on the network, or ""
}

// watched is a value of --watch.
type watched struct{ group, dir string }

// parseWatch reads --watch. What has a slash before the equals sign is a path.
func parseWatch(values []string) ([]watched, error) {
	var out []watched
	for _, v := range values {
		w := watched{dir: v}
		if group, dir, ok := strings.Cut(v, "="); ok && !strings.ContainsAny(group, `/\`) && group != "" {
			w = watched{group, dir}
		}
		if blank(w.dir) || blank(w.group) && w.group != "" {
			return nil, fault.UsageHint("write DIR or GROUP=DIR", "--watch %q names no directory, or no group before the equals sign", v)
		}
		info, err := os.Stat(w.dir)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, fault.Usagef("--watch %s is not a directory", w.dir)
		}
		if w.dir, err = filepath.Abs(w.dir); err != nil {
			return nil, err
		}
		for _, o := range out {
			if o.dir == w.dir {
				return nil, fault.Usagef("--watch %s is there twice", w.dir)
			}
		}
		out = append(out, w)
	}
	return out, nil
}

// outside refuses directories of our own that a watched folder would publish.
func outside(folders []watched, dirs ...string) error {
	for _, dir := range dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		for _, f := range folders {
			if rel, err := filepath.Rel(f.dir, abs); err == nil && !strings.HasPrefix(rel, ".") || rel == "." {
				return fault.UsageHint("choose another --state or --keep-dir, or one that begins with a dot", "%s is inside the watched folder %s", dir, f.dir)
			}
		}
	}
	return nil
}

func (a *app) serve(ctx context.Context, opt *serveOptions) error {
	mk, err := opt.makeFlags.options()
	if err != nil {
		return err
	}
	if mk.Name != "" {
		return fault.Usagef("--name: what is in a watched folder has the name that it has there")
	}
	if opt.older < 0 || opt.settle <= 0 || opt.rescan <= 0 {
		return fault.Usagef("--older-versions, --settle and --rescan are not less than nothing")
	}
	if err := opt.trackerFlags.check(); err != nil {
		return err
	}
	if err := opt.site.check(); err != nil {
		return err
	}
	folders, err := parseWatch(opt.watch)
	if err != nil {
		return err
	}
	key, err := opt.sign.key(ctx, a)
	if err != nil {
		return err
	}
	opt.listenFlags.bind, opt.trackerFlags.state = opt.client.bind, opt.client.state
	state, err := filepath.Abs(a.stateDir(opt.client.state))
	if err != nil {
		return err
	}
	if opt.keepDir == "" {
		opt.keepDir = filepath.Join(state, "versions")
	}
	if err := outside(folders, state, opt.keepDir); err != nil {
		return err
	}
	s, lock, err := a.openAndLock(ctx, &opt.listenFlags, "the publisher's site and tracker", filepath.Join(state, "lock"), "the state directory "+state)
	if err != nil {
		return err
	}
	defer lock.Close()
	d := &serveDaemon{house: house{app: a, opt: &opt.publishOptions, key: key, sockets: s}, opt: opt, state: state, started: a.Now().UTC(), life: ctx}
	defer d.close()
	if err := d.openCatalog(ctx); err != nil {
		return err
	}
	defer d.db.Close()
	socket, err := socketOf(state)
	if err != nil {
		return err
	}
	if err := d.restore(ctx); err != nil {
		return err
	}
	a.reloadOnHangup(d.node)
	return d.house.serve(ctx, func(ctx context.Context) error { return d.work(ctx, socket, folders, mk) })
}

// openCatalog opens what is remembered and makes the parts.
func (d *serveDaemon) openCatalog(ctx context.Context) error {
	a := d.app
	db, warnings, err := catalogdb.Open(ctx, filepath.Join(d.state, "catalog"), a.Now())
	if err != nil {
		return fault.WithHint(err, "choose another directory with --state DIR")
	}
	for _, w := range warnings {
		a.Warnf("%v", w)
	}
	d.db, d.catalog = db, db
	keeper, err := publish.NewKeeper(d.opt.keepDir)
	if err != nil {
		return err
	}
	if err := keeper.Sweep(ctx, db); err != nil {
		a.Warnf("older versions that nobody needs were not removed: %v", err)
	}
	return d.open(ctx, d.state, houseParts{catalog: db, keeper: keeper, hosts: d.opt.hosts})
}

// restore has what is listed tracked and seeded again.
func (d *serveDaemon) restore(ctx context.Context) error {
	restored, err := d.publisher.Restore(ctx)
	for _, p := range restored.Problems {
		d.app.Log.Warn("a release is not as it was", "err", p)
	}
	if n := len(restored.Repointed); n > 0 {
		d.app.Notef("the torrents of %s name %s from now on; links to them that were handed out before name the old address", units.Plural(n, "release"), d.base)
	}
	if n := len(restored.Unsigned); n > 0 {
		d.app.Warnf("the torrents of %s were signed, and are not any more, until a start with --sign: %s", units.Plural(n, "release"), termsafe.Clip(strings.Join(restored.Unsigned, ", "), 200))
	}
	return err
}

// work says that the daemon is ready, and watches the folders until ctx ends.
func (d *serveDaemon) work(ctx context.Context, socket string, folders []watched, mk maker.Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	part := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
				cancel(err)
			}
		})
	}
	mk.Announce = nil
	mk.Skipped = d.app.skipped
	var turn sync.Mutex
	for _, w := range folders {
		f, err := publish.NewFolder(w.dir, d.publisher, &turn, publish.FolderOptions{
			Spec: publish.Spec{Options: mk, NoTwin: d.house.opt.release.noTwin}, Group: w.group, Older: d.opt.older, FollowLinks: d.opt.site.follow,
			Settle: d.opt.settle, Rescan: d.opt.rescan, OnChange: d.told, Log: d.app.Log,
		})
		if err != nil {
			return err
		}
		d.folders = append(d.folders, f)
	}
	if err := d.serveAPI(ctx, socket, part); err != nil {
		return err
	}
	if err := d.ready(socket); err != nil {
		return err
	}
	for _, f := range d.folders {
		part(f.Run)
	}
	s := d.app.newStatus(d.client.session)
	s.noStats = true // by the API
	defer s.finish()
	err := s.run(ctx, func() error { return nil })
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// ready says that everything listens.
func (d *serveDaemon) ready(socket string) error {
	_, total, err := d.catalog.List(d.life, publish.Query{All: true, Limit: 1})
	if err != nil {
		return err
	}
	e := readyEvent{
		Event: "ready", PageURL: publish.Absolute(d.base, "/"), HTTPAddr: d.sockets.httpAddr().String(), UDPAddr: d.sockets.udpAddr(),
		PeerAddr: d.client.peerAddr(), Torrents: total, Socket: socket, APIAddr: d.apiAddr,
	}
	for _, tier := range d.announce {
		e.AnnounceURLs = append(e.AnnounceURLs, tier...)
	}
	d.app.notifySystem("READY=1")
	if d.app.JSON {
		return d.app.PrintJSON(e)
	}
	d.sayGuessed()
	if err := d.app.Printf("%s\n", termsafe.Line(e.PageURL)); err != nil {
		return err
	}
	d.app.Notef("serving %s, peers on %s; Ctrl-C stops", units.Plural(total, "release"), d.client.peerAddr())
	return nil
}

// told tells the person of a release that comes or goes.
func (d *serveDaemon) told(what string, r *publish.Release) {
	e, err := d.event(what, r)
	switch {
	case err != nil:
		d.app.Log.Warn("cannot describe a release", "event", what, "release", r.Ref(), "err", err)
	case d.app.JSON:
		d.app.PrintJSON(e)
	case what == "published":
		d.app.Notef("published %s  %s", r.Ref(), e.PageURL)
	default:
		d.app.Notef("%s %s", what, r.Ref())
	}
}

// notifySystem tells the service manager (sd_notify(3)), where there is one.
func (a *app) notifySystem(state string) {
	name := a.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(state))
		c.Close()
	}
	if err != nil {
		a.Log.Warn("the service manager was not told", "state", state, "err", err)
	}
}

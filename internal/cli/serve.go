package cli

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/eventstream"
	"spate/internal/fault"
	"spate/internal/reach"
	"spate/internal/termsafe"
	"spate/internal/transmission"
	"spate/internal/ui"
	"spate/internal/units"
	"spate/publish"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	publishOptions
	watch          []string
	settle, rescan time.Duration
	older          int
	keepDir        string
	apiListen      string
	apiGroup       string
	rpcListen      string // --transmission-rpc
	uploadDir      string
	browse         []string
	names          string // --version-pattern
	downloadDirs   []string
	addFrom        []string
	maxDownloads   int
	maxSeeds       int
	idle           time.Duration // --idle-exit
	volume         volumeFlags
}

func (a *app) serveCmd() *cobra.Command {
	var opt serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "run the daemon: watched folders, site, tracker, seeds, API",
		Long: `Publish the entries of the watched folders until stopped. A file or a directory
becomes a release once it is complete, a change of it becomes a new version, and a
removal withdraws it. A .torrent is seeded from the data beside it, and NAME.md
contains the notes of NAME. serve keeps its state in --state and hashes nothing
twice. publish, add, list, status, pause and other verbs use the daemon through a
socket in --state, or with --api over the network with a token of serve token.
--reuse-port replaces a serve with the same --state that was started with it.

Each entry is a release of its own, unless --version-pattern matches its whole name:
with '(?<release>.+)-(?<version>[0-9.]+)' Game-1.1 is the next version of Game-1.0.
The entry that is published last is the newest version.`,
		Example: `  spate serve --watch /srv/images --public-url http://files.example.org:6969
  spate serve --watch images=/srv/images --watch books=/srv/books`,
		Args: need(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opt.secure.prepare(&opt.listenFlags, &opt.publicURL, cmd.Flags().Changed); err != nil {
				return err
			}
			return a.serve(cmd.Context(), &opt)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&opt.watch, "watch", nil, "publish each entry of `DIR`, or of GROUP=DIR; repeatable")
	f.DurationVar(&opt.settle, "settle", 3*time.Second, "publish an entry that did not change for this `TIME`")
	f.DurationVar(&opt.rescan, "rescan", 30*time.Second, "read watched folders again after this `TIME`")
	f.IntVar(&opt.older, "older-versions", 3, "keep `N` older versions of replaced entries")
	f.StringVar(&opt.names, "version-pattern", "", "make entries that match `REGEXP` versions of one release")
	f.StringVar(&opt.keepDir, "keep-dir", "", "keep their data in this `DIR` (default: versions in --state)")
	opt.trackerFlags.add(f)
	opt.session.add(f)
	opt.makeFlags.addForSite(f)
	f.Lookup("name").Hidden = true
	opt.release.addTwin(f)
	opt.sign.add(f)
	opt.secure.add(f)
	opt.site.add(f, "--watch and --theme")
	f.StringArrayVar(&opt.site.hosts, "host", nil, "accept requests for this `NAME` too; repeatable")
	opt.addTracker(f)
	f.StringArrayVar(&opt.downloadDirs, "download-dir", nil, "store added torrents in `DIR`, or LABEL=DIR; repeatable")
	f.StringArrayVar(&opt.addFrom, "add-from", nil, "add .torrent and .magnet files of `DIR`, LABEL=DIR; repeatable")
	f.IntVar(&opt.maxDownloads, "max-downloads", 0, "download at most `N` torrents at a time; 0: all")
	f.IntVar(&opt.maxSeeds, "max-seeds", 0, "send at most `N` torrents at a time; 0: all")
	opt.volume.add(f)
	f.StringVar(&opt.apiListen, "api", "", "answer the API on this `ADDR` to holders of tokens")
	f.StringVar(&opt.rpcListen, "transmission-rpc", "", "answer Transmission's RPC on this `ADDR` to holders of tokens")
	f.StringVar(&opt.uploadDir, "upload-dir", "", "store uploads in `DIR` (default: uploads in --state)")
	f.StringArrayVar(&opt.browse, "browse", nil, "let the page choose data to publish below `DIR`; repeatable")
	f.StringVar(&opt.apiGroup, "api-group", "", "let members of this `GROUP` use the socket in --state")
	f.BoolVar(&opt.listenFlags.reusePort, "reuse-port", false, "stop the spate that runs here, and take over")
	f.DurationVar(&opt.idle, "idle-exit", 0, "stop when idle for this `TIME`; 0: never")
	cmd.AddCommand(a.serveTokenCmd(), a.serveBackupCmd())
	return cmd
}

// parseWatch parses the values of --watch. A value with a slash before the equals sign is a
// path.
func parseWatch(values []string) ([]daemon.WatchedFolder, error) {
	var out []daemon.WatchedFolder
	for _, v := range values {
		w := daemon.WatchedFolder{Dir: v}
		if group, dir, ok := strings.Cut(v, "="); ok && !strings.ContainsAny(group, `/\`) && group != "" {
			w = daemon.WatchedFolder{Group: group, Dir: dir}
		}
		if blank(w.Dir) || blank(w.Group) && w.Group != "" {
			return nil, fault.UsageHint("write DIR or GROUP=DIR", "--watch %q names no directory, or no group before the equals sign", v)
		}
		info, err := os.Stat(w.Dir)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, fault.Usagef("--watch %s is not a directory", w.Dir)
		}
		if w.Dir, err = filepath.Abs(w.Dir); err != nil {
			return nil, err
		}
		for _, o := range out {
			if o.Dir == w.Dir {
				return nil, fault.Usagef("--watch %s is given twice", w.Dir)
			}
		}
		out = append(out, w)
	}
	return out, nil
}

// daemonConfig converts the flags of serve to the configuration of the daemon.
func (a *app) daemonConfig(opt *serveOptions) (c daemon.Config, err error) {
	mk, err := opt.makeFlags.options()
	if err != nil {
		return c, err
	}
	if mk.Name != "" {
		return c, fault.Usagef("--name: entries of watched folders keep their names")
	}
	if opt.idle < 0 {
		return c, fault.Usagef("--idle-exit must not be negative")
	}
	if opt.older < 0 || opt.settle <= 0 || opt.rescan <= 0 {
		return c, fault.Usagef("--older-versions must not be negative, and --settle and --rescan must be positive")
	}
	state, err := filepath.Abs(a.stateDir(opt.session.state))
	if err != nil {
		return c, err
	}
	client, err := ui.New(ui.Options{Now: a.Now, Log: a.Log})
	if err != nil {
		return c, err
	}
	opt.trackers, mk.Announce = mk.Announce, nil
	mk.Skipped = a.skipped
	c = daemon.Config{
		Spec: publish.Spec{Options: mk, NoTwin: opt.release.noTwin}, Rescan: opt.rescan, Older: opt.older, KeepDir: opt.keepDir,
		FollowLinks: opt.site.follow, Socket: filepath.Join(state, api.SocketName), Answer: answerAPI(a.Log, client), IdleExit: opt.idle,
	}
	if c.PublisherConfig, err = a.publisherConfig(&opt.publishOptions, state); err != nil {
		return c, err
	}
	if opt.names != "" {
		if c.Names, err = publish.ParseNamePattern(opt.names); err != nil {
			return c, fault.UsageHint(`write for example --version-pattern '(?<release>.+)-(?<version>\d+(\.\d+)*)(\.iso)?'`, "--version-pattern: %w", err)
		}
	}
	c.Settle = opt.settle
	if c.Folders, err = parseWatch(opt.watch); err != nil {
		return c, err
	}
	if c.Torrents, err = opt.torrents(); err != nil {
		return c, err
	}
	c.Timed = daemon.TimedConfig{Windows: a.windows}
	if c.Timed.Volume, err = opt.volume.volume(); err != nil {
		return c, err
	}
	if err := opt.uploads(&c); err != nil {
		return c, err
	}
	if opt.apiGroup != "" {
		if c.SocketGroup, err = groupID(opt.apiGroup); err != nil {
			return c, err
		}
	}
	if c.Events, err = a.eventRunner(); err != nil {
		return c, err
	}
	if opt.rpcListen != "" {
		if c.RPC, err = bound("--transmission-rpc", opt.rpcListen, "9091", opt.session.bind.Addr); err != nil {
			return c, err
		}
		c.AnswerRPC = transmission.Handler
	}
	if opt.apiListen != "" {
		c.API, err = bound("--api", opt.apiListen, "6969", opt.session.bind.Addr)
	}
	return c, err
}

// torrents returns the configuration of the torrents that are added.
func (opt *serveOptions) torrents() (c daemon.TorrentsConfig, err error) {
	c = daemon.TorrentsConfig{MaxDownloads: opt.maxDownloads, MaxSeeds: opt.maxSeeds}
	if c.MaxDownloads < 0 || c.MaxSeeds < 0 {
		return c, fault.Usagef("--max-downloads and --max-seeds must not be negative")
	}
	for _, v := range opt.addFrom {
		label, dir, err := labelledDir("--add-from", v)
		if err != nil {
			return c, err
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return c, cmp.Or(err, fault.Usagef("--add-from %s is not a directory", dir))
		}
		c.Drops = append(c.Drops, daemon.DropFolder{Label: label, Dir: dir})
	}
	for _, v := range opt.downloadDirs {
		label, dir, err := labelledDir("--download-dir", v)
		if err != nil {
			return c, err
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return c, err
		}
		c.Folders = append(c.Folders, daemon.DownloadFolder{Label: label, Dir: dir})
	}
	return c, nil
}

// labelledDir returns the parts of a value DIR or LABEL=DIR of a flag. A value with a slash before the
// equals sign is a path.
func labelledDir(flag, v string) (label, dir string, err error) {
	dir = v
	if before, after, ok := strings.Cut(v, "="); ok && before != "" && !strings.ContainsAny(before, `/\`) {
		label, dir = before, after
	}
	if blank(dir) {
		return "", "", fault.UsageHint("write DIR or LABEL=DIR", "%s %q names no directory", flag, v)
	}
	if err := (&daemon.TorrentOptions{Label: label}).Check(); err != nil {
		return "", "", err
	}
	dir, err = filepath.Abs(dir)
	return label, dir, err
}

// groupID returns the number of the group that --api-group names.
func groupID(name string) (*int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		if g, err = user.LookupGroupId(name); err != nil {
			return nil, fault.UsageHint("name a group of this system, or its number", "--api-group: there is no group %s", name)
		}
	}
	id, err := strconv.Atoi(g.Gid)
	if err != nil {
		return nil, fault.Usagef("--api-group: this system has no groups of files")
	}
	return &id, nil
}

// answerAPI returns the function that makes the handlers of the API of one daemon.
// client is its graphical client; a nil client leaves it out.
func answerAPI(log *slog.Logger, client *ui.Client) daemon.APIHandler {
	var once sync.Once
	var events *eventstream.Hub // of all doors
	return func(d *daemon.Daemon, access daemon.APIAccess) http.Handler {
		once.Do(func() { events = api.NewEvents(d, log) })
		local := access.Token == nil
		if client != nil && !local {
			access.Session = client.Sessions().Admit
		}
		answer := api.NewServer(api.NewBackend(d, events, !local), api.ServerOptions{Access: access, Log: log})
		switch {
		case client == nil:
			return answer
		case local:
			return client.SocketHandler(d.ClientURL, answer)
		}
		return client.Handler(access, answer)
	}
}

func (a *app) serve(ctx context.Context, opt *serveOptions) error {
	c, err := a.daemonConfig(opt)
	if err != nil {
		return err
	}
	if c.Key, err = opt.sign.key(ctx, a); err != nil {
		return err
	}
	news := &reachNews{app: a}
	c.Session.OnReach, c.Finished = news.told, news.finished
	d, err := daemon.New(ctx, a.daemonEnv(), c)
	if err != nil {
		return err
	}
	defer d.Close()
	a.sayRestored(d)
	a.reloadOnHangup(d.Reload)
	return d.Run(ctx, &serveView{app: a, d: d, ctx: ctx, news: news})
}

// sayRestored prints what has changed in the releases of the catalog at the start.
func (a *app) sayRestored(d *daemon.Daemon) {
	r := d.Restored()
	if n := len(r.Repointed); n > 0 {
		base, _ := d.BaseURL()
		a.Notef("the torrents of %s now contain the URL %s; earlier .torrent files and links contain the old URL", units.Plural(n, "release"), base)
	}
	if n := len(r.Unsigned); n > 0 {
		a.Warnf("the signatures of %s were removed; start spate serve with --sign to sign again: %s", units.Plural(n, "release"), termsafe.Clip(strings.Join(r.Unsigned, ", "), 200))
	}
}

// serveView prints the events of a daemon. It implements [daemon.Observer].
type serveView struct {
	app *app
	d   *daemon.Daemon
	ctx context.Context // cancelled when the daemon stops

	news *reachNews
}

// Ready prints where the daemon listens.
func (v *serveView) Ready() error {
	a, d := v.app, v.d
	_, total, err := d.Catalog().List(v.ctx, publish.Query{All: true, Limit: 1})
	if err != nil {
		return err
	}
	d.AwaitHTTPS(v.ctx)
	e := readyEvent{
		Event: "ready", PageURL: publish.Absolute(d.SiteURL(), "/"), HTTPAddr: d.HTTPAddr(), UDPAddr: d.UDPAddr(),
		PeerAddr: d.PeerAddr(), Torrents: total, Socket: filepath.Join(d.State(), api.SocketName), APIAddr: d.APIAddr(), RPCAddr: d.RPCAddr(),
	}
	for _, tier := range d.Announce() {
		e.AnnounceURLs = append(e.AnnounceURLs, tier...)
	}
	if a.JSON {
		return v.news.print(d.Reach(), func(s *reach.Status) error {
			e.Reachable = s
			return a.PrintJSON(e)
		})
	}
	a.sayGuessed(d.Publisher)
	if err := a.Printf("%s\n", termsafe.Line(e.PageURL)); err != nil {
		return err
	}
	a.Notef("serving %s%s; Ctrl-C stops", units.Plural(total, "release"), peersOn(d.PeerAddr()))
	return nil
}

// Show shows the status line until ctx ends.
func (v *serveView) Show(ctx context.Context) error {
	s := v.app.newStatus(v.d.Session())
	s.story, s.before = v.d.Story, func() string { return hashingNow(v.d.Folders()) }
	s.noStats = true // clients of the API get the numbers instead
	defer s.finish()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { // it can take long
		list, names := v.d.Unmatched(ctx)
		for _, u := range list {
			if ctx.Err() == nil {
				v.app.warnUnmatched(u, names...)
			}
		}
	})
	return s.run(ctx, func() error { return nil })
}

// Changed prints that a release was published or withdrawn.
func (v *serveView) Changed(what string, r *publish.Release) {
	e, err := eventOf(v.d.Publisher, what, r)
	switch {
	case err != nil:
		v.app.Log.Warn("cannot describe a release", "event", what, "release", r.Ref(), "err", err)
	case v.app.JSON:
		v.app.PrintJSON(e)
	case what == "published":
		v.app.Notef("published %s  %s", r.Ref(), e.PageURL)
	default:
		v.app.Notef("%s %s", what, r.Ref())
	}
}

// TorrentChanged prints a change of an added torrent.
func (v *serveView) TorrentChanged(what string, i *daemon.TorrentInfo) {
	v.app.printTorrentChange(what, i)
}

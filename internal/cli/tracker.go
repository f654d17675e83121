package cli

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/termsafe"
	"spate/tracker/trackerserver"
	"spate/tracker/trackerstats"
)

// trackerOptions are the flags of tracker.
type trackerOptions struct {
	trackerFlags
	state               string
	allowedDir          string
	followLinks         bool
	allowList, denyList string
	showNames, allowGet bool
	natCheck            bool

	notes, tokens       string
	requireToken        bool
	allowNets, denyNets []string
	nets                string
	rateLimit           float64
	fullScrape          bool
	maxMemory           sizeValue
	secure              tlsFlags
}

func (a *app) trackerCmd() *cobra.Command {
	var opt trackerOptions
	cmd := &cobra.Command{
		Use:   "tracker",
		Short: "run only a tracker until stopped",
		Long: `Run a tracker over HTTP and UDP. It serves any torrent, or with --allowed-dir only
the torrents whose .torrent files are in a directory: it serves a new file at once,
and refuses the torrent of a removed file. Peers and counters survive a restart.
The tracker watches the files of --allow-list, --deny-list, --notes (lines of
HASH warning|failure TEXT) and --nets (lines of allow|deny NET). On SIGHUP it reads
them again and opens its logs again. --rate-limit counts a /24 or /48 as one
network, and a negative N turns it off. --reuse-port replaces a tracker with the
same --state that was started with it.`,
		Example: `  spate tracker
  spate tracker --listen :8099 --udp off --allowed-dir /srv/torrents`,
		Args: need(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.tracker(cmd.Context(), &opt) },
	}
	opt.add(cmd.Flags())
	cmd.AddCommand(a.trackerReportCmd(), a.trackerTokenCmd())
	return cmd
}

// add adds the flags of tracker.
func (o *trackerOptions) add(f *pflag.FlagSet) {
	o.trackerFlags.add(f)
	f.StringVar(&o.allowedDir, "allowed-dir", "", "serve only the torrents in this watched `DIR`")
	followLinksFlag(f, &o.followLinks, "--allowed-dir")
	f.StringVar(&o.allowList, "allow-list", "", "serve only the info-hashes in this watched `FILE`")
	f.StringVar(&o.denyList, "deny-list", "", "refuse the info-hashes in this watched `FILE`")
	f.BoolVar(&o.showNames, "show-names", false, "show the names of torrents in the statistics")
	f.BoolVar(&o.allowGet, "allow-get", false, "hand out the .torrent files of --allowed-dir")
	f.BoolVar(&o.natCheck, "nat-check", false, "test the ports of peers and prefer reachable peers")
	bindFlag(f, &o.bind)
	stateFlag(f, &o.state)
	f.BoolVar(&o.reusePort, "reuse-port", false, "stop the tracker that runs here, and take over")
	f.StringVar(&o.notes, "notes", "", "answer with the warnings and failures in this watched `FILE`")
	f.StringVar(&o.tokens, "tokens", "", "read the users' tokens from `FILE` (default: tokens in --state)")
	f.BoolVar(&o.requireToken, "require-token", false, "refuse announce URLs without a user's token")
	f.StringArrayVar(&o.allowNets, "allow-net", nil, "answer only this `NET`; repeatable")
	f.StringArrayVar(&o.denyNets, "deny-net", nil, "do not answer this `NET`; repeatable")
	f.StringVar(&o.nets, "nets", "", "read allowed and denied networks from this watched `FILE`")
	f.Float64Var(&o.rateLimit, "rate-limit", 0, "answer `N` requests a second per network (default 50)")
	f.BoolVar(&o.fullScrape, "full-scrape", false, "answer a scrape without info-hashes with all torrents")
	f.Var(&o.maxMemory, "max-memory", "keep peers in at most this much memory: 512Mi")
	o.secure.addFiles(f)
}

func (a *app) tracker(ctx context.Context, opt *trackerOptions) error {
	c, err := a.trackerConfig(opt)
	if err != nil {
		return err
	}
	t, err := daemon.OpenTracker(ctx, a.daemonEnv(), c)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := a.trackerReady(opt, t); err != nil {
		return err
	}
	a.reloadOnHangup(t.Reload)
	return t.Run(ctx)
}

// reloadOnHangup makes SIGHUP call reload, unless SIGHUP already calls another function or
// means that the terminal was closed.
func (a *app) reloadOnHangup(reload func()) {
	if a.hangup.Load() == nil && !a.HasBar() {
		a.hangup.Store(&reload)
	}
}

// trackerConfig converts the flags of tracker.
func (a *app) trackerConfig(o *trackerOptions) (c daemon.TrackerConfig, err error) {
	if o.allowedDir != "" {
		if info, err := os.Stat(o.allowedDir); err != nil {
			return c, err
		} else if !info.IsDir() {
			return c, fault.Usagef("--allowed-dir %s is not a directory", o.allowedDir)
		}
	}
	if err := o.secure.checkFiles(); err != nil {
		return c, err
	}
	c = daemon.TrackerConfig{State: a.stateDir(o.state), CertFile: o.secure.cert, KeyFile: o.secure.key, Tokens: o.tokens}
	if c.PublicURL, err = o.url(); err != nil {
		return c, err
	}
	if c.Listen, err = o.listenFlags.config("the tracker"); err != nil {
		return c, err
	}
	if c.TrackerNode, err = a.trackerNode(&o.trackerFlags, c.State); err != nil {
		return c, err
	}
	c.TrackerNode.Table.MaxMemory = int64(o.maxMemory)
	c.TrackerNode.Stats = trackerstats.Options{ShowNames: o.showNames, AllowGet: o.allowGet}
	s := &c.TrackerNode.Server
	s.AllowedDir, s.FollowLinks, s.AllowList, s.DenyList = o.allowedDir, o.followLinks, o.allowList, o.denyList
	s.Notes, s.Nets, s.RequireToken, s.Limit = o.notes, o.nets, o.requireToken, trackerserver.RateLimit{PerSecond: o.rateLimit}
	if o.fullScrape {
		s.Scrapes = trackerserver.ScrapesAll
	}
	if s.AllowNets, err = prefixes("--allow-net", o.allowNets); err != nil {
		return c, err
	}
	if s.DenyNets, err = prefixes("--deny-net", o.denyNets); err != nil {
		return c, err
	}
	if o.natCheck {
		s.NATCheck = &trackerserver.NATCheck{}
	}
	return c, nil
}

// trackerReady prints the addresses of the tracker and the torrents that it serves.
func (a *app) trackerReady(opt *trackerOptions, t *daemon.Tracker) error {
	base, guessed := t.BaseURL()
	if a.JSON {
		return a.PrintJSON(readyEvent{Event: "ready", HTTPAddr: t.HTTPAddr(), UDPAddr: t.UDPAddr(), AnnounceURLs: t.AnnounceURLs()})
	}
	for _, u := range t.AnnounceURLs() {
		if err := a.Printf("%s\n", termsafe.Line(u)); err != nil {
			return err
		}
	}
	a.Notef("tracking %s, statistics at %s; Ctrl-C stops", opt.served(), base.JoinPath("stats"))
	if guessed {
		a.Notef("the host in these URLs is a guess; --public-url sets it")
	}
	return nil
}

// served describes the torrents that the tracker serves.
func (o *trackerOptions) served() string {
	var where []string
	if o.allowedDir != "" {
		where = append(where, "in "+o.allowedDir)
	}
	if o.allowList != "" {
		where = append(where, "on the list "+o.allowList)
	}
	if where == nil {
		return "any torrent"
	}
	return "the torrents " + strings.Join(where, " and ")
}

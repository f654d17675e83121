package cli

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/internal/termsafe"
	"spate/tracker/trackerserver"
	"spate/tracker/trackerstats"
)

// trackerOptions are the flags of tracker.
type trackerOptions struct {
	trackerFlags
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
	scrapes             trackerserver.Scrapes // when not fullScrape; bttrack sets it
	maxMemory           sizeValue
	secure              tlsFlags

	home http.Handler // of paths that are not the tracker's; nil: leads to the statistics
	memo memo         // what else remembers; nil: nothing
}

// memo remembers something of a tracker beside its state directory.
type memo interface {
	open(*node) error // before it serves
	save(*node) error // whenever its state is saved
}

func (a *app) trackerCmd() *cobra.Command {
	var opt trackerOptions
	cmd := &cobra.Command{
		Use:   "tracker",
		Short: "run only a tracker, until stopped",
		Long: `Run a tracker over HTTP and UDP. It serves any torrent, or with --allowed-dir
those whose .torrent lies in a directory: what is dropped in is served at once,
what is taken out is refused. Peers and counters survive a restart. Files that
say whom it serves are watched; SIGHUP has them read, and logs opened, again.`,
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
	f.StringVar(&o.allowedDir, "allowed-dir", "", "serve only the torrents in this `DIR`, which is watched")
	followLinksFlag(f, &o.followLinks, "--allowed-dir")
	f.StringVar(&o.allowList, "allow-list", "", "serve only the info-hashes in this `FILE`, one a line; it is watched")
	f.StringVar(&o.denyList, "deny-list", "", "refuse the info-hashes in this `FILE`")
	f.BoolVar(&o.showNames, "show-names", false, "show the names of torrents on the page of statistics")
	f.BoolVar(&o.allowGet, "allow-get", false, "hand out the .torrent files of --allowed-dir")
	f.BoolVar(&o.natCheck, "nat-check", false, "try the ports of peers, and prefer those that can be reached")
	bindFlag(f, &o.bind)
	stateFlag(f, &o.state)
	f.BoolVar(&o.reusePort, "reuse-port", false, "take over from the tracker that listens here with this flag and has --state: it is told to stop")
	f.StringVar(&o.notes, "notes", "", "tell those who announce: lines of HASH warning|failure TEXT in this `FILE`; it is watched")
	f.StringVar(&o.tokens, "tokens", "", "the `FILE` of users with announce URLs of their own (default: tokens in --state)")
	f.BoolVar(&o.requireToken, "require-token", false, "refuse who has no announce URL of his own")
	f.StringArrayVar(&o.allowNets, "allow-net", nil, "answer this `NET` only; repeatable")
	f.StringArrayVar(&o.denyNets, "deny-net", nil, "do not answer this `NET`; repeatable")
	f.StringVar(&o.nets, "nets", "", "lines of allow|deny NET in this `FILE`, beside those two; it is watched")
	f.Float64Var(&o.rateLimit, "rate-limit", 0, "`N` requests a second from one /24 or /48 (default 50; negative: no limit)")
	f.BoolVar(&o.fullScrape, "full-scrape", false, "tell all torrents to who scrapes none")
	f.Var(&o.maxMemory, "max-memory", "the peers take at most so much, such as 512Mi")
	o.secure.addFiles(f)
}

func (a *app) tracker(ctx context.Context, opt *trackerOptions) error {
	if opt.allowedDir != "" {
		if info, err := os.Stat(opt.allowedDir); err != nil {
			return err
		} else if !info.IsDir() {
			return fault.Usagef("--allowed-dir %s is not a directory", opt.allowedDir)
		}
	}
	if err := opt.trackerFlags.check(); err != nil {
		return err
	}
	state := a.stateDir(opt.state)
	o, err := opt.server()
	if err != nil {
		return err
	}
	secure, err := opt.secure.files(a.Now)
	if err != nil {
		return err
	}
	s, lock, err := a.openAndLock(ctx, &opt.listenFlags, "the tracker", filepath.Join(state, "lock"), "the state directory "+state)
	if err != nil {
		return err
	}
	defer lock.Close()
	defer s.close()
	if opt.tokens == "" {
		opt.tokens = filepath.Join(state, tokensFile)
	}
	if o.Tokens, err = trackerserver.OpenTokens(opt.tokens); err != nil {
		return fault.WithHint(err, "correct the file, or choose another with --tokens FILE")
	}
	opt.table.MaxMemory = int64(opt.maxMemory)
	n, err := a.newNode(&opt.trackerFlags, state, o, trackerstats.Options{ShowNames: opt.showNames, AllowGet: opt.allowGet})
	if err != nil {
		return err
	}
	defer n.close()
	n.tls = secure
	if n.memo = opt.memo; n.memo != nil {
		if err := n.memo.open(n); err != nil {
			return err
		}
	}
	base, err := a.tellTracker(opt, s, secure != nil)
	if err != nil {
		return err
	}
	a.reloadOnHangup(n)
	home := opt.home
	if home == nil {
		home = toStats()
	}
	return n.run(ctx, s, under(base.Path, n.handler(home)))
}

// reloadOnHangup has SIGHUP read everything again and open the logs anew, unless
// it does something else already or means that the terminal is gone.
func (a *app) reloadOnHangup(n *node) {
	if a.hangup.Load() == nil && !a.HasBar() {
		ask := n.askReload
		a.hangup.Store(&ask)
	}
}

// server returns what the flags mean to the tracker.
func (o *trackerOptions) server() (trackerserver.Options, error) {
	s := trackerserver.Options{
		AllowedDir: o.allowedDir, FollowLinks: o.followLinks, AllowList: o.allowList, DenyList: o.denyList,
		Notes: o.notes, Nets: o.nets, RequireToken: o.requireToken, Scrapes: o.scrapes, Limit: trackerserver.RateLimit{PerSecond: o.rateLimit},
	}
	if o.fullScrape {
		s.Scrapes = trackerserver.ScrapesAll
	}
	var err error
	if s.AllowNets, err = prefixes("--allow-net", o.allowNets); err != nil {
		return s, err
	}
	if s.DenyNets, err = prefixes("--deny-net", o.denyNets); err != nil {
		return s, err
	}
	if o.natCheck {
		s.NATCheck = &trackerserver.NATCheck{}
	}
	return s, nil
}

// prefixes are networks and single addresses as networks.
func prefixes(flag string, all []string) (out []netip.Prefix, err error) {
	for _, p := range all {
		prefix, err := trackerserver.ParseNet(p)
		if err != nil {
			return nil, fault.Usagef("%s: %w", flag, err)
		}
		out = append(out, prefix)
	}
	return out, nil
}

// tellTracker says where the tracker is and whom it serves, and returns its base URL.
func (a *app) tellTracker(opt *trackerOptions, s *sockets, secure bool) (*url.URL, error) {
	base, guessed, err := publicURL(opt.publicURL, s.httpAddr())
	if err != nil {
		return nil, err
	}
	if secure && opt.publicURL == "" {
		base.Scheme = "https"
	}
	ready := readyEvent{Event: "ready", HTTPAddr: s.httpAddr().String(), UDPAddr: s.udpAddr()}
	for _, tier := range announceURLs(base, s.udpAddr(), secure) {
		ready.AnnounceURLs = append(ready.AnnounceURLs, tier...)
	}
	if opt.access != nil { // that has standard output
		a.Notef("tracking; statistics at %s; Ctrl-C stops", base.JoinPath("stats"))
		return base, nil
	}
	if a.JSON {
		return base, a.PrintJSON(ready)
	}
	for _, u := range ready.AnnounceURLs {
		if err := a.Printf("%s\n", termsafe.Line(u)); err != nil {
			return nil, err
		}
	}
	a.Notef("tracking %s, statistics at %s; Ctrl-C stops", opt.served(), base.JoinPath("stats"))
	if guessed {
		a.Notef("the host in these URLs is a guess; --public-url sets it")
	}
	return base, nil
}

// served says which torrents are tracked.
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

// toStats leads visitors of the root to the statistics.
func toStats() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "stats") // below the public URL, whatever its path is
		w.WriteHeader(http.StatusSeeOther)
	})
	return mux
}

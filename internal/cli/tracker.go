package cli

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"spate/tracker/trackerserver"
)

// trackerOptions are the flags of tracker.
type trackerOptions struct {
	trackerFlags
	allowedDir          string
	allowList, denyList string
	showNames, allowGet bool
	proxies             []string
	proxyProtocol       bool
	natCheck            bool
}

func (a *app) trackerCmd() *cobra.Command {
	var opt trackerOptions
	cmd := &cobra.Command{
		Use:   "tracker",
		Short: "run only a tracker, until stopped",
		Long: `Run a tracker over HTTP and UDP. It serves any torrent, or with --allowed-dir
those whose .torrent lies in a directory: what is dropped in is served at once,
what is taken out is refused. Peers and counters survive a restart.`,
		Example: `  spate tracker
  spate tracker --listen :8099 --udp off --allowed-dir /srv/torrents`,
		Args: need(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.tracker(cmd.Context(), &opt) },
	}
	f := cmd.Flags()
	opt.trackerFlags.add(f)
	f.StringVar(&opt.allowedDir, "allowed-dir", "", "serve only the torrents in this `DIR`, which is watched")
	f.StringVar(&opt.allowList, "allow-list", "", "serve only the info-hashes in this `FILE`, one a line; it is watched")
	f.StringVar(&opt.denyList, "deny-list", "", "refuse the info-hashes in this `FILE`")
	f.BoolVar(&opt.showNames, "show-names", false, "show the names of torrents on the page of statistics")
	f.BoolVar(&opt.allowGet, "allow-get", false, "hand out the .torrent files of --allowed-dir")
	f.StringArrayVar(&opt.proxies, "proxy", nil, "believe what a proxy in this `NET` says of addresses; repeatable")
	f.BoolVar(&opt.proxyProtocol, "proxy-protocol", false, "those proxies speak the PROXY protocol")
	f.BoolVar(&opt.natCheck, "nat-check", false, "try the ports of peers, and prefer those that can be reached")
	bindFlag(f, &opt.bind)
	stateFlag(f, &opt.state)
	cmd.AddCommand(a.trackerReportCmd())
	return cmd
}

func (a *app) tracker(ctx context.Context, opt *trackerOptions) error {
	if opt.allowedDir != "" {
		if info, err := os.Stat(opt.allowedDir); err != nil {
			return err
		} else if !info.IsDir() {
			return usagef("--allowed-dir %s is not a directory", opt.allowedDir)
		}
	}
	if err := opt.checkPublicURL(); err != nil {
		return err
	}
	state := a.stateDir(opt.state)
	lock, err := lockFile(filepath.Join(state, "lock"), "the state directory "+state)
	if err != nil {
		return err
	}
	defer lock.Close()
	s, err := opt.open(ctx, "the tracker")
	if err != nil {
		return err
	}
	defer s.close()
	o, err := opt.server()
	if err != nil {
		return err
	}
	n, err := a.newNode(&opt.trackerFlags, state, o, trackerserver.StatsOptions{ShowNames: opt.showNames, AllowGet: opt.allowGet})
	if err != nil {
		return err
	}
	defer n.close()
	base, guessed, err := publicURL(opt.publicURL, s.httpAddr())
	if err != nil {
		return err
	}
	ready := readyEvent{Event: "ready", HTTPAddr: s.httpAddr().String(), UDPAddr: s.udpAddr()}
	for _, tier := range announceURLs(base, s.udpAddr()) {
		ready.AnnounceURLs = append(ready.AnnounceURLs, tier...)
	}
	if a.json {
		err = a.printJSON(ready)
	} else {
		err = a.printTracker(ready, base, opt.allowedDir, guessed)
	}
	if err != nil {
		return err
	}
	return n.run(ctx, s, under(base.Path, n.handler(toStats())))
}

// server returns what the flags mean to the tracker.
func (o *trackerOptions) server() (trackerserver.Options, error) {
	s := trackerserver.Options{
		AllowedDir: o.allowedDir, AllowList: o.allowList, DenyList: o.denyList, ProxyProtocol: o.proxyProtocol,
	}
	for _, p := range o.proxies {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			a, err := netip.ParseAddr(p)
			if err != nil {
				return s, usagef("--proxy %s is no address or network, such as 192.0.2.0/24", p)
			}
			prefix = netip.PrefixFrom(a, a.BitLen())
		}
		s.Proxies = append(s.Proxies, prefix)
	}
	if o.proxyProtocol && len(o.proxies) == 0 {
		return s, usagef("--proxy-protocol needs --proxy NET: only a proxy that is named is believed")
	}
	if o.natCheck {
		s.NATCheck = &trackerserver.NATCheck{}
	}
	return s, nil
}

func (a *app) printTracker(r readyEvent, base *url.URL, allowed string, guessed bool) error {
	for _, u := range r.AnnounceURLs {
		if err := a.printf("%s\n", escape(u)); err != nil {
			return err
		}
	}
	what := "any torrent"
	if allowed != "" {
		what = "the torrents in " + allowed
	}
	a.notef("tracking %s, statistics at %s; Ctrl-C stops", what, base.JoinPath("stats"))
	if guessed {
		a.notef("the host in these URLs is a guess; --public-url sets it")
	}
	return nil
}

// toStats leads visitors of the root to the statistics.
func toStats() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.RedirectHandler("stats", http.StatusSeeOther))
	return mux
}

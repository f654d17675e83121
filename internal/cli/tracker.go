package cli

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"spate/tracker/trackerserver"
)

// trackerOptions are the flags of tracker.
type trackerOptions struct {
	trackerFlags
	allowedDir string
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
	bindFlag(f, &opt.bind)
	stateFlag(f, &opt.state)
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
	n, err := a.newNode(&opt.trackerFlags, state, trackerserver.Options{AllowedDir: opt.allowedDir})
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
		err = a.printTracker(ready, opt.allowedDir, guessed)
	}
	if err != nil {
		return err
	}
	return n.run(ctx, s, under(base.Path, n.server.Handler(nil)))
}

func (a *app) printTracker(r readyEvent, allowed string, guessed bool) error {
	for _, u := range r.AnnounceURLs {
		if err := a.printf("%s\n", escape(u)); err != nil {
			return err
		}
	}
	what := "any torrent"
	if allowed != "" {
		what = "the torrents in " + allowed
	}
	a.notef("tracking %s; Ctrl-C stops", what)
	if guessed {
		a.notef("the host in these URLs is a guess; --public-url sets it")
	}
	return nil
}

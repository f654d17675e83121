package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/classic"
	"spate/internal/daemon"
	"spate/internal/fault"
)

// btCmd returns the verb bt. "spate bt NAME ..." runs a tool of 2005 without a link with its
// name.
func (a *app) btCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bt NAME [ARGUMENT...]",
		Short: "run a tool of 2005 (btmakemetafile, bttrack, ...)",
		Long: `Run one of the BitTorrent tools of 2005 with its own arguments. A link to spate
with the name of the tool does the same. NAME --help lists the options.`,
		Example: `  spate bt btmakemetafile debian.iso http://tracker.example.org:6969/announce
  spate bt btlaunchmany ~/torrents`,
	}
	for _, t := range classic.Tools() {
		cmd.AddCommand(&cobra.Command{
			Use: t.Name, Short: t.Summary, DisableFlagParsing: true,
			// The settings file is for the flags of verbs. The tools have other options.
			PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
			RunE:              func(cmd *cobra.Command, args []string) error { return a.tool(cmd.Context(), t, args) },
		})
	}
	cmd.Args = need(1, -1, "the NAME of a program")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return fault.UsageHint("spate bt --help lists them", "there is no program %q", args[0])
	}
	return cmd
}

// tool runs a tool of 2005 with its own arguments.
func (a *app) tool(ctx context.Context, t *classic.Tool, argv []string) error {
	a.SetLevel()
	a.started.Store(true)
	if err := a.toolFlags(func(f *pflag.FlagSet) { a.proxyFlag(f, "") }, nil); err != nil {
		return err
	}
	if err := a.chooseProxy(nil, nil); err != nil {
		return err
	}
	return classic.Run(ctx, &classic.Env{
		Terminal: a.Terminal, Daemon: a.daemonEnv(), Sources: a.sources,
		Session: a.toolSession, Tracker: a.toolTracker, FollowLinks: a.toolFollowsLinks, Open: a.toolOpen,
		Resumable: func() { a.resumable.Store(true) }, OnHangup: func(f func()) { a.hangup.Store(&f) }, ReloadOnHangup: a.reloadOnHangup,
	}, t, argv)
}

// toolFlags adds flags of a verb, and sets them from given or from the SPATE_ variables.
func (a *app) toolFlags(add func(*pflag.FlagSet), given map[string]string) error {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	add(f)
	for name, value := range given {
		if err := f.Set(name, value); err != nil {
			return fault.Usagef("%w", err)
		}
	}
	if err := a.applyVars(f); err != nil {
		return err
	}
	return a.lookUpPeers(context.Background(), f)
}

// toolSession implements [classic.Env].
func (a *app) toolSession() (c daemon.SessionConfig, state string, err error) {
	var s sessionFlags
	if err := a.toolFlags(s.add, nil); err != nil {
		return c, "", err
	}
	c, err = s.config(a.downloadState(s.state))
	c.PortMap = nil // the tools say that --upnp_nat_access has no effect
	return c, a.stateDir(s.state), err
}

// toolTracker implements [classic.Env].
func (a *app) toolTracker(given map[string]string) (daemon.TrackerConfig, error) {
	var o trackerOptions
	if err := a.toolFlags(o.add, given); err != nil {
		return daemon.TrackerConfig{}, err
	}
	return a.trackerConfig(&o)
}

// toolFollowsLinks implements [classic.Env].
func (a *app) toolFollowsLinks() (follow bool, err error) {
	err = a.toolFlags(func(f *pflag.FlagSet) { followLinksFlag(f, &follow, "directories") }, nil)
	return follow, err
}

// toolOpen implements [classic.Env].
func (a *app) toolOpen(ctx context.Context, source string) error {
	var opt openOptions
	if err := a.toolFlags(opt.add, nil); err != nil {
		return err
	}
	return a.open(ctx, source, &opt)
}

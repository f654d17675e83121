package cli

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate"
	"spate/internal/classic"
	"spate/internal/fault"
	"spate/internal/onevent"
	"spate/internal/proxy"
	"spate/internal/schedule"
	"spate/internal/term"
)

// app is one run of the program. The flags of a verb are read before the verb starts and
// do not change afterwards.
type app struct {
	*term.Terminal
	env     Env
	config  string            // --config
	on      []onevent.Rule    // of the settings file
	windows []schedule.Window // of the settings file
	proxy   proxyValue        // --proxy
	out     *proxy.Outgoing

	started   atomic.Bool            // a verb runs: errors are no longer usage errors
	resumable atomic.Bool            // an interruption can be resumed: exit code 7
	hangup    atomic.Pointer[func()] // called on SIGHUP, which then does not stop the program; may be nil
	warned    warnings
	given     []string // names of the flags on the command line
	helpErr   error    // help was asked for a verb that does not exist
}

func newApp(env Env) *app {
	return &app{env: env, Terminal: term.New(term.Options{
		Stdin: env.Stdin, Stdout: env.Stdout, Stderr: env.Stderr, Environ: env.Environ, Now: env.Now,
	})}
}

// verbs returns the verbs in the order in which help shows them.
func (a *app) verbs() []*cobra.Command {
	return []*cobra.Command{
		a.publishCmd(),
		a.serveCmd(),
		a.openCmd(),
		a.getCmd(),
		a.createCmd(),
		a.showCmd(),
		a.verifyCmd(),
		a.editCmd(),
		a.magnetCmd(),
		a.seedCmd(),
		a.trackerCmd(),
		a.siteCmd(),
		a.keysCmd(),
		a.announceCmd(),
		a.scrapeCmd(),
		a.dhtCmd(),
		a.doctorCmd(),
		a.topCmd(),
		a.btCmd(),
		a.addCmd(),
		a.importCmd(),
		a.listCmd(),
		a.statusCmd(),
		a.pauseCmd(),
		a.resumeCmd(),
		a.removeCmd(),
		a.withdrawCmd(),
		a.setCmd(),
		a.moveCmd(),
		a.recheckCmd(),
		a.reannounceCmd(),
		a.installHandlerCmd(),
		a.scheduleCmd(),
		a.feedCmd(),
		a.versionCmd(),
	}
}

// root returns the tree of verbs.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "spate VERB",
		Short: "Publish files over BitTorrent, and fetch them",
		Long: `spate publishes files over BitTorrent, and fetches them:

  spate publish debian.iso
  spate get http://HOST:6969/r/debian.iso`,
		Version: spate.Version, SilenceErrors: true, SilenceUsage: true,
		Args:              cobra.ArbitraryArgs,
		PersistentPreRunE: a.start,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return noVerb(cmd, args[0])
			}
			cmd.SetOut(a.Stderr())
			_ = cmd.Help()
			return &fault.Error{Code: fault.Usage}
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr())
	root.SetUsageFunc(a.usage)
	a.refuseHelpOfUnknownVerb(root)
	root.SetVersionTemplate("spate {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.Flags().Bool("version", false, "print the version")
	f := root.PersistentFlags()
	f.SortFlags = false
	f.BoolVar(&a.JSON, "json", false, "print results as JSON, streams as lines of JSON")
	f.BoolVarP(&a.Quiet, "quiet", "q", false, "write less to standard error")
	f.CountVarP(&a.Verbose, "verbose", "v", "write more to standard error; twice for all")
	f.StringVar(&a.config, "config", "", "read settings from `FILE` (default ~/.config/spate/spate.toml)")
	f.BoolP("help", "h", false, "show this help")
	root.AddCommand(a.verbs()...)
	a.addProxyFlags(root)
	tidy(root)
	root.SetHelpCommand(&cobra.Command{Use: "help [VERB]", Hidden: true, RunE: func(_ *cobra.Command, args []string) error {
		cmd, rest, err := root.Find(args)
		if err != nil {
			return err
		}
		if len(rest) > 0 {
			return noVerb(cmd, rest[0])
		}
		return cmd.Help()
	}})
	return root
}

// tidy makes help show the flags of a verb, and of the verbs below it, in the order in which
// they were added, and leaves them out of the usage line.
func tidy(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	cmd.DisableFlagsInUseLine = true
	for _, sub := range cmd.Commands() {
		tidy(sub)
	}
}

// start checks the command line and applies the settings before a verb runs. Errors are no
// longer usage errors afterwards.
func (a *app) start(cmd *cobra.Command, args []string) error {
	if err := checkEmpty(cmd, args); err != nil {
		return err
	}
	cmd.Flags().Visit(func(f *pflag.Flag) { a.given = append(a.given, f.Name) })
	a.proxy.typed = len(a.proxy.out) > 0
	if err := a.applySettings(cmd); err != nil {
		return err
	}
	a.SetLevel()
	a.started.Store(true)
	if err := a.chooseProxy(cmd, args); err != nil {
		return err
	}
	return a.lookUpPeers(cmd.Context(), cmd.Flags())
}

func (a *app) execute(ctx context.Context) error {
	if t := classic.Lookup(a.env.Name); t != nil {
		return a.tool(ctx, t, a.env.Args)
	}
	root := a.root()
	if len(a.env.Args) > 0 && strings.HasPrefix(a.env.Args[0], cobra.ShellCompRequestCmd) { // a shell asks
		a.completions(root)
	}
	root.SetArgs(a.env.Args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = a.helpErr
	}
	if err != nil && !a.started.Load() {
		return asUsage(err)
	}
	return err
}

// need returns a check that a verb has at least min and at most max arguments. A negative max
// allows any number. what names the arguments.
func need(min, max int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		hint := "usage: " + strings.TrimSuffix(cmd.UseLine(), " [flags]")
		if len(args) < min {
			return fault.UsageHint(hint, "%s needs %s", cmd.CommandPath(), what)
		}
		if max >= 0 && len(args) > max {
			return fault.UsageHint(hint, "%s takes %s; remove %q", cmd.CommandPath(), what, args[max])
		}
		return nil
	}
}

// Command returns the tree of verbs for manual pages and completions. The caller must not
// run it.
func Command() *cobra.Command {
	root := newApp(Env{Name: "spate", Stdout: io.Discard, Stderr: io.Discard, Now: time.Now}).root()
	root.InitDefaultHelpFlag()
	return root
}

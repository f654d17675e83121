package cli

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate"
	"spate/internal/fault"
	"spate/internal/legacy"
	"spate/internal/termsafe"
)

// btCmd is "spate bt NAME ...": a program of 2005 without a link of its name.
func (a *app) btCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bt NAME [ARGUMENT...]",
		Short: "the programs of 2005 (btmakemetafile, bttrack, ...)",
		Long: `Run one of the programs that BitTorrent had in 2005, with its own arguments. A
link to spate with the program's name does the same. NAME --help lists options.`,
		Example: `  spate bt btmakemetafile debian.iso http://tracker.example.org:6969/announce
  spate bt btlaunchmany ~/torrents`,
	}
	for _, t := range legacy.Tools() {
		cmd.AddCommand(&cobra.Command{
			Use: t.Name, Short: t.Summary, DisableFlagParsing: true, Hidden: t.Instead != "",
			// Settings of verbs do not count: the flags are others.
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

// toolRun is one run of a program of 2005.
type toolRun struct {
	*app
	tool *legacy.Tool
	v    *legacy.Values
	args []string
}

// tool runs a program of 2005 with its own arguments.
func (a *app) tool(ctx context.Context, t *legacy.Tool, argv []string) error {
	a.SetLevel()
	a.started.Store(true)
	switch {
	case len(argv) == 1 && (argv[0] == "--help" || argv[0] == "-h"):
		return a.Printf("%s", t.Usage())
	case len(argv) == 1 && argv[0] == "--version":
		return a.Printf("%s (spate %s)\n", t.Name, spate.Version)
	case t.Instead != "":
		return fault.New(fault.Failed, "", "%s: %s", t.Name, t.Instead)
	case len(argv) == 0:
		io.WriteString(a.Stderr(), t.Usage())
		return &fault.Error{Code: fault.Usage}
	}
	v, args, notes, err := t.Parse(argv)
	if err != nil {
		return fault.UsageHint(t.Name+" --help lists the options", "%s: %w", t.Name, err)
	}
	for _, n := range notes {
		a.Line(t.Name + ": " + termsafe.Line(n))
	}
	r := &toolRun{app: a, tool: t, v: v, args: args}
	return map[string]func(context.Context) error{
		"btmakemetafile": r.makeMetafile, "btcompletedir": r.completeDir, "btshowmetainfo": r.showMetainfo,
		"btreannounce": r.reannounce, "btrename": r.rename, "btcopyannounce": r.copyAnnounce, "btsethttpseeds": r.setHTTPSeeds,
		"bttrack": r.track, "btdownloadheadless": r.download, "btdownloadcurses": r.download,
		"btlaunchmany": r.launchMany, "btlaunchmanycurses": r.launchMany,
	}[t.Name](ctx)
}

// print writes to standard output what has the layout of 2005: the texts in it
// went through escape.
func (r *toolRun) print(s string) error {
	r.ClearBar()
	_, err := io.WriteString(r.Stdout, s)
	return err
}

// usage is an error in the arguments.
func (r *toolRun) usage(format string, args ...any) error {
	return fault.UsageHint(r.tool.Name+" --help lists the options", r.tool.Name+": "+format, args...)
}

// flags gives the flags of a verb the defaults and the SPATE_* variables that
// they would have without a command line.
func (r *toolRun) flags(add func(*pflag.FlagSet)) error {
	f := pflag.NewFlagSet(r.tool.Name, pflag.ContinueOnError)
	add(f)
	return r.applyVars(f)
}

// followLinks reports whether SPATE_FOLLOW_LINKS has links followed that lead out of
// a directory that somebody else may write to.
func (r *toolRun) followLinks() (follow bool, err error) {
	err = r.flags(func(f *pflag.FlagSet) { followLinksFlag(f, &follow, "directories") })
	return follow, err
}

// eachFile calls f for every argument from the first on. One that fails does not
// stop the others.
func (r *toolRun) eachFile(ctx context.Context, files []string, f func(path string) error) error {
	var first error
	failed := 0
	for _, path := range files {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := f(path); err != nil {
			if len(files) == 1 {
				return err
			}
			r.Warnf("%v", err)
			if failed++; first == nil {
				first = err
			}
		}
	}
	if failed > 0 {
		return fault.New(fault.CodeOf(first), hintFor(first), "%d of %d files failed", failed, len(files))
	}
	return nil
}

// openText opens a file that the person wrote, for the options that name one.
func openText(option, path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(f); err != nil {
		return fault.UsageHint("correct "+path, "%s %s: %w", option, path, err)
	}
	return nil
}

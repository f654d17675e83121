package classic

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"

	"spate"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/source"
	"spate/internal/term"
	"spate/internal/termsafe"
	"spate/internal/units"
)

// Env holds what the tools need from the calling program. All fields are required.
type Env struct {
	*term.Terminal
	Daemon  *daemon.Env
	Sources func(bind netip.Addr) *source.Resolver

	// Session returns the configuration of the engine according to the SPATE_ variables, and
	// the state directory.
	Session func() (c daemon.SessionConfig, state string, err error)
	// Tracker returns the configuration of the tracker according to flags and the SPATE_
	// variables. flags maps names of flags of spate tracker to their values.
	Tracker func(flags map[string]string) (daemon.TrackerConfig, error)
	// FollowLinks reports whether the SPATE_ variables allow symbolic links
	// that lead out of a directory.
	FollowLinks func() (bool, error)
	// Open opens the graphical client with the dialog to add a source, which may be empty.
	Open func(ctx context.Context, source string) error

	Resumable      func()              // records that the user can resume the run after an interruption
	OnHangup       func(f func())      // makes SIGHUP call f instead of stopping the program
	ReloadOnHangup func(reload func()) // calls OnHangup, unless SIGHUP already calls another function
}

// run is one run of a tool: its options are v, its other arguments args.
type run struct {
	*Env
	tool *Tool
	v    *Values
	args []string
}

// Run runs a tool with the arguments argv.
func Run(ctx context.Context, e *Env, t *Tool, argv []string) error {
	switch {
	case len(argv) == 1 && (argv[0] == "--help" || argv[0] == "-h"):
		return e.Printf("%s", t.Usage())
	case len(argv) == 1 && argv[0] == "--version":
		return e.Printf("%s (spate %s)\n", t.Name, spate.Version)
	case len(argv) == 0 && t.Name != "btdownloadgui":
		io.WriteString(e.Stderr(), t.Usage())
		return &fault.Error{Code: fault.Usage}
	}
	v, args, notes, err := t.Parse(argv)
	if err != nil {
		return fault.UsageHint(t.Name+" --help lists the options", "%s: %w", t.Name, err)
	}
	for _, n := range notes {
		e.Line(t.Name + ": " + termsafe.Line(n))
	}
	r := &run{Env: e, tool: t, v: v, args: args}
	return map[string]func(context.Context) error{
		"btmakemetafile": r.makeMetafile, "btcompletedir": r.completeDir, "btshowmetainfo": r.showMetainfo,
		"btreannounce": r.reannounce, "btrename": r.rename, "btcopyannounce": r.copyAnnounce, "btsethttpseeds": r.setHTTPSeeds,
		"bttrack": r.track, "btdownloadheadless": r.download, "btdownloadcurses": r.download, "btdownloadgui": r.gui,
		"btlaunchmany": r.launchMany, "btlaunchmanycurses": r.launchMany,
	}[t.Name](ctx)
}

// usage returns an error about the command line, with a hint to --help.
func (r *run) usage(format string, args ...any) error {
	return fault.UsageHint(r.tool.Name+" --help lists the options", r.tool.Name+": "+format, args...)
}

// eachFile calls f for each path, and continues after errors.
func (r *run) eachFile(ctx context.Context, files []string, f func(path string) error) error {
	return r.eachChecked(ctx, files, func(int) error { return nil }, func(i int) error { return f(files[i]) })
}

// eachChecked calls check with the index of each file, and then f for the files without an error,
// so that an error that is known at once is printed before the first file is hashed or written.
// It continues after an error if there are several files.
func (r *run) eachChecked(ctx context.Context, files []string, check, f func(i int) error) error {
	var first error
	failed := 0
	bad := make([]bool, len(files))
	for _, step := range []func(int) error{check, f} {
		for i := range files {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if bad[i] {
				continue
			}
			err := step(i)
			if err == nil {
				continue
			}
			if len(files) == 1 {
				return err
			}
			r.Warnf("%v", err)
			bad[i] = true
			failed++
			first = cmp.Or(first, err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s failed%w", units.PartOf(failed, len(files), "file"), fault.Quiet(first))
	}
	return nil
}

// openText calls read with the file at path, which is the value of option.
func (r *run) openText(option, path string, read func(io.Reader) error) error {
	f, err := filetrust.Open(path, filetrust.Power, r.Warnf)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(f); err != nil {
		return fault.UsageHint("correct "+path, "%s %s: %w", option, path, err)
	}
	return nil
}

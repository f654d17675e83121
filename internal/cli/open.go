package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/termsafe"
)

// openOptions are the flags of open.
type openOptions struct {
	state     string
	noBrowser bool
	idle      time.Duration
}

// defaultIdle is the default of --idle-exit.
const defaultIdle = 10 * time.Minute

func (a *app) openCmd() *cobra.Command {
	var opt openOptions
	cmd := &cobra.Command{
		Use:   "open [SOURCE]",
		Short: "open the graphical client in the browser",
		Long: `Open the graphical client of spate in the browser, already signed in. With SOURCE, a
.torrent file, a magnet link or a URL, it asks there which files to fetch and where to.

open uses the spate serve that runs, or starts one of this user in the background. That
one stops when nothing downloads, seeds or is published and no page was open for the
time of --idle-exit; its messages are in daemon.log in the state directory. The link
signs in once, within a minute, and only a browser of this user.`,
		Example: `  spate open
  spate open 'magnet:?xt=urn:btih:...'`,
		Args: need(0, 1, "one SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			source := ""
			if len(args) > 0 {
				source = args[0]
			}
			return a.open(cmd.Context(), source, &opt)
		},
	}
	opt.add(cmd.Flags())
	return cmd
}

func (opt *openOptions) add(f *pflag.FlagSet) {
	f.BoolVar(&opt.noBrowser, "no-browser", false, "print the link instead of opening it")
	f.DurationVar(&opt.idle, "idle-exit", defaultIdle, "stop an idle spate serve after this `TIME`; 0: never")
	stateFlag(f, &opt.state)
}

// openEvent is the JSON output of open.
type openEvent struct {
	Event string `json:"event"` // opened
	daemon.Link
	Opened  bool `json:"opened"`  // whether a browser was started
	Started bool `json:"started"` // whether a spate serve was started
}

// open opens the client with the dialog to add a source, which may be empty.
func (a *app) open(ctx context.Context, source string, opt *openOptions) error {
	if opt.idle < 0 {
		return fault.Usagef("--idle-exit must not be negative")
	}
	ask := daemon.LinkRequest{User: os.Getuid()} // -1 on Windows
	if source != "" {
		t, err := a.addRequest(ctx, source, &addOptions{daemonFlags: daemonFlags{state: opt.state}})
		if err != nil {
			return err
		}
		ask.Add, ask.Torrent = t.Source, t.Torrent
	}
	link, started, err := a.link(ctx, ask, opt)
	if err != nil {
		return err
	}
	e := openEvent{"opened", link, false, started}
	if !opt.noBrowser {
		err := a.browse(ctx, link.URL)
		e.Opened = err == nil
		if err != nil {
			a.Warnf("no browser was opened: %v; open the link within a minute", err)
		}
	}
	switch {
	case a.JSON:
		return a.PrintJSON(e)
	case e.Opened:
		a.Notef("opened %s in the browser", e.Page)
		return nil
	}
	return a.Printf("%s\n", termsafe.Line(e.URL))
}

// link asks the daemon for a link, and starts a daemon if none runs.
func (a *app) link(ctx context.Context, ask daemon.LinkRequest, opt *openOptions) (l daemon.Link, started bool, err error) {
	states := a.daemonStates(opt.state)
	state, err := filepath.Abs(states[0])
	if err != nil {
		return l, false, err
	}
	if err := filetrust.Check(state, filetrust.Power, a.Warnf); err != nil {
		return l, false, err
	}
	l, err = api.New(state, states[1:]...).Link(ctx, ask)
	var none *api.NoDaemonError
	if errors.As(err, &none) {
		started = true
		c, serr := a.startDaemon(ctx, state, opt.idle)
		if serr != nil {
			return l, false, serr
		}
		l, err = c.Link(ctx, ask)
	}
	if errors.Is(err, &api.Error{Code: api.NotFound}) {
		return l, started, fault.New(fault.Failed, "stop it, or name another directory with --state DIR", "a spate publish uses %s, and has no graphical client%w", state, fault.Quiet(err))
	}
	return l, started, apiError(err)
}

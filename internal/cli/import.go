package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/takeover"
	"spate/internal/termsafe"
	"spate/internal/units"
)

// importOptions are the flags of import.
type importOptions struct {
	state  string
	paused bool
	dryRun bool
}

func (a *app) importCmd() *cobra.Command {
	var opt importOptions
	cmd := &cobra.Command{
		Use:   "import PROGRAM [DIR]",
		Short: "take over the torrents of Transmission or qBittorrent",
		Long: `Add the torrents of Transmission or qBittorrent to a running spate serve, with their
progress, folders, labels, priorities, limits and goals. PROGRAM is transmission or
qbittorrent, DIR the directory of its settings, if it is not the usual one. Stop that
program first. import opens its files for reading only, and the data stays where it is;
incomplete files lose an ending such as .part. Data that the program has verified is not
hashed again, unless it has changed since. import says what it could not take over, and
which lines of spate.toml are like the program's settings. A torrent that was added
before is left alone, so that import can be repeated.`,
		Example: `  spate import transmission --dry-run
  spate import qbittorrent /srv/profile`,
		Args: need(1, 2, "transmission or qbittorrent, and one DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.importAll(cmd.Context(), args, &opt) },
	}
	f := cmd.Flags()
	f.BoolVar(&opt.dryRun, "dry-run", false, "only print what it would take over")
	f.BoolVar(&opt.paused, "paused", false, "start none of the torrents")
	stateFlag(f, &opt.state)
	return cmd
}

// importEvent is a line of the JSON output of import.
type importEvent struct {
	Event  string   `json:"event"` // imported, skipped, failed, or settings, the last one
	Name   string   `json:"name,omitempty"`
	File   string   `json:"file,omitempty"` // of the other program
	Reason string   `json:"reason,omitempty"`
	Notes  []string `json:"notes,omitempty"`
	*daemon.Imported
	Settings []takeover.Setting `json:"settings,omitempty"`
}

func (a *app) importAll(ctx context.Context, args []string, opt *importOptions) error {
	s, err := takeover.Read(args[0], strings.Join(args[1:], ""), a.Getenv)
	if err != nil {
		return err
	}
	if pid := s.Running(); pid > 0 {
		if !opt.dryRun {
			return fault.New(fault.Exists, "stop it first, because two programs must not write to the same data", "%s runs (process %d)", args[0], pid)
		}
		a.Warnf("%s runs (process %d): stop it before the import", args[0], pid)
	}
	var c *api.Client
	if !opt.dryRun {
		if c, err = (&daemonFlags{state: opt.state}).client(a); err != nil {
			return err
		}
		if _, err := c.Status(ctx); err != nil {
			return apiError(err)
		}
	}
	count := map[string]int{}
	for i := range s.Torrents {
		e, err := a.importOne(ctx, c, &s.Torrents[i], opt)
		if err != nil {
			return err
		}
		count[e.Event]++
		if err := a.printImported(e, opt.dryRun); err != nil {
			return err
		}
	}
	if err := a.printForeign(s); err != nil {
		return err
	}
	verb := "imported "
	if opt.dryRun {
		verb = "would import "
	}
	a.Notef("%s%s of %s", verb, units.Plural(count["imported"], "torrent"), units.Plural(len(s.Torrents), "torrent"))
	if n := count["failed"]; n > 0 {
		return fault.New(fault.Failed, "the lines above say why", "%s could not be imported", units.Plural(n, "torrent"))
	}
	return nil
}

// importOne imports t, or finds out what would happen if c is nil. The error is one that ends the import.
func (a *app) importOne(ctx context.Context, c *api.Client, t *takeover.Torrent, opt *importOptions) (importEvent, error) {
	e := importEvent{Event: "failed", Name: t.Name, File: t.File, Notes: t.Notes}
	err := t.Err
	if err == nil {
		q := api.ImportTorrent{Torrent: t.Torrent, Magnet: t.Magnet, Dir: t.Dir, Paused: t.Paused || opt.paused, Kept: t.Kept, TorrentOptions: daemon.TorrentOptions{
			Label: t.Label, Sequential: t.Order, Up: t.Up, Down: t.Down, Ratio: t.Ratio, SeedTime: int64(t.SeedTime.Seconds()), SeedIdle: int64(t.SeedIdle.Seconds()), NoSeed: t.NoSeed,
		}}
		for _, r := range t.Rules {
			q.Files = append(q.Files, daemon.FileRule(r))
		}
		var got daemon.Imported
		if c == nil {
			got, err = daemon.TryImport(q.Torrent, q.Magnet, q.Dir, q.TorrentOptions, q.Kept)
			got.Paused = q.Paused
		} else {
			got, err = c.ImportTorrent(ctx, q)
		}
		e.Imported = &got
		e.Notes, got.Notes = append(e.Notes, got.Notes...), nil
	}
	var answer *api.Error
	switch {
	case err == nil:
		e.Event = "imported"
		return e, nil
	case ctx.Err() != nil:
		return e, ctx.Err()
	case errors.As(err, &answer) && answer.Code == api.Exists:
		e.Event = "skipped"
	case c != nil && t.Err == nil && answer == nil: // the daemon is gone
		return e, apiError(err)
	}
	e.Imported, e.Reason = nil, fault.Message(err)
	return e, nil
}

// printImported prints a line for a torrent, and what is to be said about it.
func (a *app) printImported(e importEvent, dryRun bool) error {
	if a.JSON {
		return a.PrintJSON(e)
	}
	name := termsafe.Line(e.Name)
	switch e.Event {
	case "imported":
		state := "complete"
		switch {
		case e.TotalLength == 0 && e.Path == "":
			state = "magnet link"
		case e.Done < e.TotalLength:
			state = units.Bytes(e.Done) + " of " + units.Bytes(e.TotalLength)
		}
		if e.Imported.Check > 0 {
			state += ", " + units.Bytes(e.Imported.Check) + " to check"
		}
		if e.Paused {
			state += ", paused"
		}
		if err := a.Printf("%s: %s, in %s\n", name, state, termsafe.Line(e.Dir)); err != nil {
			return err
		}
	case "skipped":
		a.Notef("%s: not imported: %s", name, termsafe.Line(e.Reason))
	default:
		a.Warnf("%s: not imported: %s (%s)", name, termsafe.Line(e.Reason), termsafe.Line(e.File))
	}
	for _, n := range e.Notes {
		a.Notef("%s: %s", name, termsafe.Line(n))
	}
	return nil
}

// printForeign prints the settings of the other program that this one has too.
func (a *app) printForeign(s *takeover.State) error {
	if a.JSON {
		return a.PrintJSON(importEvent{Event: "settings", File: s.Dir, Notes: s.Notes, Settings: s.Settings})
	}
	for _, n := range s.Notes {
		a.Notef("%s", termsafe.Line(n))
	}
	if len(s.Settings) == 0 {
		return nil
	}
	a.Notef("its settings, as lines of spate.toml:")
	for _, l := range s.Settings {
		a.Notef("  %s = %s", l.Name, termsafe.Line(l.Value))
	}
	return nil
}

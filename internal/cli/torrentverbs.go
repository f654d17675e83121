package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/termsafe"
	"spate/internal/units"
)

// isTorrent reports whether ref names an added torrent of the daemon, and not a release. A name that
// is both is an error.
func isTorrent(ctx context.Context, c *api.Client, ref string) (bool, error) {
	_, err := c.Torrent(ctx, ref)
	switch {
	case errors.Is(err, &api.Error{Code: api.NotFound}):
		return false, nil
	case err != nil:
		return false, err
	}
	r, err := c.Release(ctx, ref)
	if errors.Is(err, &api.Error{Code: api.NotFound}) {
		return true, nil
	}
	if err == nil && r.Ref != ref {
		err = fault.UsageHint("write "+r.Ref+" for the release, or the info-hash of the torrent", "%s is a release and a torrent that was added", ref)
	}
	return false, err
}

func (a *app) removeCmd() *cobra.Command {
	var data, yes bool
	cmd := a.daemonCmd(&cobra.Command{
		Use:   "remove TORRENT...",
		Short: "remove a torrent that was added; keep its data",
		Long: `Remove torrents that were added to a spate serve. Their data stays, unless --data is
given: then remove deletes the files of the torrent, and no others in its directory. On
a terminal remove --data asks, unless --yes or --json is given. A TORRENT is a name that
list shows, an info-hash, or its first digits. A release is withdrawn, not removed.`,
	}, 1, -1, "a TORRENT", func(ctx context.Context, c *api.Client, refs []string) error {
		for _, ref := range refs {
			if err := a.checkRemovable(ctx, c, ref, data && !yes && !a.JSON && a.CanAsk()); err != nil {
				return err
			}
		}
		return a.each(refs, "removed", func(ref string) error { return c.RemoveTorrent(ctx, ref, data) })
	})
	cmd.Flags().BoolVar(&data, "data", false, "delete its data too")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// checkRemovable returns an error if ref is not an added torrent, or if the user answers that its
// data shall stay.
func (a *app) checkRemovable(ctx context.Context, c *api.Client, ref string, ask bool) error {
	t, err := c.Torrent(ctx, ref)
	if errors.Is(err, &api.Error{Code: api.NotFound}) {
		if _, other := c.Release(ctx, ref); other == nil {
			return fault.UsageHint("spate withdraw "+ref, "%s was published, not added", ref)
		}
	}
	if err != nil || !ask {
		return err
	}
	ok, err := a.Confirm(ctx, fmt.Sprintf("Remove %s and delete %s of data in %s?", termsafe.Line(t.Name), units.Bytes(t.Done), termsafe.Line(t.Dir)))
	if err == nil && !ok {
		err = fault.New(fault.Failed, "", "nothing was removed")
	}
	return err
}

func (a *app) recheckCmd() *cobra.Command {
	return a.daemonCmd(&cobra.Command{
		Use: "recheck TORRENT...", Short: "check all data of an added torrent again",
		Long: `Let the spate serve check all data of torrents that were added, and download again
what is damaged. recheck does not wait for the end: spate status shows the progress.`,
	}, 1, -1, "a TORRENT", func(ctx context.Context, c *api.Client, refs []string) error {
		return a.each(refs, "checking", func(ref string) error { return c.RecheckTorrent(ctx, ref) })
	})
}

func (a *app) reannounceCmd() *cobra.Command {
	return a.daemonCmd(&cobra.Command{
		Use: "reannounce TORRENT...", Short: "ask the trackers of an added torrent for peers again",
		Long: `Let the spate serve announce torrents that were added to their trackers again, as
soon as the trackers allow it.`,
	}, 1, -1, "a TORRENT", func(ctx context.Context, c *api.Client, refs []string) error {
		return a.each(refs, "announcing", func(ref string) error { return c.ReannounceTorrent(ctx, ref) })
	})
}

func (a *app) moveCmd() *cobra.Command {
	var d daemonFlags
	cmd := &cobra.Command{
		Use: "move TORRENT DIR", Short: "move the data of an added torrent",
		Long: `Move the data of a torrent that was added to another directory, which move creates if
only its last part is missing. On another file system it copies the data, reads
the copy again and compares it before it deletes the old files. If the machine fails meanwhile, the data is complete in the
old or the new directory, and the daemon finds it.`,
		Args: need(2, 2, "a TORRENT and a DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := d.client(a)
			if err != nil {
				return err
			}
			dir, err := daemonDir(args[1], &d)
			if err != nil {
				return err
			}
			return apiError(a.each(args[:1], "moved", func(ref string) error { return c.MoveTorrent(cmd.Context(), ref, dir) }))
		},
	}
	d.add(cmd.Flags())
	return cmd
}

func (a *app) setCmd() *cobra.Command {
	var label string
	var sel, files []string
	var inOrder bool
	var up, down rateValue
	var seed seedWhen
	var place int
	var cmd *cobra.Command
	cmd = a.daemonCmd(&cobra.Command{
		Use:   "set TORRENT...",
		Short: "change limits, files and goals of an added torrent",
		Long: `Change torrents that were added to a spate serve. What no flag names stays as it is.
--priority PRIORITY=GLOB gives files that match GLOB the priority skip, low, normal,
high or max.`,
		Example: `  spate set debian.iso --down 2M --seed ratio=2
  spate set films --priority 'high=*.mkv' --priority 'skip=*.txt'`,
	}, 1, -1, "a TORRENT", func(ctx context.Context, c *api.Client, refs []string) error {
		var ch daemon.TorrentChange
		given := cmd.Flags().Changed
		rate := func(name string, v rateValue) *int64 {
			if !given(name) {
				return nil
			}
			n := int64(v)
			return &n
		}
		ch.Up, ch.Down = rate("up", up), rate("down", down)
		if given("label") {
			ch.Label = &label
		}
		if given("select") {
			sel = slices.DeleteFunc(sel, func(s string) bool { return s == "" })
			ch.Select = &sel
		}
		if given("sequential") {
			ch.Sequential = &inOrder
		}
		if given("seed") {
			seconds, none := int64(seed.time.Seconds()), seed.none()
			ch.Ratio, ch.SeedTime, ch.NoSeed = &seed.ratio, &seconds, &none
		}
		if given("place") {
			place--
			ch.Place = &place
		}
		for _, f := range files {
			p, glob, ok := strings.Cut(f, "=")
			if !ok {
				return fault.UsageHint("write for example --priority 'high=*.mkv'", "--priority %s has no equals sign", f)
			}
			ch.Files = append(ch.Files, daemon.FileRule{Pattern: glob, Priority: p})
		}
		return a.each(refs, "changed", func(ref string) error { return c.ChangeTorrent(ctx, ref, ch) })
	})
	f := cmd.Flags()
	f.StringVar(&label, "label", "", "give it this `LABEL`; '': none")
	f.StringArrayVar(&sel, "select", nil, "fetch only files that match this `GLOB`; '': all; repeatable")
	f.StringArrayVar(&files, "priority", nil, "give files a priority: `PRIORITY=GLOB`; repeatable")
	f.BoolVar(&inOrder, "sequential", false, "fetch in order, to use the beginning early")
	f.Var(&seed, "seed", "seed: none, forever, ratio=R or time=D")
	f.Var(&up, "up", "limit its sending to `RATE`: 500k, 2M; 0: none")
	f.Var(&down, "down", "limit its receiving to `RATE`; 0: none")
	f.IntVar(&place, "place", 0, "move it to place `N` in the queue, from 1")
	return cmd
}

package cli

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/termsafe"
	"spate/internal/units"
)

// daemonEvery is the interval in which get --daemon asks the daemon for the state of a torrent.
const daemonEvery = 500 * time.Millisecond

// getByDaemon adds the sources to the daemon, and shows its progress until they are complete. The
// daemon goes on if get is interrupted. seedGiven means that --seed is given; otherwise the daemon
// seeds as it does for add.
func (a *app) getByDaemon(ctx context.Context, args []string, opt *getOptions, seedGiven bool) error {
	if opt.output == "-" || opt.tui || opt.force {
		return fault.Usagef("--daemon does not go with -o -, --tui or --force")
	}
	if a.proxy.typed {
		return fault.UsageHint("start spate serve with --proxy", "--daemon does not go with --proxy: the daemon has its own proxy, or connects directly")
	}
	add := addOptions{
		daemonFlags: daemonFlags{state: opt.state}, sel: opt.sel, inOrder: opt.inOrder, key: opt.key,
		up: opt.up.rateValue, down: opt.down, seed: seedWhen{forever: true},
	}
	if seedGiven {
		add.seed = opt.seed
	}
	var err error
	if add.output, err = filepath.Abs(opt.output); err != nil {
		return err
	}
	c, err := add.client(a)
	if err != nil {
		return err
	}
	for _, arg := range args {
		t, err := a.addRequest(ctx, arg, &add)
		if err != nil {
			return a.getFailed(nil, err)
		}
		i, err := c.AddTorrent(ctx, t)
		if err == nil {
			err = a.followDaemon(ctx, c, i)
		}
		if err != nil {
			return a.getFailed(nil, apiError(err))
		}
	}
	return nil
}

// followDaemon shows the progress of a torrent of the daemon until it is complete or has failed.
func (a *app) followDaemon(ctx context.Context, c *api.Client, i daemon.TorrentInfo) error {
	bar := a.NewProgress(i.Name)
	defer func() { bar.Finish() }()
	tick := time.NewTicker(daemonEvery)
	defer tick.Stop()
	told, known := "", false
	for ref := i.InfoHash; ; {
		d, err := c.Torrent(ctx, ref)
		if errors.Is(err, &api.Error{Code: api.NotFound}) {
			return fault.New(fault.Failed, "", "%s was removed from the daemon", i.Name)
		}
		if err != nil {
			return a.leftToDaemon(ctx, &i, err)
		}
		i = d.TorrentInfo
		if a.JSON && !known && i.Path != "" {
			known = true
			if err := a.PrintJSON(daemonEvent("metadata", &i)); err != nil {
				return err
			}
		}
		switch {
		case i.State == daemon.TorrentFailed:
			return fault.New(fault.Failed, "spate resume starts it again", "%s: %s", i.Name, i.Error)
		case !i.Completed.IsZero() && i.State != daemon.TorrentChecking:
			bar.Finish()
			return a.daemonDone(&i)
		case a.JSON:
			if err := a.PrintJSON(daemonEvent("progress", &i)); err != nil {
				return err
			}
		default:
			bar.UpdateWith(i.Done, i.TotalLength, i.DownRate, i.State+", "+units.Plural(i.Peers, "peer"))
		}
		if i.StallReason != "" && i.StallReason != told {
			told = i.StallReason
			a.Notef("%s: %s; the daemon still tries", i.Name, told)
		}
		select {
		case <-ctx.Done():
			return a.leftToDaemon(ctx, &i, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// leftToDaemon returns err, and tells the user of an interrupted get that the daemon goes on.
func (a *app) leftToDaemon(ctx context.Context, i *daemon.TorrentInfo, err error) error {
	if ctx.Err() == nil {
		return err
	}
	a.Notef("the daemon goes on with %s; spate status %s shows it", termsafe.Line(i.Name), i.InfoHash[:8])
	return &fault.Error{Code: fault.Interrupted, Err: context.Cause(ctx)}
}

// daemonDone prints the result of a torrent that the daemon has completed.
func (a *app) daemonDone(i *daemon.TorrentInfo) error {
	if a.JSON {
		return a.PrintJSON(daemonEvent("done", i))
	}
	a.Notef("%s: complete; the daemon has it in the state %s", i.Name, i.State)
	return a.Printf("%s\n", termsafe.Line(i.Path))
}

// daemonEvent is an event of get --json about a torrent of the daemon.
func daemonEvent(kind string, i *daemon.TorrentInfo) getEvent {
	e := getEvent{
		Event: kind, InfoHash: i.InfoHash, Name: i.Name, State: i.State, BytesDone: i.Done, BytesTotal: i.TotalLength, DownRate: int64(i.DownRate), UpRate: int64(i.UpRate),
		Peers: i.Peers, Downloaded: i.Downloaded, Uploaded: i.Uploaded, Stall: i.Stall, StallReason: i.StallReason,
	}
	if kind == "done" {
		e.Path = i.Path
	}
	return e
}

package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	"spate/internal/units"
	"spate/publish"
)

// errIdle ends a daemon that has nothing to do.
var errIdle = errors.New("there was nothing to do")

// restingStates are the states of added torrents that do not keep a daemon running.
var restingStates = []string{TorrentPaused, TorrentFinished, TorrentFailed}

// exitWhenIdle returns errIdle once the daemon had nothing to do for Config.IdleExit: no torrent
// downloads, seeds or waits, no release is published, no folder is watched, and no client of the API
// has a request. It returns nil when ctx ends.
func (d *Daemon) exitWhenIdle(ctx context.Context) error {
	if d.conf.IdleExit <= 0 {
		return nil
	}
	tick := time.NewTicker(min(max(d.conf.IdleExit/10, 50*time.Millisecond), 10*time.Second))
	defer tick.Stop()
	since := d.env.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := d.env.Now()
		busy, err := d.busy(ctx)
		if err != nil {
			d.env.Log.Warn("whether the daemon has something to do is not known", "err", err)
		}
		if busy || err != nil {
			since = now
			continue
		}
		if min(now.Sub(since), d.requests.idle()) >= d.conf.IdleExit {
			d.env.Notef("nothing to do for %s: stopping", units.Duration(d.conf.IdleExit))
			return errIdle
		}
	}
}

// busy reports whether a torrent, a release or a folder needs the daemon.
func (d *Daemon) busy(ctx context.Context) (bool, error) {
	if len(d.conf.Folders) > 0 || len(d.conf.Torrents.Drops) > 0 {
		return true, nil
	}
	for state, n := range d.torrents.Totals().States {
		if n > 0 && !slices.Contains(restingStates, state) {
			return true, nil
		}
	}
	list, _, err := d.db.List(ctx, publish.Query{All: true})
	return slices.ContainsFunc(list, func(r *publish.Release) bool { return !r.Paused }), err
}

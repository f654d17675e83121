package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/units"
	"spate/maker"
	"spate/publish"
)

// handOver sends the paths to the daemon that uses this state directory, which publishes them.
// It returns false if no daemon runs.
func (a *app) handOver(ctx context.Context, state string, req daemon.PublishRequest, opt *publishOptions) (done bool, err error) {
	if opt.foreground {
		return false, nil
	}
	if err := filetrust.Check(state, filetrust.Power, nil); err != nil { // OpenPublisher warns
		return true, err
	}
	c := api.New(state)
	status, err := c.Status(ctx)
	var none *api.NoDaemonError
	switch {
	case errors.As(err, &none):
		return false, nil
	case err != nil:
		return true, apiError(err)
	case opt.sign.path != "":
		return true, fault.UsageHint("start it with --sign, or publish with --foreground and another --state", "the running spate %s (process %d) signs with its own key", verbOf(status), status.PID)
	}
	a.warnWithoutEffect(opt, status)
	paths := req.Paths
	req.Paths = nil
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return true, err
		}
		req.Paths = append(req.Paths, abs)
	}
	req.Trackers = opt.trackers
	bars := &hashingBars{app: a}
	defer bars.finish()
	skipped, left := a.leftOut()
	first := true
	err = c.Publish(ctx, api.PublishOf(req), func(e api.Event) error {
		if e.Event != "skipped" {
			a.warnLeftOut(left)
		}
		switch e.Event {
		case "progress":
			bars.update(e.Path, e.Done, e.Total, e.Rate)
		case "waiting":
			a.sayWaiting(e.Path)
		case "skipped":
			skipped(maker.Skipped{Path: e.Path, Reason: maker.SkipReason(e.Reason)})
		case "unmatched":
			a.warnUnmatched(maker.Unmatched{Pattern: e.Pattern, Include: e.Include}, paths...)
		case "published":
			bars.finish()
			for _, w := range e.Warnings {
				a.warn(w)
			}
			published := publishedEvent(e.Release, status)
			if first && len(paths) > 1 {
				if err := a.printTogether(published); err != nil {
					return err
				}
			}
			first = false
			return a.printPublished(published)
		}
		return nil
	})
	bars.finish()
	if err != nil {
		return true, publishHint(apiError(err))
	}
	until := ""
	if verbOf(status) != "serve" {
		until = " until it stops"
	}
	a.Notef("spate %s (process %d) publishes %s%s", verbOf(status), status.PID, units.Plural(len(paths), "more release"), until)
	return true, nil
}

// verbOf returns the verb of a daemon. Those of older versions do not tell it.
func verbOf(s api.Status) string { return cmp.Or(s.Verb, "serve") }

// joinTime bounds the time that publish waits for the API of a process that starts with the same
// state directory.
const joinTime = 5 * time.Second

// join hands the paths over to the process that has locked the state directory, once its API
// answers. It returns false if that process has none or ends.
func (a *app) join(ctx context.Context, state string, req daemon.PublishRequest, opt *publishOptions) (done bool, err error) {
	wait, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err = a.handOver(ctx, state, req, opt); done || err != nil {
			return done, err
		}
		select {
		case <-wait.Done():
			return false, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// publishedEvent describes a release that a daemon published.
func publishedEvent(r *publish.ReleaseInfo, s api.Status) releaseEvent {
	return releaseEvent{Event: "published", ReleaseInfo: r.Summary(), HTTPAddr: s.HTTPAddr, UDPAddr: s.UDPAddr, PeerAddr: s.PeerAddr}
}

// apiCodes maps codes of the API to codes of package fault. All other codes become
// [fault.Failed].
var apiCodes = map[string]fault.Code{
	api.NotFound: fault.NotFound, api.Exists: fault.Exists, api.BadRequest: fault.Usage, api.BadData: fault.BadData, api.DiskFull: fault.DiskFull,
	api.TooLarge: fault.Usage, api.BadType: fault.Usage,
}

// apiError adds a code and a hint to an error of the API client.
func apiError(err error) error {
	var none *api.NoDaemonError
	var e *api.Error
	var silence *api.SilenceError
	switch {
	case errors.As(err, &silence):
		return &fault.Error{Code: fault.NoPeers, Err: err, Hint: "its process hangs or waits for a slow disk: look at its log, or start it again"}
	case errors.As(err, &none) && errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Failed, "run this with sudo, or add this user to the group of the daemon (sudo usermod -aG spate USER) and log in again", "%s: permission denied%w", none.Socket, fault.Quiet(err))
	case errors.As(err, &none):
		return fault.New(fault.NotFound, "start spate serve or publish, or name the state directory of a running one with --state DIR", "%s%w", none.Error(), fault.Quiet(err))
	case errors.As(err, &e):
		code, hint := apiCodes[e.Code], e.Hint
		switch {
		case code == fault.Unset:
			code = fault.Failed
		case code == fault.NotFound && hint == "":
			hint = "spate list shows the releases"
		}
		if e.Code == api.Unauthorized && hint == "" {
			hint = "spate serve token makes a token"
		}
		return &fault.Error{Code: code, Err: err, Hint: hint}
	}
	return err
}

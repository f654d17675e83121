package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"spate/internal/api"
	"spate/internal/fault"
	"spate/internal/units"
	"spate/maker"
	"spate/publish"
)

// handOver has a daemon that runs with this state directory publish the paths,
// and reports whether there is one.
func (a *app) handOver(ctx context.Context, state string, paths []string, opt *publishOptions, mk maker.Options) (done bool, err error) {
	if opt.foreground {
		return false, nil
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
		return true, fault.UsageHint("start spate serve with --sign, or publish with --foreground and another --state", "the spate serve that runs (process %d) signs with its own key", status.PID)
	}
	req, err := opt.request(paths, mk)
	if err != nil {
		return true, err
	}
	bar := a.NewProgress("hashing")
	err = c.Publish(ctx, req, func(e api.Event) error {
		switch e.Event {
		case "progress":
			bar.UpdateWith(e.Done, e.Total, e.Rate, filepath.Base(e.Path))
		case "skipped":
			a.Log.Info("left out", "path", e.Path, "why", e.Reason)
		case "published":
			bar.Finish()
			bar = a.NewProgress("hashing")
			return a.printPublished(publishedEvent(e.Release, status))
		}
		return nil
	})
	bar.Finish()
	if err != nil {
		return true, apiError(err)
	}
	a.Notef("spate serve, process %d, has %s", status.PID, units.Plural(len(paths), "more release"))
	return true, nil
}

// request is a publish as the API has it.
func (o *publishOptions) request(paths []string, mk maker.Options) (api.Publish, error) {
	r := api.Publish{
		Slug: o.release.slug, Version: o.release.version, Variants: o.release.variants, Group: o.release.group, Notes: o.release.notes, NoTwin: o.release.noTwin,
		Name: mk.Name, Format: string(mk.Format), PieceLength: mk.PieceLength, Announce: mk.Announce, WebSeeds: mk.WebSeeds, Private: mk.Private,
		Comment: mk.Comment, Source: mk.Source, CreatedBy: mk.CreatedBy, NoDate: mk.NoDate, Include: mk.Include, Exclude: mk.Exclude, Hidden: mk.Hidden,
	}
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return r, err
		}
		r.Paths = append(r.Paths, abs)
	}
	return r, nil
}

// publishedEvent describes a release of a daemon.
func publishedEvent(r *publish.ReleaseInfo, s api.Status) releaseEvent {
	return releaseEvent{Event: "published", ReleaseInfo: r.Summary(), HTTPAddr: s.HTTPAddr, UDPAddr: s.UDPAddr, PeerAddr: s.PeerAddr}
}

// apiError is an answer of the daemon with the exit code that goes with it.
func apiError(err error) error {
	var none *api.NoDaemonError
	var e *api.Error
	switch {
	case errors.As(err, &none):
		return fault.New(fault.NotFound, "start spate serve; --state DIR names the directory of one that has another", "%s%w", none.Error(), fault.Quiet(err))
	case errors.As(err, &e):
		code, ok := map[string]fault.Code{
			api.NotFound: fault.NotFound, api.Exists: fault.Exists, api.BadRequest: fault.Usage, api.BadData: fault.BadData, api.DiskFull: fault.DiskFull,
		}[e.Code]
		if !ok {
			code = fault.Failed
		}
		return &fault.Error{Code: code, Err: err, Hint: e.Hint}
	}
	return err
}

// toAPI is an error of the packages in the API's words.
func toAPI(err error) error {
	if err == nil {
		return nil
	}
	var e *api.Error
	if errors.As(err, &e) {
		return err
	}
	code := map[fault.Code]string{
		fault.NotFound: api.NotFound, fault.Exists: api.Exists, fault.Usage: api.BadRequest, fault.BadData: api.BadData, fault.DiskFull: api.DiskFull,
	}[fault.CodeOf(err)]
	if code == "" {
		code = api.Failed
	}
	return &api.Error{Code: code, Message: strings.TrimSpace(fault.Message(err)), Hint: hintFor(err)}
}

// absolute refuses paths that depend on where a process stands.
func absolute(paths ...string) error {
	for _, p := range paths {
		if !filepath.IsAbs(p) {
			return &api.Error{Code: api.BadRequest, Message: fmt.Sprintf("the path %q is not absolute", p)}
		}
		if strings.ContainsRune(p, 0) {
			return &api.Error{Code: api.BadRequest, Message: fmt.Sprintf("the path %q has a zero byte in it", p)}
		}
	}
	return nil
}

// socketOf returns the path of a daemon's socket, if it is not too long for one.
func socketOf(state string) (string, error) {
	path := filepath.Join(state, api.SocketName)
	const most = 100 // of sockaddr_un's 104 or 108 bytes
	if len(path) > most {
		return "", fault.UsageHint("choose a shorter --state DIR", "%s is too long for a socket: %d bytes, and %d can be", path, len(path), most)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // of a process that was killed: the state is ours
		return "", err
	}
	return path, nil
}

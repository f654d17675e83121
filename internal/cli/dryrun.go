package cli

import (
	"context"
	"errors"
	"path/filepath"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/termsafe"
	"spate/internal/torrentfile"
	"spate/internal/units"
	"spate/maker"
	"spate/publish"
)

// dryRunEvent is the event that publish --dry-run prints with --json for each path.
type dryRunEvent struct {
	Event       string `json:"event"` // "would_publish"
	Path        string `json:"path"`
	Release     string `json:"release"`
	Version     string `json:"version,omitempty"` // absent if it is chosen when the release is published
	Variant     string `json:"variant,omitempty"`
	NumFiles    int    `json:"num_files"`
	TotalLength int64  `json:"total_length"` // of the data in bytes
}

// publishDryRun prints what publish would publish. It reads no data. The error is that of publish if
// the release exists already in the process that uses the state directory.
func (a *app) publishDryRun(ctx context.Context, state string, req daemon.PublishRequest) error {
	var patterns torrentfile.Patterns
	for i, path := range req.Paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		o := req.Make
		o.Unmatched = patterns.Torrent()
		size, files, err := maker.Measure(ctx, path, o)
		if err != nil {
			return torrentfile.MakeError(err)
		}
		e := dryRunEvent{Event: "would_publish", Path: abs, Release: publish.SlugOf(req.Slug), Version: req.Version, NumFiles: files, TotalLength: size}
		if req.Slug == "" {
			e.Release = publish.SlugOf(filepath.Base(abs))
			if req.Make.Name != "" {
				e.Release = publish.SlugOf(req.Make.Name)
			}
		}
		if i < len(req.Variants) {
			e.Variant = req.Variants[i]
		}
		if err := a.checkTaken(ctx, state, &e, req.Newer); err != nil {
			return err
		}
		if a.JSON {
			err = a.PrintJSON(e)
		} else {
			err = a.Printf("%s", dryRunText(&e))
		}
		if err != nil {
			return err
		}
	}
	for _, u := range patterns.Unmatched() {
		a.warnUnmatched(u, req.Paths...)
	}
	a.Notef("nothing was published, because of --dry-run")
	return nil
}

func dryRunText(e *dryRunEvent) string {
	as := "release " + e.Release
	if e.Version != "" {
		as += ", version " + e.Version
	}
	if e.Variant != "" {
		as += ", variant " + e.Variant
	}
	return termsafe.Line(e.Path) + "\n  " + units.Plural(e.NumFiles, "file") + ", " + units.Bytes(e.TotalLength) + ", as " + termsafe.Line(as) + "\n"
}

// checkTaken returns an error if the release is published already by the process that uses the state
// directory, if there is one. newer allows another version of it.
func (a *app) checkTaken(ctx context.Context, state string, e *dryRunEvent, newer bool) error {
	ref := publish.Ref{Slug: e.Release, Version: e.Version, Variant: e.Variant}
	if e.Version == "" && newer {
		return nil
	}
	if e.Version == "" {
		ref = publish.Ref{Slug: e.Release}
	}
	_, err := api.New(state).Release(ctx, ref.String())
	var none *api.NoDaemonError
	switch {
	case errors.As(err, &none), errors.Is(err, &api.Error{Code: api.NotFound}):
		return nil
	case err != nil:
		return apiError(err)
	}
	return publishHint(fault.New(fault.Exists, "choose another version", "%s would not be published: a release with this name exists already", e.Path))
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/torrentfile"
	"spate/internal/units"
	"spate/internal/watch"
	"spate/maker"
	"spate/metainfo"
	"spate/publish"
)

// PublishRequest is a request to publish a release of each path.
type PublishRequest struct {
	Paths []string
	// Upload is the id of a complete upload, in place of Paths. Its data is moved to the directory of
	// published uploads.
	Upload string
	Make   maker.Options // Name is for one path only; Announce, Progress and Skipped are ignored

	Slug     string     // name of the page; empty: one page for each path, named after it
	Version  string     // empty: package publish chooses
	Variants []string   // one for each path; empty: [PublishRequest.Check] takes them from the paths
	Group    string     // heading of the release in lists; may be empty
	Notes    string     // Markdown for the page; may be empty
	NoTwin   bool       // do not make a separate v1 torrent for older clients
	Newer    bool       // publish another version if the slug is taken
	Trackers [][]string // trackers after those of the publisher
	Force    bool       // publish data that a program is still writing

	Progress func(path string, p maker.Progress) // may be nil
	Skipped  func(path string, s maker.Skipped)  // called for each file that is not part of a torrent; may be nil
	Waiting  func(path string)                   // called if the data at path is still being written; may be nil
	// Unmatched is called for each pattern that matches nothing at any of the paths; may be nil.
	Unmatched func(maker.Unmatched)

	first *firstSelection // what Measure has found at the first path
	files int             // the number of files of all paths, which Measure has counted
}

// firstSelection holds a selection until it is used, so that copies of a request do not keep it.
type firstSelection struct{ s *maker.Selection }

// take returns the selection if it is still up to date, and otherwise nil.
func (f *firstSelection) take() *maker.Selection {
	if f == nil || f.s == nil {
		return nil
	}
	s := f.s
	f.s = nil
	if s.Outdated() {
		return nil
	}
	return s
}

// Check checks the URLs, that all paths exist, and that no two of them get the same page by
// accident. It sets Variants if several paths have one slug, and writes the hosts of URLs in
// ASCII.
func (r *PublishRequest) Check() error {
	var err error
	if r.Trackers, err = torrentfile.Tiers("the tracker", r.Trackers); err != nil {
		return err
	}
	if r.Make.WebSeeds, err = torrentfile.WebSeedsOrSelf("the web seed", r.Make.WebSeeds); err != nil {
		return err
	}
	if r.Make.Name != "" && len(r.Paths) > 1 {
		return fault.UsageHint("publish them one by one", "one name cannot be used for %s", units.Plural(len(r.Paths), "path"))
	}
	seen := map[string]string{}
	var names []string
	for _, path := range r.Paths {
		if _, err := os.Stat(path); err != nil {
			return err
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		name := filepath.Base(abs)
		names = append(names, name)
		slug := publish.SlugOf(name)
		if other, ok := seen[slug]; ok && r.Slug == "" {
			return fault.UsageHint("publish one of them by itself, under another name", "%s and %s are both called %q", other, path, slug)
		}
		seen[slug] = path
	}
	n := len(r.Paths)
	switch {
	case r.Slug == "" && n > 1 && (len(r.Variants) > 0 || r.Version != ""):
		return fault.WithSetting(fault.Usagef("%s with a version or variants need one release name", units.Plural(n, "path")), "release")
	case r.Slug != "" && n > 1 && len(r.Variants) == 0:
		r.Variants = variantsOf(names)
		if r.Variants == nil {
			return fault.WithSetting(fault.Usagef("the variants cannot be derived from the names of the %s", units.Plural(n, "path")), "variant")
		}
	case len(r.Variants) > 0 && len(r.Variants) != n:
		return fault.WithSetting(fault.Usagef("%s need %s, but %d are given", units.Plural(n, "path"), units.Plural(n, "variant"), len(r.Variants)), "variant")
	}
	for i, v := range r.Variants {
		if slices.Contains(r.Variants[:i], v) {
			return fault.WithSetting(fault.Usagef("the variant %q is given twice", v), "variant")
		}
	}
	return nil
}

// Measure lists the files of all paths, and returns the first error that would prevent one of
// their torrents: a path without data, a file that cannot be read, or too many files. It calls
// Skipped and Unmatched, and runs before the first path is hashed, because hashing can take hours.
func (r *PublishRequest) Measure(ctx context.Context) error {
	var patterns torrentfile.Patterns
	for i, path := range r.Paths {
		o := r.Make
		o.Skipped, o.Unmatched = r.skippedAt(path), patterns.Torrent()
		var err error
		if o.Selected, err = maker.Select(ctx, path, o); err == nil {
			var files int
			_, files, err = maker.Measure(ctx, path, o)
			r.files += files
		}
		if err != nil {
			return publishError(path, &publish.StepError{Step: "make", Name: path, Err: err})
		}
		if i == 0 {
			r.first = &firstSelection{o.Selected}
		}
	}
	if r.Unmatched != nil {
		for _, u := range patterns.Unmatched() {
			r.Unmatched(u)
		}
	}
	return nil
}

// NumFiles returns how many files Measure has found at all paths together.
func (r *PublishRequest) NumFiles() int { return r.files }

// skippedAt returns the function for [maker.Options.Skipped] of a path, or nil.
func (r *PublishRequest) skippedAt(path string) func(maker.Skipped) {
	if r.Skipped == nil {
		return nil
	}
	return func(s maker.Skipped) { r.Skipped(path, s) }
}

// spec returns the description of the release of path i.
func (p *Publisher) spec(r *PublishRequest, i int) publish.Spec {
	spec := publish.Spec{
		Options: r.Make, Slug: publish.SlugOf(r.Slug), Version: r.Version, Group: r.Group, Notes: r.Notes, NoTwin: r.NoTwin, Newer: r.Newer,
	}
	if i < len(r.Variants) {
		spec.Variant = r.Variants[i]
	}
	spec.Announce = nil // use the trackers of the publisher
	if len(r.Trackers) > 0 {
		spec.Announce = append(append([][]string{}, p.Announce()...), r.Trackers...)
	}
	return spec
}

// writes returns the files and directories that the publisher writes to now. Its logs may be
// other files after they were rotated.
func (p *Publisher) writes() (list []os.FileInfo) {
	list = slices.Clone(p.conf.Outputs)
	for _, path := range []string{p.conf.State, p.conf.TrackerNode.ActivityLog, p.conf.TrackerNode.AccessLog} {
		if fi, err := os.Stat(path); err == nil {
			list = append(list, fi)
		}
	}
	return list
}

// Publish publishes the paths of a request that [PublishRequest.Check] and
// [PublishRequest.Measure] accepted. It calls done with each release, without its files and
// notes, and stops at the first error. An error that is known without hashing is returned before
// the first release is made.
func (p *Publisher) Publish(ctx context.Context, r PublishRequest, done func(path string, r *publish.Release) error) error {
	r.Make.Written = append(slices.Clip(r.Make.Written), p.writes()...)
	for i, path := range r.Paths {
		if err := p.publisher.Check(ctx, path, p.spec(&r, i)); err != nil {
			return publishError(path, err)
		}
	}
	for i, path := range r.Paths {
		spec := p.spec(&r, i)
		spec.Progress = func(g maker.Progress) {
			if r.Progress != nil {
				r.Progress(path, g)
			}
		}
		if i == 0 {
			spec.Selected = r.first.take() // the others may change while the first is hashed
		}
		release, err := p.publishComplete(ctx, path, spec, &r)
		if err != nil {
			return publishError(path, err)
		}
		if p.conf.Catalog == nil {
			p.counter.All(ctx) // before a client can complete the download
		}
		if r.Slug != "" {
			r.Version = release.Version // for the next variants
		}
		if err := done(path, release.Listed()); err != nil {
			return err
		}
	}
	return nil
}

// publishComplete publishes the data at path once it is complete. If the data changes during
// the hashing, it waits and publishes again, unless the request forces it. spec may have the
// files that were selected already.
func (p *Publisher) publishComplete(ctx context.Context, path string, spec publish.Spec, r *PublishRequest) (*publish.Release, error) {
	known := spec.Selected
	list := func() (watch.Data, error) {
		s, err := known, error(nil)
		known = nil
		if s == nil {
			s, err = maker.Select(ctx, path, spec.Options)
		}
		if err == nil {
			err = s.CheckWritten(spec.Written) // data that this program itself writes to is never complete
		}
		if err != nil {
			return nil, &publish.StepError{Step: "make", Name: path, Err: err}
		}
		spec.Selected = s
		return s, nil
	}
	var told bool
	wait := watch.WaitOptions{Settle: p.conf.Settle, Waiting: func() {
		if !told && r.Waiting != nil {
			r.Waiting(path)
		}
		told = true
	}}
	for {
		var err error
		if r.Force {
			_, err = list()
		} else {
			err = watch.Wait(ctx, path, wait, list)
		}
		if err != nil {
			return nil, err
		}
		now := spec
		spec.Selected = nil // so that the list can be freed once the torrent is made
		release, err := p.publisher.Publish(ctx, path, now)
		var changed *maker.ChangedError
		if r.Force || !errors.As(err, &changed) && !errors.Is(err, publish.ErrChanged) {
			return release, err
		}
		wait.Quiet = true
	}
}

// Exceeded returns the limits of other programs that the torrent of a release exceeds.
func (p *Publisher) Exceeded(ctx context.Context, r *publish.Release) ([]string, error) {
	torrents, err := p.Catalog().Torrents(ctx, r.Ref())
	if err != nil {
		return nil, err
	}
	var m *metainfo.MetaInfo
	if t := p.session.Torrent(r.Hash()); t != nil {
		m = t.MetaInfo()
	} else if m, err = metainfo.Parse(torrents.Main); err != nil {
		return nil, err
	}
	var list []string
	for _, e := range m.Exceeds(torrents.Main) {
		list = append(list, e.String())
	}
	return list, nil
}

// Unmatched returns the patterns for the entries of watched folders that match nothing in any
// present entry. It reads the names of all files below the entries, but no data.
func (d *Daemon) Unmatched(ctx context.Context) (list []maker.Unmatched, names []string) {
	o := d.conf.Spec.Options
	if len(o.Include)+len(o.Exclude) == 0 {
		return nil, nil
	}
	var patterns torrentfile.Patterns
	for _, w := range d.conf.Folders {
		in, err := folder.Open(w.Dir, folder.Options{FollowLinks: d.conf.FollowLinks})
		if err != nil {
			continue // the folder reports the error
		}
		entries, _ := in.ReadDir()
		for _, e := range entries {
			if !e.IsDir() || watch.Temporary(e.Name()) || ctx.Err() != nil {
				continue
			}
			names = append(names, e.Name())
			o.Root, o.Skipped, o.Unmatched = in.Root(), nil, patterns.Torrent()
			path := e.Name()
			if in.Root() == nil {
				path = in.Path(path)
			}
			// An entry without a selected file has the error ErrEmpty; its patterns are reported.
			_, _ = maker.Select(ctx, path, o)
		}
		in.Close()
	}
	return patterns.Unmatched(), names
}

// publishError adds the path and a code to an error of package publish.
func publishError(path string, err error) error {
	var step *publish.StepError
	var same *publish.SameError
	switch {
	case errors.As(err, &same):
		return fault.New(fault.Exists, "to publish it under another name, withdraw that release first: spate withdraw "+same.Release.Ref(), "%s was not published: %w", path, err)
	case errors.As(err, &step) && step.Step == "make":
		return fmt.Errorf("%s was not published: %w", path, torrentfile.MakeError(step.Err))
	case errors.Is(err, publish.ErrLabel):
		return fault.UsageHint("the names of releases, versions and variants have no ~ and no slashes, and versions and variants have at most 64 bytes", "%s: %w", path, err)
	case errors.Is(err, publish.ErrExists):
		return fault.New(fault.Exists, "choose another version, or another name for the release",
			"%s was not published: a release with this name exists already%w", path, fault.Quiet(err))
	}
	return err
}

package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"spate/internal/units"
	"spate/maker"
	"spate/metainfo"
)

// Restore tracks and seeds the releases in the catalog again after a restart. It hashes no
// data: it trusts files with the recorded size, modification time, inode and change time. If the
// files of a release differ, the seeder checks their data. Restore changes the URLs in torrents
// that were made for another base URL of the site or another address of its tracker. Their
// info-hashes stay the same. The error is that of reading the catalog.
func (p *Publisher) Restore(ctx context.Context) (Restored, error) {
	var out Restored
	err := p.opts.Catalog.Each(ctx, func(r *Release, t Torrents) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := p.restoreWith(ctx, r, t, &out); err != nil {
			out.Problems = append(out.Problems, fmt.Errorf("%s: %w", r.Ref(), err))
		}
		return nil
	})
	return out, err
}

// Restored is the result of Restore.
type Restored struct {
	Problems  []error  // releases whose files differ or that could not be restored
	Repointed []string // releases whose torrents have new URLs, newest first
	// Unsigned are the releases in Repointed whose torrents have lost their signatures,
	// because the publisher has no key.
	Unsigned []string
}

// restore tracks and seeds one release of the catalog again.
func (p *Publisher) restore(ctx context.Context, ref string, out *Restored) error {
	r, err := p.opts.Catalog.Get(ctx, ref)
	if err != nil {
		return err
	}
	t, err := p.opts.Catalog.Torrents(ctx, ref)
	if err != nil {
		return err
	}
	return p.restoreWith(ctx, r, t, out)
}

// restoreWith tracks and seeds r, whose torrents are t. If r cannot be seeded, the tracker still
// tracks it, because other peers may have the data, but does not list this machine as a seed.
func (p *Publisher) restoreWith(ctx context.Context, r *Release, t Torrents, out *Restored) error {
	problem := p.intact(ctx, r)
	verified := problem == nil
	if errors.Is(problem, ErrTouched) {
		problem = nil // the seeder checks the data
	}
	l, err := parsed(r, t)
	if err != nil {
		p.setUnseeded(r.Hash(), err)
		return errors.Join(problem, err, p.SetServed(r, false))
	}
	changed, unsigned, err := p.repoint(ctx, l)
	if err != nil { // the release is still available at its old URLs
		problem = errors.Join(problem, fmt.Errorf("its torrent still has the address %s: %w", r.Base, err))
	}
	if changed {
		out.Repointed = append(out.Repointed, r.Ref())
	}
	if unsigned {
		out.Unsigned = append(out.Unsigned, r.Ref())
	}
	var undo undoStack
	step, err := p.allow(r, new(undoStack))
	if err == nil {
		step, err = p.start(ctx, l, verified, &undo)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", step, err)
		p.setUnseeded(r.Hash(), err)
		return errors.Join(problem, err, undo.run(ctx), p.SetServed(r, false))
	}
	return problem
}

// Intact returns nil if no file of r has changed since it was hashed, and otherwise
// [ErrChanged] or [ErrGone]. The error is [ErrTouched] only if all files that differ were
// touched.
func (r *Release) Intact() error {
	_, err := r.changed(true)
	return err
}

// changed returns the length of the files of r that have changed since they were hashed, and
// the [ErrChanged] or [ErrGone] of the first one. If first is set, it looks no further. If no
// file has changed but one was touched, the error is [ErrTouched].
func (r *Release) changed(first bool) (bytes int64, err error) {
	in, err := r.folder()
	if err != nil {
		return r.Size, fmt.Errorf("%w: %w", ErrGone, bare(err))
	}
	defer in.Close()
	var touched error
	at := dirStat{in: in}
	defer at.close()
	for i := range r.Files {
		name := r.nameIn(r.Files[i].Path)
		info, problem := at.stat(name)
		if problem != nil {
			problem = fmt.Errorf("%s %w: %w", name, ErrGone, bare(problem))
		} else if problem = r.Files[i].Same(info); problem != nil {
			problem = fmt.Errorf("%s is %w", name, problem)
		}
		if problem == nil {
			continue
		}
		if errors.Is(problem, ErrTouched) {
			touched = cmp.Or(touched, problem)
			continue
		}
		bytes += r.Files[i].Length
		err = cmp.Or(err, problem)
		if first {
			break
		}
	}
	return bytes, cmp.Or(err, touched)
}

// Pause stops seeding a release, or all versions and variants if ref is a slug alone. The
// catalog still lists the releases, and the tracker still tracks them. [Publisher.Resume]
// seeds them again.
func (p *Publisher) Pause(ctx context.Context, ref string) error { return p.setPaused(ctx, ref, true) }

// Resume seeds a release again that was paused.
func (p *Publisher) Resume(ctx context.Context, ref string) error {
	return p.setPaused(ctx, ref, false)
}

func (p *Publisher) setPaused(ctx context.Context, ref string, paused bool) error {
	list, release, err := p.reserveNamed(ctx, ref)
	if err != nil {
		return err
	}
	defer release()
	var errs []error
	for _, short := range list {
		if short.Paused == paused {
			continue
		}
		if err := p.pauseOne(ctx, short.Ref(), paused); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", short.Ref(), err))
		}
	}
	return errors.Join(errs...)
}

func (p *Publisher) pauseOne(ctx context.Context, ref string, paused bool) error {
	if err := p.opts.Catalog.Update(ctx, ref, Change{Paused: &paused}); err != nil {
		return err
	}
	r, err := p.opts.Catalog.Get(ctx, ref)
	if err != nil {
		return err
	}
	if !paused {
		return p.restore(ctx, ref, new(Restored))
	}
	var undo undoStack
	_, err = p.allow(r, &undo)
	return errors.Join(err, p.unseed(ctx, r))
}

// Describe changes the group and the notes of the releases that ref names. A nil group or nil
// notes stay as they are.
func (p *Publisher) Describe(ctx context.Context, ref string, group, notes *string) error {
	list, err := p.Named(ctx, ref)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range list {
		errs = append(errs, p.opts.Catalog.Update(ctx, r.Ref(), Change{Group: group, Notes: notes}))
	}
	return errors.Join(errs...)
}

// Named returns the releases that ref names: all versions and variants if ref is a slug or its
// nice address alone, or else one release. SLUG~VERSION names all variants of a version that
// consists of variants.
func (p *Publisher) Named(ctx context.Context, ref string) ([]*Release, error) {
	want := ParseRef(ref)
	r, err := p.opts.Catalog.Get(ctx, ref)
	switch {
	case want.Variant != "" || want.Version != "" && err == nil:
		if err != nil {
			return nil, err
		}
		return []*Release{r}, nil
	case want.Version != "":
		if r, _ = p.opts.Catalog.Get(ctx, want.Slug); r == nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	list, familyErr := p.opts.Catalog.Family(ctx, r.Slug)
	if familyErr != nil || want.Version == "" {
		return list, familyErr
	}
	list = slices.DeleteFunc(list, func(r *Release) bool { return r.Version != want.Version })
	if len(list) == 0 {
		return nil, err
	}
	return list, nil
}

// reserveNamed returns the releases that ref names, and reserves their slug until release is called.
func (p *Publisher) reserveNamed(ctx context.Context, ref string) (list []*Release, release func(), err error) {
	if list, err = p.Named(ctx, ref); err != nil {
		free, busy := p.reserve(ParseRef(ref).Slug)
		if busy != nil {
			return nil, nil, busy // it is being published
		}
		free()
		return nil, nil, err
	}
	slug := list[0].Slug
	if release, err = p.reserve(slug); err != nil {
		return nil, nil, err
	}
	want := ParseRef(ref)
	want.Slug = slug // because an address can lead elsewhere by now
	if list, err = p.Named(ctx, want.String()); err != nil {
		release()
		return nil, nil, err
	}
	return list, release, nil
}

// DataError is returned if the data does not match the torrent.
type DataError struct {
	Path              string
	Good, Bad, Absent int // numbers of pieces
	// Incomplete says that no piece is bad, and that absent pieces consist of zeros, because
	// they were not downloaded yet.
	Incomplete bool
}

// Error implements error.
func (e *DataError) Error() string {
	if e.Incomplete {
		return fmt.Sprintf("%s is not complete: %s missing", e.Path, units.PartIs(e.Absent, e.Good+e.Absent, "piece", "is", "are"))
	}
	return fmt.Sprintf("%s is not the data of the torrent: %s, of which %d are bad and %d are missing", e.Path, units.Plural(e.Good+e.Bad+e.Absent, "piece"), e.Bad, e.Absent)
}

// Adopt publishes an existing torrent and its data at path. It checks the data first, and
// returns a [DataError] if a piece is missing or wrong. It is otherwise like Publish, but
// ignores the options in spec for making a torrent.
func (p *Publisher) Adopt(ctx context.Context, m *metainfo.MetaInfo, path string, spec Spec) (*Release, error) {
	at, info, err := locate(path, spec.Root)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	spec.Name = m.Info.Name
	if spec.Slug == "" {
		spec.Slug = SlugOf(spec.Name)
	}
	release, err := p.reserve(spec.Slug)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := p.version(ctx, &spec); err != nil {
		return nil, err
	}
	r := newRelease(m, at)
	if info.IsDir() == r.Single {
		return nil, &StepError{"make", spec.Name, &DataError{Path: at, Absent: m.Info.NumPieces()}}
	}
	before, err := takeSnapshot(at)
	if err != nil {
		return nil, &StepError{"make", spec.Name, err}
	}
	report, err := maker.Verify(ctx, m, path, maker.VerifyOptions{Root: spec.Root})
	if err == nil && !report.Whole() {
		err = &DataError{Path: at, Good: report.Good, Bad: report.Bad, Absent: report.Missing, Incomplete: report.Incomplete()}
	}
	if err != nil {
		return nil, &StepError{"make", spec.Name, err}
	}
	if err := r.useOtherPaths(m); err != nil {
		return nil, &StepError{"make", spec.Name, err}
	}
	if err := r.record(maps.All(before)); err != nil {
		return nil, &StepError{"make", spec.Name, err}
	}
	return p.finish(ctx, m, r, &spec)
}

// SameError is returned if another release has the same data.
type SameError struct{ Release *Release }

// Error implements error.
func (e *SameError) Error() string {
	return fmt.Sprintf("the same data is already published as %q", e.Release.Ref())
}

// Unwrap returns [ErrExists].
func (e *SameError) Unwrap() error { return ErrExists }

// finish signs, keeps and lists a release whose data was hashed.
func (p *Publisher) finish(ctx context.Context, m *metainfo.MetaInfo, r *Release, spec *Spec) (*Release, error) {
	for _, ih := range r.Hashes() {
		if other, err := p.opts.Catalog.Find(ctx, ih); err == nil {
			return nil, &SameError{other}
		}
	}
	other, err := p.sameData(ctx, r, &spec.Options)
	if err != nil {
		return nil, &StepError{"list", spec.Name, err}
	}
	if other != nil {
		return nil, &SameError{other}
	}
	r.Slug, r.Version, r.Variant, r.Group, r.Notes = spec.Slug, spec.Version, spec.Variant, spec.Group, spec.Notes
	r.Watched, r.Stamp = spec.Watched, spec.Stamp
	l, err := load(m, r, !spec.NoTwin)
	if err != nil {
		return nil, &StepError{"make", spec.Name, err}
	}
	if n := int64(len(l.torrents.Main)); n > metainfo.MaxSize {
		return nil, &StepError{"make", spec.Name, &maker.SizeError{Size: n}}
	}
	for _, e := range m.Exceeds(l.torrents.Main) {
		p.opts.Log.Warn("publish: other programs refuse the torrent of this release", "release", r.Ref(), "why", e)
	}
	r.Published = p.opts.Now().UTC().Truncate(time.Second)
	r.Signatures = p.signed(r, l.torrents)
	var undo undoStack
	if k := p.opts.Keeper; spec.Keep && k != nil {
		switch kept, err := k.Keep(r); {
		case errors.Is(err, ErrNotKept):
			p.opts.Log.Info("publish: the data of this version will not be kept once its file is replaced", "release", r.Ref(), "err", err)
		case err != nil:
			return nil, &StepError{"keep", spec.Name, err}
		default:
			undo = append(undo, func(context.Context) error { return k.Drop(r.Hash()) })
			if err := r.moveTo(kept); err != nil {
				return nil, &StepError{"keep", spec.Name, errors.Join(err, undo.run(ctx))}
			}
		}
	}
	return p.list(ctx, l, undo)
}

// Moved changes the path, the entry of the watched folder and the stamp of a release whose
// data is unchanged, for example after the file was touched or renamed.
func (p *Publisher) Moved(ctx context.Context, r *Release, path, watched, stamp string) error {
	c := Change{Watched: &watched, Stamp: &stamp}
	if p.opts.Keeper == nil || !p.opts.Keeper.Holds(r) {
		full, err := p.opts.Catalog.Get(ctx, r.Ref())
		if err != nil {
			return err
		}
		location := &Location{Path: path, Files: append([]File{}, full.Files...)}
		at := *full
		at.Path, at.Files = path, location.Files
		if err := at.record(noStates); err != nil {
			return err
		}
		c.Location = location
		if err := p.opts.Catalog.Update(ctx, r.Ref(), c); err != nil || r.Paused {
			return err
		}
		return errors.Join(p.unseed(ctx, r), p.restore(ctx, r.Ref(), new(Restored)))
	}
	return p.opts.Catalog.Update(ctx, r.Ref(), c)
}

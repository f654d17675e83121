package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"spate"
	"spate/metainfo"
)

// loaded is a release with its torrents.
type loaded struct {
	r        *Release
	main     *metainfo.MetaInfo
	twin     *metainfo.MetaInfo // or nil
	torrents Torrents
}

// load returns r with its torrent m. If twin is set and m is a hybrid torrent, it also makes
// the twin.
func load(m *metainfo.MetaInfo, r *Release, twin bool) (*loaded, error) {
	l := &loaded{r: r, main: m}
	var err error
	if err = l.torrents.setMain(m); err != nil {
		return nil, err
	}
	if !twin || m.Info.Format() != metainfo.Hybrid {
		return l, nil
	}
	if l.twin, err = MakeTwin(m); err != nil {
		return nil, err
	}
	if l.torrents.Twin, err = l.twin.Bytes(); err != nil {
		return nil, err
	}
	r.Twin = twinOf(l.twin, len(l.torrents.Twin))
	return l, nil
}

// setMain sets Main to the file of m, and V2Hashes to the v2 hashes that the file leaves out.
func (t *Torrents) setMain(m *metainfo.MetaInfo) (err error) {
	if t.Main, err = m.Bytes(); err != nil {
		return err
	}
	t.V2Hashes = nil
	if m.V2Hashes != nil && metainfo.RawV2Hashes(t.Main) == nil {
		t.V2Hashes = m.V2Hashes.Append(nil)
	}
	return nil
}

// ParseMain returns the torrent in Main, with the v2 hashes in V2Hashes. It ignores v2 hashes that
// are damaged, because the data can be checked without them.
func (t *Torrents) ParseMain() (*metainfo.MetaInfo, error) {
	m, err := metainfo.Parse(t.Main)
	if err == nil && t.V2Hashes != nil {
		m.V2Hashes, _ = metainfo.ParseV2Hashes(&m.Info, t.V2Hashes)
	}
	return m, err
}

// parsed returns r with its torrents t.
func parsed(r *Release, t Torrents) (l *loaded, err error) {
	l = &loaded{r: r, torrents: t}
	if l.main, err = t.ParseMain(); err != nil {
		return nil, err
	}
	if t.Twin != nil {
		l.twin, err = metainfo.Parse(t.Twin)
	}
	return l, err
}

// Describe returns a release of the torrent m with data at path, and its torrents. If twin
// is set and m is a hybrid torrent, the torrents include the twin. Describe fills in
// neither the state of the files nor the fields that a torrent does not contain.
func Describe(m *metainfo.MetaInfo, path string, twin bool) (*Release, Torrents, error) {
	r := newRelease(m, path)
	l, err := load(m, r, twin)
	if err != nil {
		return nil, Torrents{}, err
	}
	return r, l.torrents, nil
}

// list tracks, seeds and lists a release. If a step fails, it undoes the previous steps and
// then those in undo.
func (p *Publisher) list(ctx context.Context, l *loaded, undo undoStack) (*Release, error) {
	r := l.r
	fail := func(step string, err error) (*Release, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		return nil, &StepError{step, r.Name, errors.Join(err, undo.run(ctx))}
	}
	if step, err := p.serve(ctx, l, true, &undo); err != nil {
		return fail(step, err)
	}
	if err := ctx.Err(); err != nil {
		return fail("list", context.Cause(ctx))
	}
	// The engine has accepted the files as they are now, which may not be what was hashed.
	if err := p.intact(ctx, r); err != nil {
		return fail("make", err)
	}
	if err := p.opts.Catalog.Put(ctx, r, l.torrents); err != nil {
		return fail("list", err)
	}
	select {
	case p.listed <- struct{}{}:
	default: // Run has not handled the previous release yet, and will then handle both
	}
	return r.Filled(l.torrents), nil
}

// serve allows a release on the tracker and, unless it is paused, seeds it. It adds to undo a
// function for each step that succeeded, and returns the name of a step that failed.
func (p *Publisher) serve(ctx context.Context, l *loaded, verified bool, undo *undoStack) (step string, err error) {
	if step, err := p.allow(l.r, undo); err != nil {
		return step, err
	}
	return p.start(ctx, l, verified, undo)
}

// start seeds a release unless it is paused. It is the second part of serve.
func (p *Publisher) start(ctx context.Context, l *loaded, verified bool, undo *undoStack) (step string, err error) {
	p.setUnseeded(l.r.Hash(), nil)
	if l.r.Paused {
		return "", nil
	}
	p.mu.Lock()
	p.unverified[l.r.Hash()] = !verified || slices.ContainsFunc(l.r.Files, func(f File) bool { return f.Change == 0 })
	p.mu.Unlock()
	for _, m := range []*metainfo.MetaInfo{l.main, l.twin} {
		if m == nil {
			continue
		}
		if err := p.seed(ctx, l.r, m, verified); err != nil {
			return "seed", err
		}
		*undo = append(*undo, func(ctx context.Context) error {
			return errors.Join(p.seeder.Unseed(ctx, m.Hash()), p.forget(ctx, m.Hash()))
		})
	}
	return "", nil
}

// forget deletes what the seeder remembers about a torrent.
func (p *Publisher) forget(ctx context.Context, ih spate.InfoHash) error {
	if f, ok := p.seeder.(Forgetter); ok {
		return f.Forget(ctx, ih)
	}
	return nil
}

// allow allows a release on the tracker, or updates the note of one that is allowed.
func (p *Publisher) allow(r *Release, undo *undoStack) (step string, err error) {
	if p.opts.Tracker == nil {
		return "", nil
	}
	own := r.Hashes()
	all := r.AllHashes()
	for i, ih := range all {
		n := Note{Name: r.Name, Size: r.Size, Paused: r.Paused}
		if len(all) > 1 {
			n.Release = r.Hash()
		}
		if i < len(own) && len(own) == 2 {
			n.Pair = own[1-i]
		}
		if err := p.opts.Tracker.Allow(ih, n); err != nil {
			return "allow", err
		}
		*undo = append(*undo, func(context.Context) error { return p.opts.Tracker.Disallow(ih) })
	}
	return "", nil
}

// Withdraw removes a release from the catalog and then stops seeding and tracking it. It
// keeps the data. [Publisher.Named] says which releases ref names. Withdraw continues after an
// error and returns all errors.
func (p *Publisher) Withdraw(ctx context.Context, ref string) error {
	list, release, err := p.reserveNamed(ctx, ref)
	if err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	defer release()
	var errs []error
	for _, r := range list {
		if err := p.withdraw(ctx, r); err != nil {
			errs = append(errs, fmt.Errorf("withdraw %q: %w", r.Ref(), err))
		}
	}
	return errors.Join(errs...)
}

// withdrawOnly is [Publisher.Withdraw] for exactly the release r.
func (p *Publisher) withdrawOnly(ctx context.Context, r *Release) error {
	release, err := p.reserve(r.Slug)
	if err != nil {
		return err
	}
	defer release()
	now, err := p.opts.Catalog.Get(ctx, r.Ref())
	if err == nil {
		err = p.withdraw(ctx, now)
	}
	if err != nil {
		return fmt.Errorf("withdraw %q: %w", r.Ref(), err)
	}
	return nil
}

func (p *Publisher) withdraw(ctx context.Context, r *Release) error {
	if err := p.opts.Catalog.Delete(ctx, r.Ref()); err != nil {
		return err
	}
	return p.unserve(ctx, r)
}

// unserve stops seeding and tracking r and removes its kept data and all records about it.
func (p *Publisher) unserve(ctx context.Context, r *Release) error {
	var errs []error
	if !r.Paused {
		errs = append(errs, p.unseed(ctx, r))
	}
	for _, ih := range r.AllHashes() {
		errs = append(errs, p.forget(ctx, ih))
	}
	if p.opts.Tracker != nil {
		for _, ih := range r.AllHashes() {
			errs = append(errs, p.opts.Tracker.Disallow(ih))
		}
	}
	p.swapStore(r.Hash(), nil)
	p.setUnseeded(r.Hash(), nil)
	p.mu.Lock()
	delete(p.unverified, r.Hash())
	p.mu.Unlock()
	if p.opts.Keeper != nil {
		errs = append(errs, p.opts.Keeper.Drop(r.Hash()))
	}
	return errors.Join(errs...)
}

// unseed stops seeding r.
func (p *Publisher) unseed(ctx context.Context, r *Release) error {
	err := p.seeder.Unseed(ctx, r.Hash())
	if !r.Twin.Hash.IsZero() {
		err = errors.Join(err, p.seeder.Unseed(ctx, r.Twin.Hash))
	}
	return err
}

// undoTime is the time limit for undoing steps. It is needed because steps are also undone
// after the context of the caller has ended.
const undoTime = 10 * time.Second

// undoStack holds functions that undo the steps so far.
type undoStack []func(context.Context) error

// run calls the functions, the last one first.
func (u undoStack) run(ctx context.Context) error {
	var errs []error
	for _, f := range slices.Backward(u) {
		errs = append(errs, f(ctx))
	}
	return errors.Join(errs...)
}

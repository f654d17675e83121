// Package publish makes a release of a file or a tree: its torrent made, allowed
// on the tracker, seeded without being checked again, and listed in the catalog,
// as one step. A page therefore never lists what is not served, and what failed
// half-way leaves nothing behind.
//
// The package knows neither the engine nor the tracker: it declares the small
// interfaces that it needs, and the program plugs them in.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"spate"
	"spate/maker"
	"spate/metainfo"
)

// Maker hashes what lies at path and returns its torrent; [MakerFunc] makes one
// of [maker.Make].
type Maker interface {
	Make(ctx context.Context, path string, opts maker.Options) (*metainfo.MetaInfo, error)
}

// MakerFunc is a function that is a [Maker].
type MakerFunc func(ctx context.Context, path string, opts maker.Options) (*metainfo.MetaInfo, error)

// Make implements [Maker].
func (f MakerFunc) Make(ctx context.Context, path string, opts maker.Options) (*metainfo.MetaInfo, error) {
	return f(ctx, path, opts)
}

// Tracker is the tracker that the releases announce to. It is called once for
// each info-hash of a release: twice for a hybrid.
type Tracker interface {
	// Allow accepts announces for ih from now on, and keeps its swarm however
	// short memory gets.
	Allow(ih spate.InfoHash, note Note) error
	// Disallow refuses them again and forgets the swarm. It is told of no hash
	// that was not allowed before.
	Disallow(ih spate.InfoHash) error
}

// Note tells a tracker what an info-hash stands for.
type Note struct {
	Name string
	Size int64 // bytes
}

// Seeder is the engine that has the releases for peers.
type Seeder interface {
	// Seed starts to seed m from the file or the tree at path, whose name may be
	// another than the torrent's. The data was hashed a moment ago: it is known
	// good and not checked again.
	Seed(ctx context.Context, m *metainfo.MetaInfo, path string) error
	// Unseed stops that, announces it to the trackers, and forgets the torrent.
	// The data stays.
	Unseed(ctx context.Context, ih spate.InfoHash) error
}

// Options are the settings of a [Publisher].
type Options struct {
	Tracker  Tracker          // nil: the releases name other trackers, or none
	Catalog  Catalog          // nil: a new [Memory]
	BaseURL  *url.URL         // how others reach the site, for the web seed; nil: no web seed
	Trackers [][]string       // announce URLs by tier, for releases that do not name their own
	Now      func() time.Time // nil: time.Now
	Log      *slog.Logger     // what goes wrong in the background; nil: nowhere
}

// Publisher makes and withdraws releases. It is safe for concurrent use; two
// releases are made side by side, but never two of one name.
type Publisher struct {
	opts   Options
	maker  Maker
	seeder Seeder

	mu   sync.Mutex
	busy map[string]bool // names that are being published or withdrawn

	listed chan struct{} // holds one when there is a new release for Run
}

// New returns a publisher of what mk makes and seeder seeds.
func New(mk Maker, seeder Seeder, opts Options) (*Publisher, error) {
	if mk == nil || seeder == nil {
		return nil, errors.New("publish: a maker and a seeder are needed")
	}
	if opts.BaseURL != nil && (opts.BaseURL.Host == "" || opts.BaseURL.Scheme != "http" && opts.BaseURL.Scheme != "https") {
		return nil, fmt.Errorf("publish: base URL %q is not an http or https URL with a host", opts.BaseURL)
	}
	if opts.Catalog == nil {
		opts.Catalog = NewMemory()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Publisher{opts: opts, maker: mk, seeder: seeder, busy: map[string]bool{}, listed: make(chan struct{}, 1)}, nil
}

// Catalog returns the list of the releases.
func (p *Publisher) Catalog() Catalog { return p.opts.Catalog }

// StepError says at which step a release failed. The steps before it were
// undone.
type StepError struct {
	Step string // "make", "allow", "seed" or "list"
	Name string // the release
	Err  error  // the cause, joined with what could not be undone
}

// Error implements error.
func (e *StepError) Error() string { return fmt.Sprintf("publish %q: %s: %v", e.Name, e.Step, e.Err) }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// undoTime bounds the undoing of a release whose own context may be over.
const undoTime = 10 * time.Second

// Publish makes a release of the file or the tree at path. The zero opts will
// do: the release then has the name of the path's last element, the publisher's
// trackers, and the site as its web seed (which opts.WebSeeds come on top of).
//
// The error is [ErrExists] when the name is taken, a [StepError] when a step
// failed, and in both cases nothing was published.
func (p *Publisher) Publish(ctx context.Context, path string, opts maker.Options) (*Release, error) {
	path, single, err := p.prepare(path, &opts)
	if err != nil {
		return nil, err
	}
	release, err := p.reserve(opts.Name)
	if err != nil {
		return nil, err
	}
	defer release()
	if _, err := p.opts.Catalog.Get(ctx, opts.Name); err == nil {
		return nil, fmt.Errorf("publish: %w: %q", ErrExists, opts.Name)
	} else if !errors.Is(err, ErrNotFound) {
		return nil, &StepError{"list", opts.Name, err}
	}

	m, r, err := p.make(ctx, path, single, opts)
	if err != nil {
		return nil, &StepError{"make", opts.Name, err}
	}
	torrent, err := m.Bytes()
	if err != nil {
		return nil, &StepError{"make", opts.Name, err}
	}

	var undo undoStack
	fail := func(step string, err error) (*Release, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		return nil, &StepError{step, r.Name, errors.Join(err, undo.run(ctx))}
	}
	for _, ih := range r.Hashes() {
		if p.opts.Tracker == nil {
			break
		}
		if err := p.opts.Tracker.Allow(ih, Note{Name: r.Name, Size: r.Size}); err != nil {
			return fail("allow", err)
		}
		undo = append(undo, func(context.Context) error { return p.opts.Tracker.Disallow(ih) })
	}
	if err := p.seeder.Seed(ctx, m, r.Path); err != nil {
		return fail("seed", err)
	}
	undo = append(undo, func(ctx context.Context) error { return p.seeder.Unseed(ctx, r.Hash()) })
	if err := ctx.Err(); err != nil {
		return fail("list", context.Cause(ctx))
	}
	r.Published = p.opts.Now().UTC().Truncate(time.Second)
	if err := p.opts.Catalog.Put(ctx, r, torrent); err != nil {
		return fail("list", err)
	}
	select {
	case p.listed <- struct{}{}:
	default: // Run has not seen the last one yet, and will see both
	}
	return r, nil
}

// Withdraw takes a release back: unlisted first, then neither seeded nor tracked
// any more. It goes on after a failure, and returns all of them. The data stays.
func (p *Publisher) Withdraw(ctx context.Context, name string) error {
	release, err := p.reserve(name)
	if err != nil {
		return err
	}
	defer release()
	r, err := p.opts.Catalog.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	if err := p.opts.Catalog.Delete(ctx, name); err != nil {
		return fmt.Errorf("withdraw %q: %w", name, err)
	}
	errs := []error{p.seeder.Unseed(ctx, r.Hash())}
	if p.opts.Tracker != nil {
		for _, ih := range r.Hashes() {
			errs = append(errs, p.opts.Tracker.Disallow(ih))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("withdraw %q: %w", name, err)
	}
	return nil
}

// prepare resolves path and fills in what opts leaves open.
func (p *Publisher) prepare(path string, opts *maker.Options) (resolved string, single bool, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", false, fmt.Errorf("publish: %w", err)
	}
	resolved, err = filepath.EvalSymlinks(abs)
	if err != nil {
		return "", false, fmt.Errorf("publish: %w", err)
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return "", false, fmt.Errorf("publish: %w", err)
	}
	if opts.Name == "" {
		opts.Name = filepath.Base(abs)
	}
	if opts.Announce == nil {
		opts.Announce = p.opts.Trackers
	}
	single = !info.IsDir()
	if own := WebSeedURL(p.opts.BaseURL, opts.Name, single); own != "" && !slices.Contains(opts.WebSeeds, own) {
		opts.WebSeeds = append([]string{own}, opts.WebSeeds...)
	}
	return resolved, single, nil
}

// make is the first step: the torrent, and what lies on the disk under it.
func (p *Publisher) make(ctx context.Context, path string, single bool, opts maker.Options) (*metainfo.MetaInfo, *Release, error) {
	before, err := takeSnapshot(path)
	if err != nil {
		return nil, nil, err
	}
	m, err := p.maker.Make(ctx, path, opts)
	if err != nil {
		return nil, nil, err
	}
	r := newRelease(m, path)
	if r.Name != opts.Name {
		return nil, nil, fmt.Errorf("the torrent is named %q; choose a --name that needs no cleaning", r.Name)
	}
	// A tree that holds one file may be written as a torrent of one file.
	if r.Single != single {
		return nil, nil, fmt.Errorf("%s changed while it was read: %w", opts.Name, ErrChanged)
	}
	return m, r, r.record(before)
}

// reserve keeps a name to the caller until it calls the function returned.
func (p *Publisher) reserve(name string) (func(), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[name] {
		return nil, fmt.Errorf("publish: %w: %q is being published or withdrawn", ErrExists, name)
	}
	p.busy[name] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.busy, name)
	}, nil
}

// undoStack holds what takes back the steps done so far.
type undoStack []func(context.Context) error

// run undoes the steps, the last one first.
func (u undoStack) run(ctx context.Context) error {
	var errs []error
	for _, f := range slices.Backward(u) {
		errs = append(errs, f(ctx))
	}
	return errors.Join(errs...)
}

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
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"spate"
	"spate/internal/folder"
	"spate/maker"
	"spate/metainfo"
	"spate/signature"
	"spate/storage"
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
// each info-hash of a release: three times for a hybrid with a twin.
type Tracker interface {
	// Allow accepts announces for ih from now on, and keeps its swarm however
	// short memory gets. It is called again when the note is another.
	Allow(ih spate.InfoHash, note Note) error
	// Disallow refuses them again and forgets the swarm. It is told of no hash
	// that was not allowed before.
	Disallow(ih spate.InfoHash) error
}

// Note tells a tracker what an info-hash stands for.
type Note struct {
	Name string
	Size int64          // bytes
	Pair spate.InfoHash // the other half of a hybrid, or zero
	// Paused says that this machine does not seed it at the moment.
	Paused bool
}

// Seeder is the engine that has the releases for peers.
type Seeder interface {
	// Seed starts to seed m from the file or the tree at path, whose name may be
	// another than the torrent's. Data that is verified is known good, and not
	// checked again.
	Seed(ctx context.Context, m *metainfo.MetaInfo, path string, verified bool) error
	// Unseed stops that, announces it to the trackers, and forgets the torrent.
	// The data stays.
	Unseed(ctx context.Context, ih spate.InfoHash) error
}

// Options are the settings of a [Publisher].
type Options struct {
	Tracker  Tracker          // nil: the releases name other trackers, or none
	Catalog  Catalog          // nil: a new [Memory]
	BaseURL  *url.URL         // how others reach the site, for the web seed; nil: no web seed
	Trackers [][]string       // announce URLs by tier, the site's own first, for releases that do not name theirs
	Key      *signature.Key   // signs what is published; nil: nothing does
	Now      func() time.Time // nil: time.Now
	Keeper   *Keeper          // keeps data for older versions; nil: nothing does
	Log      *slog.Logger     // what goes wrong in the background; nil: nowhere
	// OpenStore returns the storage of a release that [Publisher.PublishStore] made in an
	// earlier run; nil: such releases are listed, but not served.
	OpenStore func(context.Context, *Release) (storage.Storage, error)
}

// Publisher makes and withdraws releases. It is safe for concurrent use; two
// releases are made side by side, but never two of one slug.
type Publisher struct {
	opts   Options
	maker  Maker
	seeder Seeder

	mu   sync.Mutex
	busy map[string]bool // slugs that are being published or withdrawn
	// stores has the data of releases that are in no directory, by main info-hash.
	stores map[spate.InfoHash]storage.Storage

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
	return &Publisher{opts: opts, maker: mk, seeder: seeder, busy: map[string]bool{}, stores: map[spate.InfoHash]storage.Storage{}, listed: make(chan struct{}, 1)}, nil
}

// Catalog returns the list of the releases.
func (p *Publisher) Catalog() Catalog { return p.opts.Catalog }

// StepError says at which step a release failed. The steps before it were
// undone.
type StepError struct {
	Step string // "make", "keep", "allow", "seed" or "list"
	Name string // the release
	Err  error  // the cause, joined with what could not be undone
}

// Error implements error.
func (e *StepError) Error() string { return fmt.Sprintf("publish %q: %s: %v", e.Name, e.Step, e.Err) }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// Spec says what a release shall be. The zero Spec will do: the release then has
// the name of the path's last element, the publisher's trackers, and the site as
// its web seed, and is the first version of its slug.
type Spec struct {
	maker.Options        // of the torrent; WebSeeds come after the site
	Slug          string // "": made of the name
	Version       string // "": the next free number, which is "1" for a new slug
	Variant       string
	Group         string
	Notes         string // Markdown
	// Newer allows a slug that is taken, for another version of it, where Version
	// is empty. A Version that is given always does.
	Newer bool
	// NoTwin leaves out the v1 torrent for older clients.
	NoTwin bool
	// Keep has the data kept where it outlives what becomes of the path, if the
	// publisher has a keeper and it can.
	Keep bool
	// Watched and Stamp are those of the release.
	Watched, Stamp string
}

// Publish makes a release of the file or the tree at path. With a Root in spec the
// path is relative to that, and nothing outside it is read; without, path may be a
// link to anywhere.
//
// The error is [ErrExists] when the name is taken, [ErrLabel] when it cannot be
// one, a [StepError] when a step failed, and in any case nothing was published.
func (p *Publisher) Publish(ctx context.Context, path string, spec Spec) (*Release, error) {
	at, single, err := p.prepare(path, &spec)
	if err != nil {
		return nil, err
	}
	release, err := p.reserve(spec.Slug)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := p.version(ctx, &spec); err != nil {
		return nil, err
	}
	p.addWebSeed(&spec, single)
	m, r, err := p.make(ctx, path, at, single, spec.Options)
	if err != nil {
		return nil, &StepError{"make", spec.Name, err}
	}
	return p.finish(ctx, m, r, &spec)
}

// base returns the base URL of the site as torrents name it, or "" without a site.
func (p *Publisher) base() string {
	if p.opts.BaseURL == nil {
		return ""
	}
	return Absolute(p.opts.BaseURL, "")
}

// addWebSeed puts the site's URL of the data before the other web seeds of spec.
func (p *Publisher) addWebSeed(spec *Spec, single bool) {
	ref := Ref{spec.Slug, spec.Version, spec.Variant}
	if own := WebSeedURL(p.opts.BaseURL, ref.String(), single); own != "" && !slices.Contains(spec.WebSeeds, own) {
		spec.WebSeeds = append([]string{own}, spec.WebSeeds...)
	}
}

// fill fills in the slug and the trackers if spec leaves them open.
func (p *Publisher) fill(spec *Spec) {
	if spec.Slug == "" {
		spec.Slug = SlugOf(spec.Name)
	}
	if spec.Announce == nil {
		spec.Announce = p.opts.Trackers
	}
}

// version checks that the reference is free and fills in its version.
func (p *Publisher) version(ctx context.Context, spec *Spec) error {
	family, err := p.opts.Catalog.Family(ctx, spec.Slug)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return &StepError{"list", spec.Name, err}
	}
	taken := map[Ref]bool{}
	highest := 0
	for _, r := range family {
		taken[Ref{r.Slug, r.Version, r.Variant}] = true
		if n, err := strconv.Atoi(r.Version); err == nil {
			highest = max(highest, n)
		}
	}
	given := spec.Version != ""
	if !given {
		spec.Version = strconv.Itoa(highest + 1)
	}
	ref := Ref{spec.Slug, spec.Version, spec.Variant}
	if err := ref.check(); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if len(spec.Notes) > MaxNotes {
		return fmt.Errorf("publish: notes of %d bytes; at most %d are shown", len(spec.Notes), MaxNotes)
	}
	if taken[ref] || len(family) > 0 && !given && !spec.Newer {
		return fmt.Errorf("publish: %w: %q", ErrExists, spec.Slug)
	}
	return nil
}

// locate returns the absolute path of what path, relative to root unless that is
// nil, names, and what lies there. Its links are resolved, but for those in root:
// they may be others when it is opened.
func locate(path string, root *os.Root) (at string, info fs.FileInfo, err error) {
	if path == "" {
		return "", nil, maker.ErrNoPath
	}
	if root == nil {
		if at, err = filepath.Abs(path); err == nil {
			at, err = filepath.EvalSymlinks(at)
		}
		if err == nil {
			info, err = os.Stat(at)
		}
		return at, info, err
	}
	dir, err := filepath.Abs(root.Name())
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err == nil {
		info, err = folder.In(root).Stat(path)
	}
	return filepath.Join(dir, path), info, err
}

// prepare finds what is at path and fills in what spec leaves open.
func (p *Publisher) prepare(path string, spec *Spec) (at string, single bool, err error) {
	at, info, err := locate(path, spec.Root)
	if err != nil {
		return "", false, fmt.Errorf("publish: %w", err)
	}
	if spec.Name == "" {
		abs, err := filepath.Abs(path)
		if err != nil {
			return "", false, fmt.Errorf("publish: %w", err)
		}
		spec.Name = filepath.Base(abs)
	}
	p.fill(spec)
	return at, !info.IsDir(), nil
}

// make is the first step: the torrent, and what lies on the disk under it, at the
// absolute path at.
func (p *Publisher) make(ctx context.Context, path, at string, single bool, opts maker.Options) (*metainfo.MetaInfo, *Release, error) {
	if opts.Root == nil {
		path = at // wherever a link leads by then
	}
	before, err := takeSnapshot(at)
	if err != nil {
		return nil, nil, err
	}
	m, err := p.maker.Make(ctx, path, opts)
	if err != nil {
		return nil, nil, err
	}
	r := newRelease(m, at)
	if err := r.checkName(opts.Name); err != nil {
		return nil, nil, err
	}
	// A tree that holds one file may be written as a torrent of one file.
	if r.Single != single {
		return nil, nil, fmt.Errorf("%s changed while it was read: %w", opts.Name, ErrChanged)
	}
	r.Base = p.base()
	return m, r, r.record(before)
}

// checkName returns an error if the torrent did not get the name that was asked for.
func (r *Release) checkName(want string) error {
	if r.Name != want {
		return fmt.Errorf("the torrent is named %q; choose a --name that needs no cleaning", r.Name)
	}
	return nil
}

// reserve keeps a slug to the caller until it calls the function returned.
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

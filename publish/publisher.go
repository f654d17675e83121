// Package publish makes releases of files and directories. A [Publisher] makes the torrent,
// allows it on the tracker, seeds the data and lists the release in a [Catalog]. If one of
// these steps fails, the Publisher undoes the previous steps, so that every listed release
// is served.
//
// The package does not depend on the engine or the tracker: the caller provides them as a
// [Seeder] and a [Tracker].
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
	"spate/internal/torrentfile"
	"spate/internal/units"
	"spate/internal/weburl"
	"spate/maker"
	"spate/metainfo"
	"spate/signature"
	"spate/storage"
)

// Maker makes a torrent of the data at path. [MakerFunc] turns [maker.Make] into a Maker.
type Maker interface {
	Make(ctx context.Context, path string, opts maker.Options) (*metainfo.MetaInfo, error)
}

// MakerFunc is a function that implements [Maker].
type MakerFunc func(ctx context.Context, path string, opts maker.Options) (*metainfo.MetaInfo, error)

// Make implements [Maker].
func (f MakerFunc) Make(ctx context.Context, path string, opts maker.Options) (*metainfo.MetaInfo, error) {
	return f(ctx, path, opts)
}

// Tracker is the tracker of the releases. A [Publisher] calls it once for each info-hash of
// a release: three times for a hybrid release with a twin.
type Tracker interface {
	// Allow accepts announces for ih from now on. The tracker must keep the swarm even
	// if it is short of memory. Allow is called again when the note changes.
	Allow(ih spate.InfoHash, note Note) error
	// Disallow rejects announces for ih again and removes the swarm. ih was allowed
	// before.
	Disallow(ih spate.InfoHash) error
}

// Note describes the torrent of an info-hash to a [Tracker].
type Note struct {
	Name string
	Size int64          // bytes
	Pair spate.InfoHash // the other info-hash of a hybrid torrent, or zero
	// Release is the main info-hash of a release with several info-hashes, otherwise zero.
	Release spate.InfoHash
	// Paused means that this machine does not seed the torrent at present: the release is
	// paused, its data failed, or its data is still being checked.
	Paused bool
}

// Seeder seeds the releases.
type Seeder interface {
	// Seed starts to seed m from the file or directory at path, which may have another
	// name than the torrent. If verified is set, the data is good and need not be checked.
	Seed(ctx context.Context, m *metainfo.MetaInfo, path string, verified bool) error
	// Unseed stops seeding, announces that to the trackers, and removes the torrent from the engine.
	// It keeps the data.
	Unseed(ctx context.Context, ih spate.InfoHash) error
}

// Forgetter is a [Seeder] that remembers something about torrents that it does not seed.
type Forgetter interface {
	Seeder
	// Forget deletes what the seeder remembers about a torrent. It is called after Unseed, when
	// the release was withdrawn.
	Forget(ctx context.Context, ih spate.InfoHash) error
}

// Options are the options of a [Publisher].
type Options struct {
	Tracker  Tracker          // nil: the releases use other trackers, or none
	Catalog  Catalog          // nil: a new [Memory]
	BaseURL  *url.URL         // base URL of the site; nil: no site
	Trackers [][]string       // default announce URLs by tier, those of the site first
	Key      *signature.Key   // signs the releases; nil: they are not signed
	Now      func() time.Time // nil: time.Now
	Keeper   *Keeper          // keeps the data of older versions; nil: they are not kept
	Log      *slog.Logger     // receives errors of background work; nil: they are discarded
	// OpenStore returns the storage of a release that [Publisher.PublishStore] made in an
	// earlier run; nil: such releases are listed, but not served.
	OpenStore func(context.Context, *Release) (storage.Storage, error)
	// NeedsWebSeed reports whether peers cannot connect to the seeder although clients reach
	// the site. The torrents that are made then name the site as a web seed even without
	// [SelfWebSeed]. nil: peers can connect.
	NeedsWebSeed func(context.Context) bool
	// Node returns the DHT node of the seeder as HOST:PORT, or "" if others cannot ask it. The
	// torrents that are made name it (BEP 5), except for private ones, so that the seeder is
	// found even when its tracker is gone. nil: they name none.
	Node func() string
	// Recheck checks the data of a release whose files were touched ([ErrTouched]), and returns
	// nil if the data is good and the seeder seeds it. It returns an error that wraps
	// [ErrUnchecked] if the check takes longer than a visitor can wait. nil: files that were
	// touched are not sent.
	Recheck func(context.Context, *Release) error
}

// Publisher makes and withdraws releases. It is safe for concurrent use. It makes several
// releases at the same time, but only one of each slug.
type Publisher struct {
	opts   Options
	maker  Maker
	seeder Seeder

	siteMu sync.RWMutex // guards opts.BaseURL and opts.Trackers, which Move changes

	mu   sync.Mutex
	busy map[string]bool // slugs of releases that are being published or withdrawn
	// stores holds the storages of releases that were published from a storage, by main
	// info-hash.
	stores map[spate.InfoHash]storage.Storage
	// rechecks holds the calls of Options.Recheck in progress, by main info-hash.
	rechecks map[spate.InfoHash]*recheckCall
	// unverified has the main info-hashes of the releases for which Unverified returns true.
	unverified map[spate.InfoHash]bool
	// unseeded has the errors of releases that could not be seeded, by main info-hash.
	unseeded map[spate.InfoHash]error

	listed chan struct{} // contains an element if Run must handle a new release
}

// New returns a publisher that makes torrents with mk and seeds them with seeder.
func New(mk Maker, seeder Seeder, opts Options) (*Publisher, error) {
	if mk == nil || seeder == nil {
		return nil, errors.New("publish: the maker or the seeder is missing")
	}
	if opts.BaseURL != nil {
		base, err := weburl.Base(opts.BaseURL)
		if err != nil {
			return nil, fmt.Errorf("publish: base URL %q: %w", opts.BaseURL, err)
		}
		opts.BaseURL = base
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
	return &Publisher{opts: opts, maker: mk, seeder: seeder, busy: map[string]bool{}, stores: map[spate.InfoHash]storage.Storage{}, unverified: map[spate.InfoHash]bool{}, rechecks: map[spate.InfoHash]*recheckCall{}, unseeded: map[spate.InfoHash]error{}, listed: make(chan struct{}, 1)}, nil
}

// Catalog returns the catalog of the publisher.
func (p *Publisher) Catalog() Catalog { return p.opts.Catalog }

// StepError is returned if a step of publishing failed. The steps before it were undone.
type StepError struct {
	Step string // "make", "keep", "allow", "seed" or "list"
	Name string // of the release
	Err  error  // the cause, joined with errors of undoing
}

// Error implements error.
func (e *StepError) Error() string { return fmt.Sprintf("publish %q: %s: %v", e.Name, e.Step, e.Err) }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// SelfWebSeed in [Spec.WebSeeds] stands for the URL of the data at the site.
const SelfWebSeed = torrentfile.Self

// Spec describes a release to publish. With the zero Spec the release gets the last element
// of the path as its name and the trackers of the publisher, and is the first version of its
// slug. The torrent does not name the site as a web seed, because the site sends over the same
// uplink as the seeder, and clients ask a web seed for pieces that peers have.
type Spec struct {
	maker.Options        // for the torrent; WebSeeds may contain SelfWebSeed
	Slug          string // "" derives the slug from the name
	Version       string // "" selects the next free number, which is "1" for a new slug
	Variant       string
	Group         string
	Notes         string // Markdown
	// Newer allows a slug that has releases already if Version is empty: the release
	// becomes another version. It has no effect if Version is set.
	Newer bool
	// NoTwin omits the v1 torrent for older clients.
	NoTwin bool
	// Keep keeps the data after the files at the path have changed, if the publisher has a
	// keeper and the file system allows it.
	Keep bool
	// Watched and Stamp are copied to [Release.Watched] and [Release.Stamp].
	Watched, Stamp string
}

// Publish makes a release of the file or directory at path. If spec has a Root, the path is
// relative to it, and Publish reads nothing outside of it. Otherwise path may be a symbolic
// link to anywhere.
//
// The error is [ErrExists] if the reference is taken, [ErrLabel] if it is not valid, a
// *[StepError] if a step failed, and [maker.ErrNoPath] if path is empty. After an error
// nothing is published.
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
	p.setWebSeeds(ctx, &spec, single)
	p.setNodes(&spec)
	m, r, err := p.make(ctx, path, at, single, spec.Options)
	if err != nil {
		return nil, &StepError{"make", spec.Name, err}
	}
	spec.Selected = nil // so that the list can be freed; r has one too
	return p.finish(ctx, m, r, &spec)
}

// Check returns the error that [Publisher.Publish] would return before it makes the torrent:
// the path does not exist, the reference is taken or not valid, or the name is not safe. It
// changes nothing. Callers that publish several paths use it before they publish the first.
func (p *Publisher) Check(ctx context.Context, path string, spec Spec) error {
	if _, _, err := p.prepare(path, &spec); err != nil {
		return err
	}
	return p.version(ctx, &spec)
}

// base returns the base URL of the site as it is written into torrents, or "" if there is
// no site.
func (p *Publisher) base() string {
	base, _ := p.site()
	if base == nil {
		return ""
	}
	return Absolute(base, "")
}

// site returns the base URL of the site, and the default trackers.
func (p *Publisher) site() (base *url.URL, trackers [][]string) {
	p.siteMu.RLock()
	defer p.siteMu.RUnlock()
	return p.opts.BaseURL, p.opts.Trackers
}

// setWebSeeds replaces [SelfWebSeed] in the web seeds of spec by the site's URL of the data. If
// peers cannot connect, it also puts that URL before web seeds without SelfWebSeed.
func (p *Publisher) setWebSeeds(ctx context.Context, spec *Spec, single bool) {
	ref := Ref{spec.Slug, spec.Version, spec.Variant}
	base, _ := p.site()
	own := WebSeedURL(base, ref.String(), single)
	spec.ForHTTP = spec.ForHTTP || own != ""
	list := slices.Clone(spec.WebSeeds)
	if own != "" && !slices.Contains(list, SelfWebSeed) && p.opts.NeedsWebSeed != nil && p.opts.NeedsWebSeed(ctx) {
		list = append([]string{SelfWebSeed}, list...)
	}
	spec.WebSeeds = nil
	for _, u := range list {
		if u == SelfWebSeed {
			u = own
		}
		if u != "" && !slices.Contains(spec.WebSeeds, u) {
			spec.WebSeeds = append(spec.WebSeeds, u)
		}
	}
}

// setNodes puts the DHT node of the seeder before the nodes of spec, unless the torrent is private
// (BEP 27).
func (p *Publisher) setNodes(spec *Spec) {
	if own := p.node(); own != "" && !spec.Private && !slices.Contains(spec.Nodes, own) {
		spec.Nodes = append([]string{own}, spec.Nodes...)
	}
}

// node returns the DHT node of the seeder, or "".
func (p *Publisher) node() string {
	if p.opts.Node == nil {
		return ""
	}
	return p.opts.Node()
}

// fill fills in the slug and the trackers if spec has none.
func (p *Publisher) fill(spec *Spec) {
	if spec.Slug == "" {
		spec.Slug = SlugOf(spec.Name)
	}
	if spec.Announce == nil {
		_, spec.Announce = p.site()
	}
}

// version fills in the version of spec and checks that the reference is free.
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
		return fmt.Errorf("publish: the notes have %s; at most %d are allowed", units.Plural(len(spec.Notes), "byte"), MaxNotes)
	}
	if taken[ref] || len(family) > 0 && !given && !spec.Newer {
		return fmt.Errorf("publish: %w: %q", ErrExists, spec.Slug)
	}
	return nil
}

// locate returns the absolute path and the state of the file or directory at path, which is
// relative to root unless root is nil. It resolves symbolic links, except those below root,
// because they may change until the file is opened.
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

// prepare finds the data at path and fills in the defaults of spec.
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
	if safe := safeName(spec.Name); safe != spec.Name {
		return "", false, &StepError{"make", spec.Name, &nameError{safe}}
	}
	return at, !info.IsDir(), nil
}

// make makes the torrent and records the state of the files. at is the absolute path of the
// data.
func (p *Publisher) make(ctx context.Context, path, at string, single bool, opts maker.Options) (*metainfo.MetaInfo, *Release, error) {
	if opts.Root == nil {
		path = at // even if a symbolic link at path changes meanwhile
	}
	if opts.Selected == nil {
		var err error
		if opts.Selected, err = maker.Select(ctx, path, opts); err != nil {
			return nil, nil, err
		}
	}
	m, err := p.maker.Make(ctx, path, opts)
	if err != nil {
		return nil, nil, err
	}
	r := newRelease(m, at)
	r.Skipped = opts.Selected.Skipped()
	if err := r.checkName(opts.Name); err != nil {
		return nil, nil, err
	}
	// A directory in which only one file is left becomes a torrent of a single file.
	if r.Single != single {
		return nil, nil, fmt.Errorf("%s changed while it was read: %w", opts.Name, ErrChanged)
	}
	r.Base = p.base()
	return m, r, r.record(statesOf(opts.Selected))
}

// reserve locks a slug until the caller calls the returned function. It returns [ErrExists]
// if the slug is locked.
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

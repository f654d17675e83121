package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"spate"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
)

// StoreSeeder is a [Seeder] that can seed from a [storage.Storage].
type StoreSeeder interface {
	Seeder
	// SeedStore starts to seed m from st, as Seed does from a path. It does not close st,
	// which other users share. Unseed stops the seeding.
	SeedStore(ctx context.Context, m *metainfo.MetaInfo, st storage.Storage, verified bool) error
}

// ErrNoStore is the cause if a release was published from a [storage.Storage] that the
// publisher does not have, or if its seeder is no [StoreSeeder].
var ErrNoStore = errors.New("the storage of the release is not available")

// PublishStore makes a release of the first n bytes of st, as one file that is named
// spec.Name. It is otherwise like Publish, but ignores Keep, Watched, and the options that
// select files. The publisher's seeder must be a [StoreSeeder]. PublishStore reads the data
// once, and st must not change afterwards.
//
// The publisher and the site read st until the release is withdrawn. The caller may then
// close st. After a restart [Options.OpenStore] must return it again.
func (p *Publisher) PublishStore(ctx context.Context, st storage.Storage, n int64, spec Spec) (*Release, error) {
	if _, ok := p.seeder.(StoreSeeder); !ok {
		return nil, &StepError{"seed", spec.Name, ErrNoStore}
	}
	if spec.Name == "" {
		return nil, errors.New("publish: a release from a storage needs a name")
	}
	spec.Keep, spec.Watched, spec.Stamp = false, "", ""
	p.fill(&spec)
	release, err := p.reserve(spec.Slug)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := p.version(ctx, &spec); err != nil {
		return nil, err
	}
	p.setWebSeeds(ctx, &spec, true)
	p.setNodes(&spec)
	r, m, err := p.makeFromStore(ctx, st, n, spec.Options)
	if err != nil {
		return nil, &StepError{"make", spec.Name, err}
	}
	old := p.swapStore(m.Hash(), st)
	if r, err = p.finish(ctx, m, r, &spec); err != nil {
		p.swapStore(m.Hash(), old)
	}
	return r, err
}

// makeFromStore makes a torrent of the first n bytes of st.
func (p *Publisher) makeFromStore(ctx context.Context, st storage.Storage, n int64, opts maker.Options) (*Release, *metainfo.MetaInfo, error) {
	d, detects := storage.As[storage.ChangeDetector](st)
	if detects {
		if err := d.Accept(); err != nil {
			return nil, nil, err
		}
	}
	m, err := maker.MakeReader(ctx, io.NewSectionReader(st, 0, n), n, opts)
	if err == nil && detects {
		err = d.Check(0, n)
	}
	if err != nil {
		return nil, nil, err
	}
	r := newRelease(m, "")
	r.Base = p.base()
	return r, m, r.checkName(opts.Name)
}

// store returns the storage of a release that was published from a storage. If the
// publisher does not have the storage, store calls [Options.OpenStore].
func (p *Publisher) store(ctx context.Context, r *Release) (storage.Storage, error) {
	p.mu.Lock()
	st := p.stores[r.Hash()]
	p.mu.Unlock()
	if st != nil {
		return st, nil
	}
	if p.opts.OpenStore == nil {
		return nil, ErrNoStore
	}
	st, err := p.opts.OpenStore(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoStore, err)
	}
	p.swapStore(r.Hash(), st)
	return st, nil
}

// swapStore records st as the storage of the release with the main info-hash ih, and
// returns the previous storage. nil stands for none.
func (p *Publisher) swapStore(ih spate.InfoHash, st storage.Storage) storage.Storage {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.stores[ih]
	p.stores[ih] = st
	if st == nil {
		delete(p.stores, ih)
	}
	return old
}

// seed seeds m, a torrent of r, with the publisher's seeder.
func (p *Publisher) seed(ctx context.Context, r *Release, m *metainfo.MetaInfo, verified bool) error {
	if r.Path != "" {
		return p.seeder.Seed(ctx, m, r.Path, verified)
	}
	s, ok := p.seeder.(StoreSeeder)
	if !ok {
		return ErrNoStore
	}
	st, err := p.store(ctx, r)
	if err != nil {
		return err
	}
	return s.SeedStore(ctx, m, storage.KeepOpen(st), verified)
}

// intact is like [Release.Intact], but also checks releases that were published from a
// storage.
func (p *Publisher) intact(ctx context.Context, r *Release) error {
	if r.Path != "" {
		return r.Intact()
	}
	st, err := p.store(ctx, r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return checkStore(st, r.Size)
}

// checkStore returns [ErrChanged] or [ErrGone] if st reports a change of its first n bytes.
func checkStore(st storage.Storage, n int64) error {
	d, ok := storage.As[storage.ChangeDetector](st)
	if !ok {
		return nil
	}
	switch err := d.Check(0, n); {
	case err == nil:
		return nil
	case errors.Is(err, storage.ErrChanged):
		return fmt.Errorf("%w: %w", ErrChanged, storage.ErrChanged)
	default:
		return fmt.Errorf("%w: %w", ErrGone, storage.ErrMissing)
	}
}

// Content is the data of a file of a release, opened for reading.
type Content struct {
	io.ReadSeeker // an *os.File if the data is in a file

	// Check returns [ErrChanged] or [ErrGone] if the data has changed since it was hashed
	// or cannot be read.
	Check func() error
	close func() error
}

// Close closes the file.
func (c *Content) Close() error { return c.close() }

// Content is like Open, for callers that do not need an *os.File.
func (r *Release) Content(i int) (*Content, error) {
	f, err := r.Open(i)
	if err != nil {
		return nil, err
	}
	return &Content{f, func() error { return r.Files[i].check(f) }, f.Close}, nil
}

// check returns an error if the open file is not the file that was hashed as f.
func (f *File) check(open *os.File) error {
	info, err := open.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGone, bare(err))
	}
	return f.Same(info)
}

// Open opens file i of r, in the file system or in the storage that it was published from.
// The errors are those of [Release.Open]. If a file was touched ([ErrTouched]), Open and
// [Content.Check] wait for [Options.Recheck], and may return [ErrUnchecked].
func (p *Publisher) Open(ctx context.Context, r *Release, i int) (*Content, error) {
	if r.Path != "" {
		return p.openRechecked(ctx, r, i)
	}
	if i != 0 || len(r.Files) != 1 {
		return nil, ErrNoFile
	}
	st, err := p.store(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	n := r.Files[0].Length
	check := func() error { return checkStore(st, n) }
	if err := check(); err != nil {
		return nil, err
	}
	return &Content{io.NewSectionReader(st, 0, n), check, func() error { return nil }}, nil
}

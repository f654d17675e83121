package publish

import (
	"context"
	"errors"

	"spate"
	"spate/storage"
)

// The values of [State].Name.
const (
	StateSeeding  = "seeding"
	StateChecking = "checking"
	StateFailed   = "failed"
	StatePaused   = "paused"
)

// State is the present state of a release on this machine.
type State struct {
	Name string // one of the constants above; "" if it is unknown
	// Err is the reason why the release failed, or why the data of a paused release is not
	// as it was hashed. It may contain paths; [State.Problem] does not.
	Err error
	// Progress is the checked part of the data while it is checked, and otherwise its good
	// part, from 0 to 1.
	Progress float64
}

// Problem describes Err to visitors of the site, who must not see paths. It is "" if there is
// no error.
func (s State) Problem() string {
	switch {
	case s.Err == nil:
		return ""
	case errors.Is(s.Err, ErrChanged), errors.Is(s.Err, storage.ErrChanged):
		return "its data has changed since it was published"
	case errors.Is(s.Err, ErrGone), errors.Is(s.Err, storage.ErrMissing):
		return "its data is missing"
	}
	return "its data cannot be read"
}

// Good returns the part of the bytes of r, from 0 to 1, that is in files that have not changed
// since they were hashed. It compares the files with their recorded states and reads no data.
// err is the [ErrChanged] or [ErrGone] of the first other file, or the error of the catalog.
// r may come from a list.
func (p *Publisher) Good(ctx context.Context, r *Release) (part float64, err error) {
	full, err := p.opts.Catalog.Get(ctx, r.Ref())
	if err != nil {
		return 0, err
	}
	if full.Path == "" {
		if err := p.intact(ctx, full); err != nil {
			return 0, err
		}
		return 1, nil
	}
	bad, err := full.changed(false)
	if errors.Is(err, ErrTouched) {
		err = nil
	}
	if full.Size > 0 {
		part = float64(full.Size-bad) / float64(full.Size)
	}
	return part, err
}

// NotSeeded returns the error because of which the publisher does not seed the release with
// the main info-hash ih, or nil if it seeds or will seed the release.
func (p *Publisher) NotSeeded(ih spate.InfoHash) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unseeded[ih]
}

// setUnseeded records why a release is not seeded. nil means that it is seeded, or that it was
// withdrawn.
func (p *Publisher) setUnseeded(ih spate.InfoHash, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		delete(p.unseeded, ih)
		return
	}
	p.unseeded[ih] = err
}

package publish

import (
	"context"
	"errors"
	"fmt"
)

// recheckCall is a call of [Publisher.recheck] for which several visitors can wait.
type recheckCall struct {
	done chan struct{} // closed at the end
	r    *Release
	err  error
}

// openRechecked opens file i of r, which is in the file system.
func (p *Publisher) openRechecked(ctx context.Context, r *Release, i int) (*Content, error) {
	f, err := r.Open(i)
	if errors.Is(err, ErrTouched) {
		if r, err = p.recheck(ctx, r, err); err == nil {
			f, err = r.Open(i)
		}
	}
	if err != nil {
		return nil, err
	}
	check := func() error {
		err := r.Files[i].check(f)
		if !errors.Is(err, ErrTouched) {
			return err
		}
		now, err := p.recheck(ctx, r, err)
		if err != nil {
			return err
		}
		r = now
		return r.Files[i].check(f)
	}
	return &Content{f, check, f.Close}, nil
}

// recheck checks the data of r because a file of r was touched, and returns r with the present
// state of its files. why is the error to return if there is no check. Concurrent calls for
// one release share the check.
func (p *Publisher) recheck(ctx context.Context, r *Release, why error) (*Release, error) {
	if p.opts.Recheck == nil {
		return nil, why
	}
	ih := r.Hash()
	p.mu.Lock()
	c := p.rechecks[ih]
	if c == nil {
		c = &recheckCall{done: make(chan struct{})}
		p.rechecks[ih] = c
		go func() {
			c.r, c.err = p.recheckNow(context.WithoutCancel(ctx), r)
			p.mu.Lock()
			delete(p.rechecks, ih)
			p.mu.Unlock()
			close(c.done)
		}()
	}
	p.mu.Unlock()
	select {
	case <-c.done:
		return c.r, c.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// recheckNow checks the data of r unless its recorded state was updated meanwhile.
func (p *Publisher) recheckNow(ctx context.Context, r *Release) (*Release, error) {
	now, err := p.opts.Catalog.Get(ctx, r.Ref())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	err = now.Intact()
	if err == nil || !errors.Is(err, ErrTouched) {
		return now, err
	}
	check := func() error { return p.opts.Recheck(ctx, now) }
	if err = check(); err == nil {
		err = p.Reaccept(ctx, now, check)
	}
	switch {
	case errors.Is(err, ErrGone), errors.Is(err, ErrUnchecked):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return p.opts.Catalog.Get(ctx, r.Ref())
}

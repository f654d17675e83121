package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Run computes the SHA-256 of every file of every release that has none yet, one
// file at a time, until ctx is over: what SHA256SUMS and Metalinks are made of.
// The hashes of a torrent are of pieces and trees, and cannot be turned into
// these, so the data is read once more; a release is listed and served without
// waiting for it. It returns the cause of ctx.
//
// A release whose files cannot be read, or changed, is passed over until the
// next one is published. At most one Run at a time.
func (p *Publisher) Run(ctx context.Context) error {
	for {
		p.sumAll(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.listed:
		}
	}
}

// sumAll computes what is missing now.
func (p *Publisher) sumAll(ctx context.Context) {
	list, _, err := p.opts.Catalog.List(ctx, Query{All: true})
	if err != nil {
		p.opts.Log.Error("publish: the catalog cannot be listed", "err", err)
		return
	}
	for _, r := range list {
		if r.Summed || ctx.Err() != nil {
			continue
		}
		switch err := p.sum(ctx, r.Ref()); {
		case ctx.Err() != nil, errors.Is(err, ErrNotFound): // over, or withdrawn meanwhile
		case err != nil:
			p.opts.Log.Warn("publish: no checksums", "release", r.Ref(), "err", err)
		}
	}
}

func (p *Publisher) sum(ctx context.Context, ref string) error {
	r, err := p.opts.Catalog.Get(ctx, ref)
	if err != nil {
		return err
	}
	sums := make([][32]byte, len(r.Files))
	buf := make([]byte, 1<<20)
	for i := range r.Files {
		if sums[i], err = r.sumFile(ctx, i, buf); err != nil {
			return fmt.Errorf("%s: %w", r.Files[i].Path, err)
		}
	}
	return p.opts.Catalog.SetSums(ctx, ref, r.Hash(), sums)
}

// sumFile returns the SHA-256 of file i, if that is what was hashed both before
// and after.
func (r *Release) sumFile(ctx context.Context, i int, buf []byte) (sum [32]byte, err error) {
	f, err := r.Open(i)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	for {
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return sum, err
		}
	}
	info, err := f.Stat()
	if err != nil {
		return sum, err
	}
	return [32]byte(h.Sum(nil)), r.Files[i].Same(info)
}

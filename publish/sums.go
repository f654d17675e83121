package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Run computes the missing SHA-256 sums of all files, one file at a time, for SHA256SUMS
// and Metalinks. It also makes missing signatures. It runs until ctx ends and returns its
// cause. Only one Run may be active at a time.
//
// Run reads the data again, because the sums cannot be computed from the hashes in a
// torrent. Releases are listed and served before their sums are known. If the files of a
// release cannot be read or have changed, Run skips it until another release is published.
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

// sumAll computes all missing sums and signatures.
func (p *Publisher) sumAll(ctx context.Context) {
	list, _, err := p.opts.Catalog.List(ctx, Query{All: true})
	if err != nil {
		p.opts.Log.Error("publish: listing the catalog failed", "err", err)
		return
	}
	for _, r := range list {
		if ctx.Err() != nil {
			return
		}
		var err error
		if !r.Summed {
			err = p.sum(ctx, r.Ref())
		}
		if err == nil {
			err = p.signAgain(ctx, r.Ref())
		}
		switch {
		case ctx.Err() != nil, errors.Is(err, ErrNotFound): // ctx has ended, or the release was withdrawn meanwhile
		case err != nil:
			p.opts.Log.Warn("publish: computing checksums failed", "release", r.Ref(), "err", err)
		}
	}
}

// sum computes the sums of a release and stores them in the catalog.
func (p *Publisher) sum(ctx context.Context, ref string) error {
	r, err := p.opts.Catalog.Get(ctx, ref)
	if err != nil {
		return err
	}
	sums := make([][32]byte, len(r.Files))
	buf := make([]byte, 1<<20)
	for i := range r.Files {
		if sums[i], err = p.sumFile(ctx, r, i, buf); err != nil {
			return fmt.Errorf("%s: %w", r.Files[i].Path, err)
		}
	}
	return p.opts.Catalog.SetSums(ctx, ref, r.Hash(), sums)
}

// Checksums returns the content of SHA256SUMS, which `sha256sum -c` reads in the directory
// of the download. It returns nil if r is not Summed. No name in it needs an escape.
func (r *Release) Checksums() []byte {
	if !r.Summed {
		return nil
	}
	var b bytes.Buffer
	name, paths := r.StoredName(), r.StoredPaths()
	for i, f := range r.Files {
		at := name
		if !r.Single {
			at += "/" + paths[i]
		}
		fmt.Fprintf(&b, "%x  %s\n", f.SHA256, at)
	}
	return b.Bytes()
}

// sumFile returns the SHA-256 of file i of r. It returns an error if the file has changed
// or was replaced since it was hashed, also if that happens while sumFile reads it.
func (p *Publisher) sumFile(ctx context.Context, r *Release, i int, buf []byte) (sum [32]byte, err error) {
	f, err := p.Open(ctx, r, i)
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
	return [32]byte(h.Sum(nil)), f.Check()
}

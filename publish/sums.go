package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Run computes the SHA-256 of every file of every release that has none yet, one
// file at a time, until ctx is over: what SHA256SUMS and Metalinks are made of. It
// signs them, and what else is not signed with the publisher's key.
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
		if sums[i], err = p.sumFile(ctx, r, i, buf); err != nil {
			return fmt.Errorf("%s: %w", r.Files[i].Path, err)
		}
	}
	return p.opts.Catalog.SetSums(ctx, ref, r.Hash(), sums)
}

// Checksums is the content of the release's SHA256SUMS, which `sha256sum -c` reads
// in the folder that the data was downloaded to; nil unless it is Summed.
func (r *Release) Checksums() []byte {
	if !r.Summed {
		return nil
	}
	var b bytes.Buffer
	for _, f := range r.Files {
		name := r.Name
		if !r.Single {
			name += "/" + f.Path
		}
		// As coreutils writes names that would break the line.
		if escaped := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name); escaped != name {
			b.WriteByte('\\')
			name = escaped
		}
		fmt.Fprintf(&b, "%x  %s\n", f.SHA256, name)
	}
	return b.Bytes()
}

// sumFile returns the SHA-256 of file i, if that is what was hashed both before
// and after.
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

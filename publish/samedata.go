package publish

import (
	"context"

	"spate/maker"
)

// sameData returns a v2 or hybrid release with the name and the files of r, or nil. Such a
// release was published when hybrids were the default. It has other info-hashes than the v1
// torrent that the default options make of the same data now, and stays as it is.
//
// The pieces roots of the files (BEP 52), which all these torrents have, tell whether the data
// is the same.
func (p *Publisher) sameData(ctx context.Context, r *Release, opts *maker.Options) (*Release, error) {
	if opts.Format != "" {
		return nil, nil
	}
	list, _, err := p.opts.Catalog.List(ctx, Query{All: true})
	if err != nil {
		return nil, err
	}
	for _, other := range list {
		if other.HashV2.IsZero() || other.Name != r.Name || other.Size != r.Size || other.NumFiles != r.NumFiles || other.Private != r.Private {
			continue
		}
		full, err := p.opts.Catalog.Get(ctx, other.Ref())
		if err != nil {
			return nil, err
		}
		if full.sameFiles(r) {
			return full, nil
		}
	}
	return nil, nil
}

// sameFiles reports whether r and other have files of the same paths and pieces roots.
func (r *Release) sameFiles(other *Release) bool {
	for i := range r.Files {
		f := &r.Files[i]
		k, ok := other.Lookup(f.Path)
		if !ok || other.Files[k].Length != f.Length || other.Files[k].PiecesRoot != f.PiecesRoot {
			return false
		}
	}
	return len(r.Files) == len(other.Files)
}

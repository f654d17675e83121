package publish

import (
	"fmt"
	"slices"

	"spate"
	"spate/internal/units"
)

// firstVersion is the default name of the first version of a slug.
const firstVersion = "1"

// Filled returns a copy of r in the form in which a catalog stores it with t: with a slug,
// a version and the sizes of the torrents. The copy shares the list of files with r.
func (r *Release) Filled(t Torrents) *Release {
	full := *r
	if full.Slug == "" {
		full.Slug = SlugOf(full.Name)
	}
	if full.Version == "" {
		full.Version = firstVersion
	}
	full.WebSeeds, full.Announce = slices.Clone(r.WebSeeds), cloneTiers(r.Announce)
	full.TorrentSize, full.Twin.TorrentSize = len(t.Main), len(t.Twin)
	full.Reindex()
	return &full
}

func cloneTiers(tiers [][]string) [][]string {
	out := make([][]string, len(tiers))
	for i, tier := range tiers {
		out[i] = slices.Clone(tier)
	}
	return out
}

// With returns a copy of r with the changes of c.
func (r *Release) With(c Change) (*Release, error) {
	with := *r
	set(&with.Group, c.Group)
	set(&with.Notes, c.Notes)
	set(&with.Signatures, c.Signatures)
	set(&with.Wanted, c.Wanted)
	set(&with.FirstCopy, c.FirstCopy)
	set(&with.Paused, c.Paused)
	set(&with.Watched, c.Watched)
	set(&with.Stamp, c.Stamp)
	if l := c.Links; l != nil {
		if (l.Torrents.Twin == nil) != r.Twin.Hash.IsZero() || l.Torrents.Main == nil {
			return nil, fmt.Errorf("publish: the new links of %q are not for its torrents", r.Ref())
		}
		with.Base, with.Announce, with.WebSeeds = l.Base, cloneTiers(l.Announce), slices.Clone(l.WebSeeds)
		with.Magnet, with.Twin.Magnet = l.Magnet, l.TwinMagnet
		with.TorrentSize, with.Twin.TorrentSize = len(l.Torrents.Main), len(l.Torrents.Twin)
	}
	if c.Location == nil {
		return &with, nil
	}
	if len(c.Location.Files) != len(r.Files) {
		return nil, fmt.Errorf("publish: %q has %s, and its new location has %d", r.Ref(), units.Plural(len(r.Files), "file"), len(c.Location.Files))
	}
	with.Path = c.Location.Path
	with.Files = make([]File, len(r.Files))
	for i, f := range r.Files {
		now := &c.Location.Files[i]
		f.ModTime, f.Inode, f.Change = now.ModTime, now.Inode, now.Change
		with.Files[i] = f
	}
	return &with, nil
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// WithSums returns a copy of r with the checksums of its files. It returns [ErrNotFound] if
// the main info-hash of r is not ih.
func (r *Release) WithSums(ih spate.InfoHash, sums [][32]byte) (*Release, error) {
	if r.Hash() != ih || len(sums) != len(r.Files) {
		return nil, fmt.Errorf("%w: %q has been replaced by another release", ErrNotFound, r.Ref())
	}
	with := *r
	with.Files = make([]File, len(r.Files))
	for i, f := range r.Files {
		f.SHA256 = sums[i]
		with.Files[i] = f
	}
	with.Summed = true
	return &with, nil
}

package publish

import (
	"context"
	"errors"
	"time"

	"spate"
)

// ErrNotFound is the cause when no release has the name that was asked for.
var ErrNotFound = errors.New("no such release")

// ErrExists is the cause when that version of a release is published already.
var ErrExists = errors.New("the release exists already")

// Catalog is the list of what is published. A release is in it exactly while it
// is tracked and seeded: the [Publisher] writes it last and deletes it first.
//
// A ref is a reference as [ParseRef] has it; a ref that names no version is
// resolved to the newest. What changes a release takes one that names it exactly,
// as [Release.Ref] does.
//
// Implementations are safe for concurrent use, keep nothing that a caller may
// change afterwards, and return releases that nobody changes any more.
// publishtest.TestCatalog is what they have to do.
type Catalog interface {
	// Put lists r together with its torrents. It fails with [ErrExists] if its
	// Ref or one of its info-hashes is taken, with [ErrLabel] if Slug, Version or
	// Variant cannot be part of a Ref, and then changes nothing.
	Put(ctx context.Context, r *Release, t Torrents) error
	// Delete unlists the release, or fails with [ErrNotFound]. Its history stays.
	Delete(ctx context.Context, ref string) error
	// Update changes what of a release can change, or fails with [ErrNotFound].
	Update(ctx context.Context, ref string, c Change) error
	// SetSums adds to the release the SHA-256 of each of its files, in their
	// order. It fails with [ErrNotFound] if its main info-hash is not ih.
	SetSums(ctx context.Context, ref string, ih spate.InfoHash, sums [][32]byte) error

	// Get returns the release with its files and notes, or [ErrNotFound].
	Get(ctx context.Context, ref string) (*Release, error)
	// Torrents returns the release's torrents, or [ErrNotFound]. The caller must
	// not change them.
	Torrents(ctx context.Context, ref string) (Torrents, error)
	// Find returns the release with that info-hash, of either half or of its
	// twin, or [ErrNotFound]. It comes as in a list.
	Find(ctx context.Context, ih spate.InfoHash) (*Release, error)
	// Family returns every version and variant of a slug as in a list, the newest
	// version first and variants by name; or [ErrNotFound].
	Family(ctx context.Context, slug string) ([]*Release, error)
	// List returns releases without their files and notes, and how many match q
	// in all.
	List(ctx context.Context, q Query) (releases []*Release, total int, err error)
	// Groups returns the groups that have releases, by name; "" is none.
	Groups(ctx context.Context) ([]GroupCount, error)

	// Count adds to the day of now in the history of ih, the main info-hash of a
	// release. When it returns, nothing but a failure of the disk undoes it.
	Count(ctx context.Context, ih spate.InfoHash, now time.Time, c Counts) error
	// History returns what was counted for ih, the zero hash for everything
	// together, since the day of since. One that never was counted has an empty
	// history.
	History(ctx context.Context, ih spate.InfoHash, since time.Time) (History, error)
}

// Torrents are the .torrent files of a release.
type Torrents struct {
	Main []byte
	Twin []byte // nil: the release has none
}

// Change says what of a release shall be otherwise; what is nil stays.
type Change struct {
	Group      *string
	Notes      *string
	Signatures *Signatures
	FirstCopy  *time.Duration
	Paused     *bool
	Location   *Location
	Watched    *string
	Stamp      *string
	Links      *Links
}

// Links are what of a release and its torrents names URLs. The info-hashes do not
// depend on them.
type Links struct {
	Base               string // as [Release.Base]
	Announce           [][]string
	WebSeeds           []string
	Magnet, TwinMagnet string
	Torrents           Torrents // Twin is nil just where it was
}

// Location is where the data lies, and what stands for each file there.
type Location struct {
	Path  string
	Files []File // as [Release.Files], of the same paths and lengths
}

// Query says which releases [Catalog.List] returns: newest first, and by slug
// where the time is equal. The zero Query asks for the newest version of each
// slug, in its first variant.
type Query struct {
	Text  string // every word of it is part of the slug, name, group, version or variant, whatever the case
	Group string // "": of any group
	// All asks for every version and variant.
	All    bool
	Offset int // how many to leave out
	Limit  int // how many at most; 0: all
}

// GroupCount is how many slugs a group has.
type GroupCount struct {
	Group string
	Slugs int
}

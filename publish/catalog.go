package publish

import (
	"context"
	"errors"
	"time"

	"spate"
	"spate/metainfo"
)

// ErrNotFound is the cause if no release has the requested reference or info-hash.
var ErrNotFound = errors.New("no such release")

// ErrExists is the cause if a release with the same reference or data is already listed.
var ErrExists = errors.New("the release exists already")

// Catalog is the list of the published releases. The [Publisher] adds a release after it
// has started to track and seed it, and deletes it before it stops.
//
// Arguments named ref are references, in the syntax of [ParseRef]. Methods that read
// resolve a ref without a version to the newest version. Methods that change a release need
// the exact reference, which [Release.Ref] returns.
//
// Implementations are safe for concurrent use. They copy their arguments, except for lists of
// files, which the caller must not change afterwards. They never change a release that they
// have returned. publishtest.TestCatalog tests an implementation.
type Catalog interface {
	// Put adds r and its torrents. It returns [ErrExists] if its reference or one of
	// its info-hashes is taken, and [ErrLabel] if Slug, Version or Variant cannot be
	// part of a reference. In both cases it changes nothing.
	Put(ctx context.Context, r *Release, t Torrents) error
	// Delete removes the release, or returns [ErrNotFound]. It keeps the release's history.
	Delete(ctx context.Context, ref string) error
	// Update applies c to a release, or returns [ErrNotFound].
	Update(ctx context.Context, ref string, c Change) error
	// SetSums sets the SHA-256 of each file of the release, in the order of the files.
	// It returns [ErrNotFound] if the main info-hash of the release is not ih.
	SetSums(ctx context.Context, ref string, ih spate.InfoHash, sums [][32]byte) error

	// Get returns the release with its files and notes, or [ErrNotFound].
	Get(ctx context.Context, ref string) (*Release, error)
	// Torrents returns the release's torrents, or [ErrNotFound]. The caller must
	// not change them.
	Torrents(ctx context.Context, ref string) (Torrents, error)
	// Find returns the release that has the info-hash ih among its [Release.AllHashes], or
	// [ErrNotFound]. Like List, it leaves out files and notes.
	Find(ctx context.Context, ih spate.InfoHash) (*Release, error)
	// Address returns the address of a slug to give to other people: its [NiceAddress], or the
	// slug itself if it has none. If several slugs have the same nice address, or it is a slug itself,
	// the address of all but the slug that was published first ends in a hash, also after that one was
	// deleted: no address leads to another slug later, except when a slug with that very name is added.
	// Methods that read resolve a reference with any address of a slug.
	Address(slug string) string
	// Family returns all versions and variants of a slug, or [ErrNotFound]. The newest
	// version comes first, and the variants of a version are sorted by name. Like List, it
	// leaves out files and notes.
	Family(ctx context.Context, slug string) ([]*Release, error)
	// List returns the releases that q selects, without files and notes, and the number
	// of all releases that match q.
	List(ctx context.Context, q Query) (releases []*Release, total int, err error)
	// Each calls f for each release with its files, notes and torrents, the newest first. It
	// is Get and Torrents for all releases at once. Each returns the first error of f, or the
	// cause of ctx. f may call other methods. It must not change the torrents. Each may
	// return or leave out releases that are added or deleted meanwhile.
	Each(ctx context.Context, f func(*Release, Torrents) error) error
	// Revision returns a number that every change of a release makes larger: Put, Delete,
	// Update and SetSums. A reader that calls Revision before it reads other methods has
	// read the present state as long as Revision returns the same number. It must return
	// quickly.
	Revision() uint64
	// Groups returns the groups that have releases, sorted by name. The name "" stands
	// for releases without a group.
	Groups(ctx context.Context) ([]GroupCount, error)

	// Count adds c to the history of ih, the main info-hash of a release, for the day that
	// contains now. The addition is durable when Count returns.
	Count(ctx context.Context, ih spate.InfoHash, now time.Time, c Counts) error
	// Total returns the total counts of ih, as History does, but must return quickly.
	Total(ctx context.Context, ih spate.InfoHash) (Counts, error)
	// History returns the total counts of ih, and the counts of each day, starting with the
	// day that contains since. The zero hash selects the sum of all releases. The history
	// of an unknown hash is empty.
	History(ctx context.Context, ih spate.InfoHash, since time.Time) (History, error)
}

// Torrents are the .torrent files of a release.
type Torrents struct {
	Main []byte
	Twin []byte // that of Release.Twin; nil if the release has none
	// V2Hashes holds the v2 hashes of Main that Main leaves out because of its size, as one
	// string of bytes: see [metainfo.V2Hashes]. It is nil if Main contains them or there are none.
	V2Hashes []byte
}

// AllV2Hashes returns the v2 hashes of Main as one string of bytes, whether Main contains them or
// not. It returns nil if Main has none. It does not check hashes that Main contains.
func (t *Torrents) AllV2Hashes() []byte {
	if t.V2Hashes != nil {
		return t.V2Hashes
	}
	return metainfo.RawV2Hashes(t.Main)
}

// Change describes changes of a release. Fields that are nil stay as they are.
type Change struct {
	Group      *string
	Notes      *string
	Signatures *Signatures
	Wanted     *time.Time
	FirstCopy  *time.Duration
	Paused     *bool
	Location   *Location
	Watched    *string
	Stamp      *string
	Links      *Links
}

// Links are the URLs of a release and the torrents that contain them. The info-hashes do
// not depend on them.
type Links struct {
	Base               string // as in [Release.Base]
	Announce           [][]string
	WebSeeds           []string
	Magnet, TwinMagnet string
	Torrents           Torrents // Twin is nil if the release has no twin
}

// Location is the path of the data, and the state of the files there.
type Location struct {
	Path  string
	Files []File // with the paths and lengths of [Release.Files], in the same order
}

// Query selects releases for [Catalog.List]. The newest come first, and releases of the
// same time are sorted by slug. The zero Query selects the first variant of the newest
// version of each slug.
type Query struct {
	// Text selects releases whose slug, name, group, version or variant contains every word
	// of Text, in upper or lower case.
	Text  string
	Group string // "" selects all groups
	// All selects every version and variant.
	All    bool
	Offset int // number of releases to skip
	Limit  int // maximum number of releases; 0: no limit
}

// GroupCount is the number of slugs in a group.
type GroupCount struct {
	Group string
	Slugs int
}

package publish

import (
	"context"
	"errors"

	"spate"
)

// ErrNotFound is the cause when no release has the name that was asked for.
var ErrNotFound = errors.New("no such release")

// ErrExists is the cause when a release of that name is published already.
var ErrExists = errors.New("a release of that name exists")

// Catalog is the list of what is published. A release is in it exactly while it
// is tracked and seeded: the [Publisher] writes it last and deletes it first.
//
// Implementations are safe for concurrent use, keep nothing that a caller may
// change afterwards, and return releases that nobody changes any more.
type Catalog interface {
	// Put lists r together with its .torrent. It fails with [ErrExists], and
	// changes nothing, if the name is taken.
	Put(ctx context.Context, r *Release, torrent []byte) error
	// Delete unlists the release, or fails with [ErrNotFound].
	Delete(ctx context.Context, name string) error
	// Get returns the release with its files, or [ErrNotFound].
	Get(ctx context.Context, name string) (*Release, error)
	// Torrent returns the bytes of the release's .torrent, which the caller must
	// not change, or [ErrNotFound].
	Torrent(ctx context.Context, name string) ([]byte, error)
	// SetSums adds to the release of that name the SHA-256 of each of its files,
	// in their order. It fails with [ErrNotFound] if its main info-hash is not ih.
	SetSums(ctx context.Context, name string, ih spate.InfoHash, sums [][32]byte) error
	// List returns releases without their files, and how many match q in all.
	List(ctx context.Context, q Query) (releases []*Release, total int, err error)
}

// Query says which releases [Catalog.List] returns: newest first, and by name
// where the time is equal. The zero Query asks for all.
type Query struct {
	Text   string // every word of it is part of the name, whatever the case
	Offset int    // how many to leave out
	Limit  int    // how many at most; 0: all
}

package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"spate"
	"spate/internal/folder"
)

// Keeper keeps the data of releases in a directory of its own, so that a version
// can still be had when what it was published from is replaced. It copies
// nothing: it clones files where the file system shares blocks (Btrfs, XFS), and
// links them elsewhere, which survives what is renamed, replaced or removed, but
// not what is written to in place. It needs one file system for both.
type Keeper struct{ dir string }

// NewKeeper returns a keeper in dir, which it makes when it is needed.
func NewKeeper(dir string) (*Keeper, error) {
	if dir == "" {
		return nil, errors.New("publish: a keeper needs a directory")
	}
	dir, err := filepath.Abs(dir)
	return &Keeper{dir}, err
}

// place is the directory of the release with that main info-hash.
func (k *Keeper) place(ih spate.InfoHash) string { return filepath.Join(k.dir, ih.String()) }

// Keep makes the data of r available at the path that it returns. If that cannot
// be done here, the error is [ErrNotKept]; if the data is not what was hashed any
// more, [ErrChanged] or [ErrGone].
func (k *Keeper) Keep(r *Release) (path string, err error) {
	place := k.place(r.Hash())
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return "", err
	}
	os.RemoveAll(place) // what a crash left
	path = filepath.Join(place, r.Name)
	for i := range r.Files {
		if err := r.keepFile(i, path); err != nil {
			os.RemoveAll(place)
			return "", err
		}
	}
	return path, nil
}

// keepFile makes file i of r available at path, or below it if r is a tree.
func (r *Release) keepFile(i int, path string) error {
	from, to := r.Path, path
	if !r.Single {
		name := filepath.FromSlash(r.Files[i].Path)
		from, to = filepath.Join(r.Path, name), filepath.Join(path, name)
	}
	f, err := r.Open(i)
	if err != nil {
		return fmt.Errorf("%s: %w", r.nameIn(r.Files[i].Path), err)
	}
	defer f.Close()
	if err = os.MkdirAll(filepath.Dir(to), 0o700); err == nil {
		err = cloneOrLink(f, from, to)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	return nil
}

// ErrNotKept is the cause when the data of a release cannot be kept without
// copying it.
var ErrNotKept = errors.New("older versions cannot be kept")

// cloneOrLink makes to the same data as f, which was opened at from.
func cloneOrLink(f *os.File, from, to string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := clone(f, to); err == nil {
		return os.Chtimes(to, info.ModTime(), info.ModTime())
	}
	return folder.Link(f, from, to)
}

// Drop removes what is kept of the release with that main info-hash, if anything
// is.
func (k *Keeper) Drop(ih spate.InfoHash) error { return os.RemoveAll(k.place(ih)) }

// Holds reports whether the data of r is kept here.
func (k *Keeper) Holds(r *Release) bool {
	return strings.HasPrefix(r.Path, k.place(r.Hash())+string(filepath.Separator))
}

// Sweep removes what is kept of releases that are not in the catalog.
func (k *Keeper) Sweep(ctx context.Context, c Catalog) error {
	list, _, err := c.List(ctx, Query{All: true})
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, r := range list {
		known[r.Hash().String()] = k.Holds(r)
	}
	entries, err := os.ReadDir(k.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !known[e.Name()] && len(e.Name()) == 40 {
			err = errors.Join(err, os.RemoveAll(filepath.Join(k.dir, e.Name())))
		}
	}
	return err
}

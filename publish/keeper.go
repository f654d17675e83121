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

// Keeper keeps the data of releases in a directory of its own, so that an older version
// stays available after its files were replaced. It does not copy data: it clones files if
// the file system can share blocks (Btrfs, XFS), and creates hard links otherwise. A hard
// link keeps the data if the original is renamed, replaced or removed, but not if another
// program writes to the original. The directory must be on the same file system as the
// data.
type Keeper struct{ dir string }

// NewKeeper returns a keeper in the directory dir, which Keep creates.
func NewKeeper(dir string) (*Keeper, error) {
	if dir == "" {
		return nil, errors.New("publish: a keeper needs a directory")
	}
	dir, err := filepath.Abs(dir)
	return &Keeper{dir}, err
}

// dirOf returns the directory for the release with the main info-hash ih.
func (k *Keeper) dirOf(ih spate.InfoHash) string { return filepath.Join(k.dir, ih.String()) }

// Keep clones or links the data of r and returns the new path. The error is [ErrNotKept] if
// the file system can do neither. It is [ErrChanged] or [ErrGone] if the data has changed
// or cannot be read.
func (k *Keeper) Keep(r *Release) (path string, err error) {
	dir := k.dirOf(r.Hash())
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return "", err
	}
	os.RemoveAll(dir) // left by a crash
	path = filepath.Join(dir, r.Name)
	for i := range r.Files {
		if err := r.keepFile(i, path); err != nil {
			os.RemoveAll(dir)
			return "", err
		}
	}
	return path, nil
}

// keepFile clones or links file i of r to path, or below path if r is a tree.
func (r *Release) keepFile(i int, path string) error {
	from, to := r.Path, path
	if !r.Single {
		name := filepath.FromSlash(r.Files[i].Path)
		from, to = filepath.Join(r.Path, name), filepath.Join(path, name)
	}
	f, err := r.OpenTouched(i) // because a link to another file of the tree can be a link to this one
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

// ErrNotKept is the cause if the data of a release cannot be kept without copying it.
var ErrNotKept = errors.New("older versions cannot be kept")

// cloneOrLink creates the file to with the data of f, which was opened at from.
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

// Drop removes the kept data of the release with the main info-hash ih, if there is any.
func (k *Keeper) Drop(ih spate.InfoHash) error { return os.RemoveAll(k.dirOf(ih)) }

// Holds reports whether the path of r is in the directory of the keeper.
func (k *Keeper) Holds(r *Release) bool {
	return strings.HasPrefix(r.Path, k.dirOf(r.Hash())+string(filepath.Separator))
}

// Sweep removes the kept data of releases that are not in the catalog.
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

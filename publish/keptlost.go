package publish

import (
	"context"
	"errors"
	"os"
	"time"

	"spate/internal/folder"
)

// keptLost reports whether the keeper holds r and a file of the kept data is gone or has
// another size.
func (p *Publisher) keptLost(ctx context.Context, r *Release) bool {
	if p.opts.Keeper == nil || !p.opts.Keeper.Holds(r) {
		return false
	}
	full, err := p.opts.Catalog.Get(ctx, r.Ref())
	if err != nil {
		return false
	}
	in, err := full.folder()
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	defer in.Close()
	for i := range full.Files {
		info, err := in.Stat(full.nameIn(full.Files[i].Path))
		if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() != full.Files[i].Length {
			return true
		}
	}
	return false
}

// useWatched seeds r from the data of its entry at path, because its kept data is lost. The
// recorded state of the files stays as it was, so the seeder checks a file that is not the
// one that was hashed.
func (p *Publisher) useWatched(ctx context.Context, r *Release, path string) error {
	full, err := p.opts.Catalog.Get(ctx, r.Ref())
	if err != nil {
		return err
	}
	c := Change{Location: &Location{Path: path, Files: full.Files}}
	if err := p.opts.Catalog.Update(ctx, r.Ref(), c); err != nil || r.Paused {
		return err
	}
	err = p.unseed(ctx, r)
	var out Restored
	if problem := p.restore(ctx, r.Ref(), &out); !errors.Is(problem, ErrChanged) { // the seeder checks changed files
		err = errors.Join(err, problem)
	}
	return err
}

// looksLost is a quick check before [Publisher.keptLost], because there is one for each release
// at each scan. It cannot see into a directory, so it lets one pass once in keptLook.
func (f *Folder) looksLost(r *Release) bool {
	info, err := os.Lstat(r.Path)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	if r.Single {
		return info.Size() != r.Size
	}
	if time.Since(f.keptSeen[r.Ref()]) < keptLook {
		return false
	}
	if f.keptSeen == nil {
		f.keptSeen = map[string]time.Time{}
	}
	f.keptSeen[r.Ref()] = time.Now()
	return true
}

// keptLook is the time between two looks at all kept files of a release.
const keptLook = time.Minute

// replaceLost makes r use the data of its unchanged entry if its kept data is lost.
func (f *Folder) replaceLost(ctx context.Context, in *folder.Folder, it item, r *Release) {
	if !f.looksLost(r) || !f.pub.keptLost(ctx, r) {
		return
	}
	at, err := f.dataPath(in, it)
	if err == nil {
		err = f.pub.useWatched(ctx, r, at)
	}
	if err != nil {
		f.opt.Log.Warn("publish: the kept data of a release is lost, and its entry cannot be used instead", "release", r.Ref(), "err", err)
		return
	}
	f.opt.Log.Warn("publish: the kept data of a release is lost: its entry in the watched folder is used instead", "release", r.Ref(), "path", at)
}

package publish

import (
	"context"
	"slices"

	"spate"
)

// Reaccept records the present state of the files of r as the one that was hashed, after the
// seeder has hashed them again and found the data good. The files may have other times or
// inodes than before, for example after they were restored from a backup. check compares
// the files with the state that the seeder hashed. Reaccept calls it after it has read the
// state, and changes nothing if it returns an error or if the files change meanwhile.
func (p *Publisher) Reaccept(ctx context.Context, r *Release, check func() error) error {
	if r.Path == "" || r.Paused {
		return nil
	}
	full, err := p.opts.Catalog.Get(ctx, r.Ref())
	if err != nil {
		return err
	}
	at := *full
	at.Files = slices.Clone(full.Files)
	if err := at.record(noStates); err != nil {
		return err
	}
	if slices.EqualFunc(at.Files, full.Files, sameState) {
		return nil
	}
	if err := check(); err != nil {
		return err
	}
	if err := at.Intact(); err != nil {
		return err
	}
	return p.opts.Catalog.Update(ctx, r.Ref(), Change{Location: &Location{Path: at.Path, Files: at.Files}})
}

// sameState reports whether a and b have the same recorded state.
func sameState(a, b File) bool {
	return a.ModTime.Equal(b.ModTime) && a.Inode == b.Inode && a.Change == b.Change
}

// SetServed tells the tracker whether this machine seeds r at present, for example after a
// file of r has changed.
func (p *Publisher) SetServed(r *Release, served bool) error {
	shown := *r
	shown.Paused = r.Paused || !served
	_, err := p.allow(&shown, new(undoStack))
	return err
}

// Unverified reports whether the seeder was last started with files of the release with the main
// info-hash ih that differed from the recorded ones, or whose recorded state was not complete.
func (p *Publisher) Unverified(ih spate.InfoHash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unverified[ih]
}

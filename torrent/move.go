package torrent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"spate"
	"spate/storage"
)

// ErrNotFiles is the error for moving or deleting the data of a torrent whose
// storage is none of files.
var ErrNotFiles = errors.New("torrent: the data is not in files")

// Move moves the data to the folder dir, which must exist, under another name for
// the file or the top of the tree if name is not empty; in the same folder it
// renames. Nothing may be there. Within one file system that is a moment; else the
// files are copied, synced and deleted where they were, and until that is done
// what is downloaded waits, while uploads go on. When it fails, or ctx is done
// first, everything is as it was, with an [*storage.Error] that says why.
//
// A check of the data that is under way is waited for.
func (t *Torrent) Move(ctx context.Context, dir, name string) error {
	m, ok := storage.As[storage.Mover](t.store)
	if !ok {
		return ErrNotFiles
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(ErrClosed) })()
	if err := t.lockPlace(ctx); err != nil {
		return err
	}
	err = m.MoveTo(ctx, dir, name)
	if err == nil {
		t.mu.Lock()
		t.dir, t.opt.Within = dir, ""
		t.dirty = true
		t.mu.Unlock()
	}
	t.place.Unlock()
	if err != nil {
		return fmt.Errorf("move %s: %w", t.name, err)
	}
	t.saveResume(false)
	return nil
}

// lockPlace waits until nobody writes to the files or looks at them.
func (t *Torrent) lockPlace(ctx context.Context) error {
	locked := make(chan struct{})
	go func() { t.place.Lock(); close(locked) }()
	select {
	case <-locked:
		switch {
		case t.ctx.Err() != nil:
			t.place.Unlock()
			return ErrClosed
		case ctx.Err() == nil:
			return nil
		}
		t.place.Unlock()
	case <-ctx.Done():
		go func() { <-locked; t.place.Unlock() }()
	}
	return context.Cause(ctx)
}

// inPlace runs f, an operation on the disk, while the files stay where they are.
func (t *Torrent) inPlace(f func() error) error {
	t.place.RLock()
	defer t.place.RUnlock()
	return t.s.onDisk(f)
}

// RemoveWithData is [Session.Remove], and deletes the files of the torrent, the
// directories that are then empty, and its resume data. Other files in these
// directories stay, and so do files that the torrent was added to only seed: that
// is an error wrapping [storage.ErrReadOnly]. After an error the torrent is gone
// from the session, with what could be deleted.
func (s *Session) RemoveWithData(ih spate.InfoHash) error {
	t, err := s.detach(ih)
	switch {
	case err != nil:
		return err
	case t == nil:
		return fmt.Errorf("delete a dormant torrent: %w", storage.ErrReadOnly)
	}
	defer t.finish()
	r, ok := storage.As[storage.Remover](t.store)
	if !ok {
		return ErrNotFiles
	}
	t.place.RLock() // a move that is under way ends first
	err = r.Remove()
	t.place.RUnlock()
	if err != nil {
		return fmt.Errorf("delete %s: %w", t.name, err)
	}
	if t.opt.ResumeDir == "" {
		return nil
	}
	return storage.RemoveResume(t.opt.ResumeDir, t.hash)
}

package torrent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"spate"
	"spate/storage"
)

// ErrNotFiles is the error for moving or deleting data that is not in files.
var ErrNotFiles = errors.New("torrent: the data is not in files")

// Move moves the data to the folder dir, which must exist. If name is not empty, the file
// or the top folder of the torrent gets that name. The target must not exist. Within one
// file system Move takes a moment. Otherwise it copies, syncs and deletes the files;
// meanwhile uploads continue, and downloads wait. If it fails or ctx is done, the data stays
// where it was, and the error is a [*storage.Error].
//
// Move waits for a check of the data to end.
func (t *Torrent) Move(ctx context.Context, dir, name string) error {
	m, ok := storage.As[storage.Mover](t.data.store)
	if !ok {
		return ErrNotFiles
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.life.ctx, func() { cancel(ErrClosed) })()
	if err := t.lockFiles(ctx); err != nil {
		return err
	}
	err = m.MoveTo(ctx, dir, name)
	if err == nil {
		t.mu.Lock()
		t.data.dir, t.opt.Within = dir, ""
		t.disk.dirty = true
		t.mu.Unlock()
	}
	t.data.mu.Unlock()
	if err != nil {
		return fmt.Errorf("move %s: %w", t.name, err)
	}
	t.saveResume(false)
	return nil
}

// lockFiles locks t.data.mu. It returns an error if ctx is done or the torrent halts first.
func (t *Torrent) lockFiles(ctx context.Context) error {
	locked := make(chan struct{})
	go func() { t.data.mu.Lock(); close(locked) }()
	select {
	case <-locked:
		switch {
		case t.life.ctx.Err() != nil:
			t.data.mu.Unlock()
			return ErrClosed
		case ctx.Err() == nil:
			return nil
		}
		t.data.mu.Unlock()
	case <-ctx.Done():
		go func() { <-locked; t.data.mu.Unlock() }()
	}
	return context.Cause(ctx)
}

// withFiles runs f, which operates on the disk. The files are not moved meanwhile.
func (t *Torrent) withFiles(f func() error) error {
	t.data.mu.RLock()
	defer t.data.mu.RUnlock()
	return t.s.onDisk(f)
}

// RemoveWithData removes a torrent like [Session.Remove], and deletes its files, those of
// its folders that become empty, and its resume data. It keeps other files in the folders.
// It deletes no files of a torrent that only seeds: the error wraps [storage.ErrReadOnly].
// After an error the torrent is removed from the session, and some files may be deleted.
func (s *Session) RemoveWithData(ih spate.InfoHash) error {
	t, dormant, err := s.detach(ih)
	switch {
	case err != nil:
		return err
	case dormant != nil:
		return fmt.Errorf("delete a dormant torrent: %w", storage.ErrReadOnly)
	}
	defer t.finish()
	r, ok := storage.As[storage.Remover](t.data.store)
	if !ok {
		return ErrNotFiles
	}
	t.data.mu.RLock() // waits for the end of a move
	err = r.Remove()
	t.data.mu.RUnlock()
	if err != nil {
		return fmt.Errorf("delete %s: %w", t.name, err)
	}
	if t.opt.ResumeDir == "" {
		return nil
	}
	return storage.RemoveResume(t.opt.ResumeDir, t.hash)
}

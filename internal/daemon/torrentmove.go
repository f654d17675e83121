package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"spate/internal/fault"
	"spate/metainfo"
	"spate/storage"
)

// Move moves the data of the torrent that ref names to the directory dir, which is created if only
// its last element is missing. On the same file system this is a rename. Otherwise the files are
// copied, synced, read again and compared, and then the old ones are deleted. The torrent does not run
// meanwhile. A crash at any time leaves the whole data in the old or the new directory,
// and the next start goes on with that.
func (t *Torrents) Move(ctx context.Context, ref, dir string, remote bool) error {
	e, err := t.find(ref)
	if err != nil {
		return err
	}
	if dir == "" {
		return fault.Usagef("the directory to move to is missing")
	}
	dir, within, err := t.folders.choose(dir, "", remote)
	if err != nil {
		return err
	}
	t.cancelStart(e)
	e.op.Lock()
	defer e.op.Unlock()
	t.mu.Lock()
	r := e.rec
	t.mu.Unlock()
	if r.Dir == dir {
		return nil
	}
	if r.Remove != "" {
		return errRemoved
	}
	if r.DataName != "" {
		if _, err := os.Lstat(filepath.Join(dir, r.DataName)); !errors.Is(err, fs.ErrNotExist) {
			return exists("", "%s exists", filepath.Join(dir, r.DataName))
		}
	}
	if err := t.stopHeld(e, phaseMoving); err != nil {
		return err
	}
	defer func() {
		t.mu.Lock()
		e.phase = phaseQueued
		t.mu.Unlock()
		t.wake()
	}()
	if err := t.update(e, func(r *torrentRecord) { r.MoveTo = dir }); err != nil {
		return err
	}
	files, err := t.moveData(ctx, &r, dir)
	if err != nil {
		return errors.Join(TransferError(err), t.update(e, func(r *torrentRecord) { r.MoveTo = "" }))
	}
	return t.moved(e, dir, within, files)
}

// movedFiles are the states of files before and after a move. It is nil if they are not known.
type movedFiles struct{ before, after []storage.FileStat }

// moveData moves the data of a torrent that the engine does not have. It warns if old files could not
// be deleted after they were copied.
func (t *Torrents) moveData(ctx context.Context, r *torrentRecord, dir string) (*movedFiles, error) {
	if !r.Known || r.DataName == "" {
		return nil, nil
	}
	mi, err := t.store.loadTorrent(r)
	if err != nil {
		return nil, err
	}
	files, err := t.dataOf(r, mi, r.Dir)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	was, err := files.Stats()
	if err != nil {
		return nil, err
	}
	files.AcceptStats(was)
	err = files.MoveTo(ctx, dir, "")
	if err != nil && files.Path() != filepath.Join(dir, r.DataName) {
		return nil, err
	}
	if err != nil {
		t.env.Warnf("%s was moved, but not all old files could be deleted: %v", r.Name, err)
	}
	now, err := files.Stats()
	if err != nil {
		return nil, nil // the engine checks the data
	}
	return &movedFiles{was, now}, nil
}

// moved records that the data of e is in dir. The caller holds e.op.
func (t *Torrents) moved(e *addedTorrent, dir, within string, files *movedFiles) error {
	t.mu.Lock()
	r := e.rec
	t.mu.Unlock()
	if err := t.moveResume(&r, dir, files); err != nil {
		return err
	}
	if err := t.update(e, func(r *torrentRecord) { r.Dir, r.Within, r.MoveTo = dir, within, "" }); err != nil {
		return err
	}
	t.tell("moved", e)
	return nil
}

// moveResume records in the resume data that the data is in dir. A file that was as recorded before
// the move is not checked again. After an interrupted move the states of the files are not known, so
// that the engine checks copies, because their inodes differ.
func (t *Torrents) moveResume(r *torrentRecord, dir string, files *movedFiles) error {
	rec, err := storage.LoadResume(t.store.dir, r.InfoHash)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var damaged *storage.CorruptError
	if errors.As(err, &damaged) {
		return nil // the data is checked
	}
	if err != nil {
		return err
	}
	if rec.Dir != r.Dir {
		return nil // it is about other data, or was changed before a crash
	}
	rec.Dir, rec.Device = dir, 0
	if files != nil {
		for i := range min(len(rec.Files), len(files.before)) {
			if was := files.before[i]; was.Exists && rec.Files[i].Same(was) {
				rec.Files[i] = files.after[i]
			}
		}
	}
	return storage.SaveResume(t.store.dir, rec)
}

// resumeOperations completes or undoes the operations that the end of the last process has
// interrupted.
func (t *Torrents) resumeOperations(ctx context.Context) {
	t.mu.Lock()
	var list []*addedTorrent
	for _, e := range t.order {
		if e.rec.Remove != "" || e.rec.MoveTo != "" {
			list = append(list, e)
		}
	}
	t.mu.Unlock()
	for _, e := range list {
		if err := t.resumeOperation(ctx, e); err != nil {
			t.mu.Lock()
			e.err = err
			t.mu.Unlock()
		}
	}
}

func (t *Torrents) resumeOperation(ctx context.Context, e *addedTorrent) error {
	e.op.Lock()
	defer e.op.Unlock()
	t.mu.Lock()
	r := e.rec
	t.mu.Unlock()
	if r.Remove != "" {
		return t.removeHeld(e)
	}
	there, err := t.finishMove(&r)
	if err != nil {
		return err
	}
	if there {
		return t.moved(e, r.MoveTo, "", nil)
	}
	return t.update(e, func(r *torrentRecord) { r.MoveTo = "" })
}

// finishMove finds out whether an interrupted move of the data has reached the new directory, and
// removes what is left in the other one. Copies are complete before the first old file is deleted:
// if an old file is missing, all data is in the new directory. The new path did not exist before
// the move, so that whatever is there is a copy.
func (t *Torrents) finishMove(r *torrentRecord) (there bool, err error) {
	if !r.Known || r.DataName == "" {
		return true, nil
	}
	exists := func(dir string) bool {
		_, err := os.Lstat(filepath.Join(dir, r.DataName))
		return err == nil
	}
	switch before, after := exists(r.Dir), exists(r.MoveTo); {
	case !after:
		return !before, nil
	case !before:
		return true, nil
	}
	mi, err := t.store.loadTorrent(r)
	if err != nil {
		return false, err
	}
	gone, err := t.someGone(r, mi)
	if err != nil {
		return false, err
	}
	leftover := r.MoveTo
	if gone {
		leftover = r.Dir
	}
	files, err := t.dataOf(r, mi, leftover)
	if err != nil {
		return false, err
	}
	return gone, files.Remove()
}

// someGone reports whether a file that the resume data lists is not in the old directory any more.
func (t *Torrents) someGone(r *torrentRecord, mi *metainfo.MetaInfo) (bool, error) {
	rec, err := storage.LoadResume(t.store.dir, r.InfoHash)
	if err != nil {
		return false, err
	}
	files, err := t.dataOf(r, mi, r.Dir)
	if err != nil {
		return false, err
	}
	defer files.Close()
	now, err := files.Stats()
	if err != nil {
		return false, err
	}
	for i := range min(len(now), len(rec.Files)) {
		if rec.Files[i].Exists && !now[i].Exists {
			return true, nil
		}
	}
	return false, nil
}

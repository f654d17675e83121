package torrent

import (
	"errors"
	"io/fs"
	"time"

	"spate/bitfield"
	"spate/storage"
)

// loadResume returns the record of an earlier run with the same files, or nil.
func (t *Torrent) loadResume() *storage.Record {
	if t.opt.ResumeDir == "" || t.files == nil {
		return nil
	}
	rec, err := storage.LoadResume(t.opt.ResumeDir, t.hash)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.log.Warn("resume data cannot be used: the data is checked", "err", err)
	}
	if rec == nil || rec.Dir != t.dir || rec.Have.Len() != t.info.NumPieces() {
		return nil
	}
	if rec.Recovered != nil {
		t.log.Warn("resume data is from an older record", "err", rec.Recovered)
	}
	t.uploaded.Store(rec.Uploaded)
	t.downloaded.Store(rec.Downloaded)
	t.mu.Lock()
	t.restartMetersLocked()
	t.mu.Unlock()
	return rec
}

// saveResume writes down what is verified, after it has reached the disk. clean
// says that nothing will be written to the files any more.
func (t *Torrent) saveResume(clean bool) {
	if t.opt.ResumeDir == "" || t.files == nil || t.pick == nil || t.asleep != nil {
		return
	}
	t.place.RLock()
	defer t.place.RUnlock()
	t.mu.Lock()
	if t.state == StateChecking || t.state == StateStopped || t.distrust || clean && !t.dirty && t.state == StateSeeding && t.recordClean {
		t.mu.Unlock()
		return
	}
	complete := t.pick.HaveCount() == t.info.NumPieces()
	rec := storage.Record{
		InfoHash: t.hash, Have: t.pick.Bitfield().Clone(), Clean: clean || complete, Dir: t.dir,
		Uploaded: t.uploaded.Load(), Downloaded: t.downloaded.Load(),
		Added: t.added, Completed: t.completed,
	}
	t.dirty = false
	t.recordClean = rec.Clean
	t.saved = time.Now()
	t.mu.Unlock()

	if err := t.sync(rec.Have); err != nil {
		if t.ctx.Err() != nil {
			t.log.Warn("the data could not be synced: it will be checked", "err", err)
		}
		t.fail(err)
		return
	}
	var err error
	rec.Files, err = t.files.Stats()
	if err == nil {
		err = storage.SaveResume(t.opt.ResumeDir, &rec)
	}
	if err != nil {
		t.log.Warn("saving resume data", "err", err)
		t.mu.Lock()
		t.dirty = true
		t.mu.Unlock()
	}
}

// sync makes sure that the pieces that were verified are on the disk. When that
// fails, those that came since it worked last are not believed: the torrent has to
// halt, and retry looks at them again.
func (t *Torrent) sync(have bitfield.Bitfield) error {
	err := t.s.onDisk(t.store.Sync)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil:
		t.distrust = true
	case t.completeLocked():
		t.synced = bitfield.Bitfield{} // nothing will be written any more
	default:
		t.synced = have
	}
	return err
}

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

// ErrGone is the cause when everything that was remembered of a torrent is gone and
// its directory is on another file system: its disk is not mounted. It is not
// fetched anew into what is there instead, unless AddOptions.Force is set.
var ErrGone = errors.New("the data is gone, and so is the file system it was on")

// mounted returns the error of a torrent whose disk is not mounted, as far as that
// can be told from what the files are now.
func (t *Torrent) mounted(rec *storage.Record, now []storage.FileStat) error {
	if t.opt.Force || rec.Have.None() || rec.Device == 0 || rec.Device == t.files.Device() {
		return nil
	}
	for i, v := range rec.Judge(now) {
		if v != storage.Gone && rec.Files[i].Exists && rec.Files[i].Size > 0 {
			return nil
		}
	}
	return &storage.Error{Op: "open", Path: t.dir, File: -1, Reason: storage.ErrMissing, Err: ErrGone}
}

// findAgain is findData in the place as it is now, for a torrent whose data was not
// found before.
func (t *Torrent) findAgain() (bitfield.Bitfield, error) {
	t.place.Lock()
	defer t.place.Unlock()
	if t.files != nil {
		t.store.Close()
		dir, err := t.openDir()
		if err != nil {
			return bitfield.Bitfield{}, err
		}
		t.mu.Lock()
		t.store, t.files = dir, dir
		t.mu.Unlock()
	}
	return t.findData()
}

// saveResume writes down what is verified, after it has reached the disk. clean
// says that nothing will be written to the files any more. Before the data was
// looked at there is nothing to write: the record of an earlier run stays.
func (t *Torrent) saveResume(clean bool) {
	if t.opt.ResumeDir == "" || t.files == nil || t.pick == nil || t.asleep != nil {
		return
	}
	t.place.RLock()
	defer t.place.RUnlock()
	t.mu.Lock()
	if !t.found || t.state == StateChecking || t.state == StateStopped || t.distrust || clean && !t.dirty && t.state == StateSeeding && t.recordClean {
		t.mu.Unlock()
		return
	}
	complete := t.pick.HaveCount() == t.info.NumPieces()
	rec := storage.Record{
		InfoHash: t.hash, Have: t.pick.Bitfield().Clone(), Clean: clean || complete, V1Only: t.v2PendingLocked(), Dir: t.dir, Device: t.files.Device(),
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

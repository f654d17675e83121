package torrent

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"spate/bitfield"
	"spate/storage"
)

// loadResume returns the record of an earlier run with the same files, or nil.
func (t *Torrent) loadResume() *storage.Record {
	if t.opt.ResumeDir == "" || t.data.files == nil {
		return nil
	}
	rec, err := storage.LoadResume(t.opt.ResumeDir, t.hash)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.log.Warn("resume data cannot be used, so the data is checked", "err", err)
	}
	if rec == nil || rec.Dir != t.data.dir || rec.Have.Len() != t.info.NumPieces() {
		return nil
	}
	if rec.Recovered != nil {
		t.log.Warn("resume data is from an older record", "err", rec.Recovered)
	}
	t.count.uploaded.Store(rec.Uploaded)
	t.count.downloaded.Store(rec.Downloaded)
	t.mu.Lock()
	t.restartMetersLocked()
	if !rec.Added.IsZero() {
		t.status.added = rec.Added
	}
	t.status.completed = rec.Completed
	t.status.told = rec.Have.Count() == rec.Have.Len()
	t.mu.Unlock()
	return rec
}

// ErrGone is the error of a torrent whose files are all gone while its folder is on another
// file system than before, most likely because its disk is not mounted. The torrent is not
// downloaded again, unless AddOptions.Force is set.
var ErrGone = errors.New("the data is gone, and so is the file system it was on")

// mounted returns an error if the disk of the torrent seems not to be mounted.
func (t *Torrent) mounted(rec *storage.Record, now []storage.FileStat) error {
	if t.opt.Force || rec.Have.None() || rec.Device == 0 || rec.Device == t.data.files.Device() {
		return nil
	}
	for i, v := range rec.Judge(now) {
		if v != storage.Gone && rec.Files[i].Exists && rec.Files[i].Size > 0 {
			return nil
		}
	}
	return &storage.Error{Op: "open", Path: t.data.dir, File: -1, Reason: storage.ErrMissing, Err: ErrGone}
}

// reopenAndFind opens the folder of the torrent again and returns the pieces on disk. It is
// for a torrent that failed before its data was found.
func (t *Torrent) reopenAndFind() (bitfield.Bitfield, error) {
	t.data.mu.Lock()
	defer t.data.mu.Unlock()
	if t.data.files != nil {
		t.data.store.Close()
		dir, err := t.openDir()
		if err != nil {
			return bitfield.Bitfield{}, err
		}
		t.mu.Lock()
		t.data.store, t.data.files = dir, dir
		t.mu.Unlock()
	}
	return t.findData()
}

// saveResume syncs the data and then records which pieces are verified. clean means that
// nothing will be written to the files any more. Before the data is checked it does
// nothing, so that the record of an earlier run stays.
func (t *Torrent) saveResume(clean bool) {
	if t.opt.ResumeDir == "" || t.data.files == nil || t.pick == nil || t.dormancy.record != nil {
		return
	}
	t.data.mu.RLock()
	defer t.data.mu.RUnlock()
	t.mu.Lock()
	if !t.disk.dataFound || t.status.state == StateChecking || t.status.state == StateStopped || t.disk.syncFailed || clean && !t.disk.dirty && t.status.state == StateSeeding && t.disk.recordClean {
		t.mu.Unlock()
		return
	}
	have := t.pick.Bitfield().Clone()
	if good := t.disk.rechecked.good; good.Len() == have.Len() { // the torrent halted, and its files were accepted since
		for i := range have.Ones() {
			if !good.Get(i) {
				have.Clear(i)
			}
		}
	}
	complete := have.All()
	rec := storage.Record{
		InfoHash: t.hash, Have: have, Clean: clean || complete, V1Only: t.v2PendingLocked(), Dir: t.data.dir, Device: t.data.files.Device(), Name: filepath.Base(t.data.files.Path()),
		Uploaded: t.count.uploaded.Load(), Downloaded: t.count.downloaded.Load(),
		Added: t.status.added, Completed: t.status.completed,
	}
	t.disk.dirty = false
	t.disk.recordClean = rec.Clean
	t.disk.saved = time.Now()
	t.mu.Unlock()

	if err := t.sync(rec.Have); err != nil {
		if t.life.ctx.Err() != nil {
			t.log.Warn("the data could not be synced, so it will be checked", "err", err)
		}
		t.fail(err)
		return
	}
	var err error
	rec.Files, err = t.data.files.RecordStats()
	if err == nil {
		err = storage.SaveResume(t.opt.ResumeDir, &rec)
	}
	if err != nil {
		t.log.Warn("saving resume data", "err", err)
		t.mu.Lock()
		t.disk.dirty = true
		t.mu.Unlock()
	}
}

// sync waits until the verified pieces are on disk. If it fails, the pieces since the last
// success may be lost: the caller must halt the torrent, and retry checks them.
func (t *Torrent) sync(have bitfield.Bitfield) error {
	err := t.s.onDisk(t.data.store.Sync)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil:
		t.disk.syncFailed = true
	case t.completeLocked():
		t.disk.synced = bitfield.Bitfield{} // nothing more will be written
	default:
		t.disk.synced = have
	}
	return err
}

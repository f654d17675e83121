package torrent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"spate/bitfield"
	"spate/storage"
	"spate/torrent/internal/peerlist"
)

// torrentStatus holds the state and the progress of a torrent. Torrent.mu guards it.
type torrentStatus struct {
	state                 State
	err                   error // why the torrent halted; nil if it did not
	started               bool
	failed                chan struct{} // closed when err is set, except during a repair; replaced when the torrent continues
	failedAt              time.Time     // when err was set
	repairing             bool          // err is set, but retry will repair the files
	repairs               int           // how often the files were repaired before the torrent was done
	leftOut               error         // why the first file that could not be stored was left out; nil if there is none
	done                  chan struct{} // closed when all wanted pieces are verified; replaced when more are wanted
	isDone                bool          // done is closed
	bytesTotal, bytesDone int64         // bytes of the wanted files: all, and verified
	added                 time.Time
	completed             time.Time // when the last wanted piece was verified; zero if data was missing since
	told                  bool      // "completed" was announced, or the data was complete when it was found
}

// Start starts a torrent that was added with AddOptions.Stopped. It checks the data, except
// for what resume data records, then announces the torrent and connects to peers.
func (t *Torrent) Start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status.started || t.life.ctx.Err() != nil {
		return
	}
	t.status.started = true
	t.setStateLocked(StateChecking)
	t.life.goroutines.Go(t.start)
}

func (t *Torrent) start() {
	t.data.mu.RLock()
	have, err := t.findData()
	t.data.mu.RUnlock()
	if t.life.ctx.Err() != nil {
		return
	}
	if err != nil {
		t.fail(err)
		return
	}
	t.inheritCandidates()
	t.mu.Lock()
	t.peers.Add(t.opt.Peers, peerlist.SourceManual)
	t.mu.Unlock()
	t.begin(have)
}

// begin starts to download or seed with the pieces that were found on disk.
func (t *Torrent) begin(have bitfield.Bitfield) {
	t.mu.Lock()
	t.disk.dataFound = true
	if t.pick != nil {
		t.pick.SetHave(have)
		if t.readOnly() {
			for i := range have.Zeros() {
				t.pick.SetPriority(i, i+1, 0)
			}
		}
	}
	t.countLocked()
	if have.None() && have.Len() > 0 {
		t.status.told = false // a new download
	}
	t.status.told = t.status.told || t.leftLocked() == 0
	t.updateUrgentLocked()
	t.disk.dirty = true
	complete := t.completeLocked()
	for _, l := range t.listsLocked() {
		l.SetSeeding(complete)
	}
	if !complete {
		t.setStateLocked(StateDownloading)
		t.status.completed = time.Time{}
	} else {
		t.setStateLocked(StateSeeding)
		t.pieces.bufs, t.pieces.slab, t.pieces.mostOpen = nil, nil, 0
	}
	t.mu.Unlock()
	if complete {
		if err := t.prepareFiles(); err != nil {
			t.fail(err)
			return
		}
		t.closeDone()
	}
	t.saveResume(false)
	t.s.announcer.Start(t.swarms(), t.count.uploaded.Load(), t.count.downloaded.Load())
	t.takeOverConns()
	t.dialMore(time.Now())
}

// readOnly reports whether the torrent never writes data.
func (t *Torrent) readOnly() bool { return t.opt.SeedOnly || t.opt.Verified }

// closeDone closes the channel of Done, unless the torrent is not complete any more.
func (t *Torrent) closeDone() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.status.isDone && t.status.state == StateSeeding {
		t.status.isDone = true
		close(t.status.done)
		t.emitLocked(Event{Kind: EventDone})
	}
}

// completeLocked reports whether every wanted piece is verified.
func (t *Torrent) completeLocked() bool {
	return t.pick == nil || t.pick.Complete() && !t.blindLocked()
}

// prepareFiles creates empty files, folders and links, because no piece contains them.
func (t *Torrent) prepareFiles() error {
	p, ok := storage.As[storage.Preparer](t.data.store)
	if !ok || t.readOnly() {
		return nil
	}
	return t.withFiles(p.Finish)
}

// fail halts the torrent because of an error of its data, closes its connections and announces
// "stopped". Verified pieces stay verified.
func (t *Torrent) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failLocked(err)
}

func (t *Torrent) failLocked(err error) {
	if t.status.err != nil || t.life.ctx.Err() != nil {
		return
	}
	t.status.err = err
	t.status.failedAt = time.Now()
	t.status.repairing = t.canRepairLocked(err)
	t.setStateLocked(StateFailed)
	if t.status.repairing {
		level := slog.LevelWarn
		if errors.Is(err, storage.ErrTouched) {
			level = slog.LevelInfo
		} else {
			t.status.repairs++
		}
		t.log.Log(t.life.ctx, level, "checking and repairing the data", "err", err)
		t.status.failedAt = time.Time{} // retry at the next tick
	} else {
		t.log.Info("torrent halted", "err", err)
	}
	for _, c := range t.peerConns.byID {
		if c != nil {
			c.dropLocked(errHalted)
		}
	}
	if !t.status.repairing {
		close(t.status.failed)
		t.s.announcer.Halt(t.swarms())
	}
}

// maxRepairs bounds how often a download is repaired, because another program may change
// the files again and again.
const maxRepairs = 8

// canRepairLocked reports whether a torrent can continue once its files were checked again: a
// download if another program has changed or removed some of them, and any torrent if its
// files were only touched.
func (t *Torrent) canRepairLocked(err error) bool {
	if errors.Is(err, storage.ErrTouched) && t.disk.dataFound {
		return true
	}
	if t.readOnly() || t.status.isDone || !t.disk.dataFound || t.status.repairs >= maxRepairs {
		return false
	}
	var e *storage.Error
	return errors.Is(err, storage.ErrChanged) || errors.Is(err, storage.ErrMissing) && errors.As(err, &e) && e.File >= 0
}

// giveUpRepairLocked ends the repair of a torrent, which stays halted with err.
func (t *Torrent) giveUpRepairLocked(err error) {
	if !t.status.repairing || t.life.ctx.Err() != nil {
		return
	}
	t.status.repairing, t.status.err = false, err
	t.log.Info("torrent halted", "err", err)
	close(t.status.failed)
	t.s.announcer.Halt(t.swarms())
}

var errHalted = errors.New("the torrent is halted")

// finished makes a seed of the torrent. It is called when the last wanted piece is verified.
func (t *Torrent) finished() {
	err := t.prepareFiles()
	if err == nil {
		t.mu.Lock()
		have := t.pick.Bitfield().Clone()
		t.mu.Unlock()
		t.data.mu.RLock()
		if err = t.sync(have); err == nil {
			err = t.unchanged(0, t.info.TotalLength()) // the files may have been moved or changed meanwhile
		}
		t.data.mu.RUnlock()
	}
	if err != nil {
		t.fail(err)
		return
	}
	t.mu.Lock()
	if t.status.state != StateDownloading || !t.completeLocked() {
		t.mu.Unlock()
		return
	}
	t.setStateLocked(StateSeeding)
	t.pick.SetHave(t.pick.Bitfield().Clone()) // frees the buffers of open pieces, which are not wanted
	for _, l := range t.listsLocked() {
		l.SetSeeding(true)
	}
	t.status.completed = time.Now()
	tell := !t.status.told && t.leftLocked() == 0
	t.status.told = t.status.told || tell
	t.pieces.bufs, t.pieces.slab, t.pieces.mostOpen = nil, nil, 0
	t.bad.suspects, t.bad.parked = map[int]*trial{}, map[int]*parkedPiece{}
	for _, c := range t.peerConns.byID {
		if c != nil && t.pick.PeerIsSeed(c.id) {
			c.dropLocked(errBothSeeds)
		}
	}
	t.tellUploadOnlyLocked()
	t.mu.Unlock()
	t.saveResume(false)
	if tell {
		t.s.announcer.Completed(t.dormancy.announced)
	}
	if w := t.twin.Load(); w != nil {
		t.s.announcer.Halt(w.announced) // because a tracker counts a leecher that becomes a seed as a second download
		t.announceTwin(w)
	}
	t.closeDone()
	t.log.Info("torrent complete", "bytes", t.info.DataLength())
}

var errBothSeeds = errors.New("both sides are seeds")

// halt ends the connections and goroutines of the torrent, waits for them and saves resume
// data.
func (t *Torrent) halt() {
	t.life.cancel()
	t.mu.Lock()
	if t.pieces.haveTimer != nil {
		t.pieces.haveTimer.Stop()
	}
	for _, c := range t.peerConns.byID {
		if c != nil {
			c.dropLocked(context.Canceled)
		}
	}
	t.super.Link(nil, nil)
	t.mu.Unlock()
	t.life.goroutines.Wait()
	t.finishRest()
	t.saveResume(true)
}

// finish closes the subscriptions and the storage. It is called after halt.
func (t *Torrent) finish() {
	t.endEvents()
	t.data.mu.Lock()
	defer t.data.mu.Unlock()
	if err := t.data.store.Close(); err != nil {
		t.log.Warn("closing the data", "err", err)
	}
}

// findData returns the pieces that are on disk.
func (t *Torrent) findData() (bitfield.Bitfield, error) {
	n := t.info.NumPieces()
	rec := t.loadResume()
	if t.opt.Verified && !t.touchedSince(rec) {
		all := bitfield.New(n)
		all.SetAll()
		return all, t.accept()
	}
	return t.check(rec)
}

// runsLocked reports whether the torrent exchanges data.
func (t *Torrent) runsLocked() bool {
	return t.life.ctx.Err() == nil && t.pick != nil && (t.status.state == StateDownloading || t.status.state == StateSeeding)
}

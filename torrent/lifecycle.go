package torrent

import (
	"context"
	"errors"
	"time"

	"spate/bitfield"
	"spate/storage"
	"spate/torrent/internal/peerlist"
)

// Start begins, or goes on after Stop: the data is checked as far as resume data
// leaves it open, then trackers and peers are asked.
func (t *Torrent) Start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.started || t.ctx.Err() != nil {
		return
	}
	t.started = true
	t.setStateLocked(StateChecking)
	t.loop.Go(t.start)
}

func (t *Torrent) start() {
	t.place.RLock()
	have, err := t.findData()
	t.place.RUnlock()
	if t.ctx.Err() != nil {
		return
	}
	if err != nil {
		t.fail(err)
		return
	}
	t.mu.Lock()
	t.peers.Add(t.opt.Peers, peerlist.SourceManual)
	t.mu.Unlock()
	t.begin(have)
}

// begin goes to work with the pieces that were found on disk.
func (t *Torrent) begin(have bitfield.Bitfield) {
	t.mu.Lock()
	t.found = true
	if t.pick != nil {
		t.pick.SetHave(have)
		if t.readOnly() {
			for i := range have.Zeros() {
				t.pick.SetPriority(i, i+1, 0)
			}
		}
	}
	t.countLocked()
	t.updateUrgentLocked()
	t.dirty = true
	complete := t.completeLocked()
	t.peers.SetSeeding(complete)
	if !complete {
		t.setStateLocked(StateDownloading)
	} else {
		t.setStateLocked(StateSeeding)
		t.bufs, t.slab = nil, nil
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
	t.s.announcer.start(t.anns, t.uploaded.Load(), t.downloaded.Load())
	t.takeOverConns()
	t.dialMore(time.Now())
}

// readOnly reports whether the torrent only gives what is there.
func (t *Torrent) readOnly() bool { return t.opt.SeedOnly || t.opt.Verified }

// closeDone says that the torrent is complete, unless more is wanted meanwhile.
func (t *Torrent) closeDone() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.isDone && t.state == StateSeeding {
		t.isDone = true
		close(t.done)
		t.emitLocked(Event{Kind: EventDone})
	}
}

// completeLocked reports whether every wanted piece is verified.
func (t *Torrent) completeLocked() bool {
	return t.pick == nil || t.pick.Complete() && !t.blindLocked()
}

// prepareFiles makes what no piece writes: empty files, directories, links.
func (t *Torrent) prepareFiles() error {
	p, ok := storage.As[storage.Preparer](t.store)
	if !ok || t.readOnly() {
		return nil
	}
	return t.inPlace(p.Finish)
}

// fail halts the torrent for a reason that has to do with its data. Peers are
// let go, what was verified stays verified.
func (t *Torrent) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failLocked(err)
}

func (t *Torrent) failLocked(err error) {
	if t.err != nil || t.ctx.Err() != nil {
		return
	}
	t.err = err
	t.setStateLocked(StateFailed)
	t.failedAt = time.Now()
	t.log.Info("torrent halted", "err", err)
	for _, c := range t.conns {
		if c != nil {
			c.dropLocked(errHalted)
		}
	}
	close(t.failed)
}

var errHalted = errors.New("the torrent is halted")

// finished is called once the last wanted piece is verified.
func (t *Torrent) finished() {
	err := t.prepareFiles()
	if err == nil {
		t.mu.Lock()
		have := t.pick.Bitfield().Clone()
		t.mu.Unlock()
		t.place.RLock()
		if err = t.sync(have); err == nil {
			err = t.unchanged(0, t.info.TotalLength()) // it is where it is said to be
		}
		t.place.RUnlock()
	}
	if err != nil {
		t.fail(err)
		return
	}
	t.mu.Lock()
	if t.state != StateDownloading || !t.completeLocked() {
		t.mu.Unlock()
		return
	}
	t.setStateLocked(StateSeeding)
	t.pick.SetHave(t.pick.Bitfield().Clone()) // what is open is not wanted, and its buffers go
	t.peers.SetSeeding(true)
	t.completed = time.Now()
	t.bufs, t.slab = nil, nil
	t.suspects, t.parked = map[int]*trial{}, map[int]*parkedPiece{}
	for _, c := range t.conns {
		if c != nil && t.pick.PeerIsSeed(c.id) {
			c.dropLocked(errBothSeeds)
		}
	}
	t.tellUploadOnlyLocked()
	t.mu.Unlock()
	t.saveResume(false)
	t.s.announcer.completed(t.anns)
	t.closeDone()
	t.log.Info("torrent complete", "bytes", t.info.DataLength())
}

var errBothSeeds = errors.New("both sides are seeds")

// halt ends the torrent's connections and goroutines and waits for them.
func (t *Torrent) halt() {
	t.cancel()
	t.mu.Lock()
	if t.haveTimer != nil {
		t.haveTimer.Stop()
	}
	for _, c := range t.conns {
		if c != nil {
			c.dropLocked(context.Canceled)
		}
	}
	t.mu.Unlock()
	t.loop.Wait()
	t.finishRest()
	t.saveResume(true)
}

// finish closes the data, after halt.
func (t *Torrent) finish() {
	t.endEvents()
	t.place.Lock()
	defer t.place.Unlock()
	if err := t.store.Close(); err != nil {
		t.log.Warn("closing the data", "err", err)
	}
}

// findData returns the pieces that are there already.
func (t *Torrent) findData() (bitfield.Bitfield, error) {
	n := t.info.NumPieces()
	if t.opt.Verified {
		all := bitfield.New(n)
		for i := range n {
			all.Set(i)
		}
		return all, t.accept()
	}
	return t.check(t.loadResume())
}

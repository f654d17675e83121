package torrent

import (
	"context"
	"errors"
	"time"

	"spate/bitfield"
	"spate/storage"
)

// Recheck reads and hashes all verified pieces again while the torrent continues. It reads
// one piece at a time, and then pauses as long as reading and hashing the piece took. It
// returns the number of pieces that are not good any more. If there are any, the torrent
// halts with [storage.ErrChanged], and soon continues with the good pieces; a torrent that
// only seeds continues once all data is good again. Recheck ends early with the error of
// ctx, the error that halted the torrent, or [ErrClosed].
func (t *Torrent) Recheck(ctx context.Context) (bad int, err error) {
	defer t.Subscribe(1).Close() // a torrent with a subscription does not become dormant
	t.mu.Lock()
	if t.status.state != StateDownloading && t.status.state != StateSeeding {
		err = t.status.err
		t.mu.Unlock()
		return 0, err
	}
	good := t.pick.Bitfield().Clone()
	t.mu.Unlock()

	broken := bitfield.New(good.Len())
	var l pieceChecker
	defer l.release(t.s.buf)
	for i := range good.Ones() {
		began := time.Now()
		t.data.mu.RLock()
		ok, failed := l.check(t, []int{i})
		if errors.Is(failed, storage.ErrTouched) && t.accept() == nil { // all pieces are checked anyway
			ok, failed = l.check(t, []int{i})
		}
		t.data.mu.RUnlock()
		switch {
		case t.life.ctx.Err() != nil:
			return bad, ErrClosed
		case failed != nil:
			t.fail(failed)
			return bad, failed
		case !ok[0]:
			broken.Set(i)
			bad++
		}
		select {
		case <-time.After(time.Since(began)):
		case <-t.life.ctx.Done():
			return bad, ErrClosed
		case <-ctx.Done():
		}
		if err = ctx.Err(); err != nil {
			break
		}
	}
	if bad > 0 {
		t.foundBroken(broken)
	}
	return bad, err
}

// foundBroken halts the torrent because of pieces that are not good any more. retry hashes
// them again.
func (t *Torrent) foundBroken(broken bitfield.Bitfield) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status.state != StateDownloading && t.status.state != StateSeeding {
		return
	}
	good := t.pick.Bitfield().Clone()
	for i := range broken.Ones() {
		good.Clear(i)
	}
	t.disk.rechecked = recheckState{good, broken}
	t.failLocked(&storage.Error{Op: "check", Path: t.Path(), File: -1, Reason: storage.ErrChanged})
}

// retry checks the data of a halted torrent again. If the check succeeds, the torrent
// continues.
func (t *Torrent) retry() {
	t.mu.Lock()
	if t.status.state != StateFailed || t.peerConns.n > 0 || t.web != nil && t.web.conns > 0 || t.life.ctx.Err() != nil {
		t.mu.Unlock()
		return
	}
	t.status.failedAt = time.Now()
	found, had := t.disk.dataFound, bitfield.New(t.info.NumPieces())
	if t.pick != nil {
		had = t.pick.Bitfield().Clone()
	}
	if t.disk.syncFailed {
		for i := range had.Ones() {
			if i >= t.disk.synced.Len() || !t.disk.synced.Get(i) {
				had.Clear(i)
			}
		}
		t.disk.syncFailed, t.disk.rechecked = false, recheckState{had, bitfield.New(had.Len())}
	}
	t.mu.Unlock()

	var have bitfield.Bitfield
	var err error
	if found {
		t.data.mu.RLock()
		have, err = t.recheck(had)
		t.data.mu.RUnlock()
	} else {
		have, err = t.reopenAndFind()
	}
	t.mu.Lock()
	switch {
	case err != nil:
		t.status.repairs++
		if !t.canRepairLocked(err) {
			t.giveUpRepairLocked(err)
		}
	case t.readOnly() && have.Count() < had.Count():
		t.giveUpRepairLocked(t.status.err)
	}
	t.mu.Unlock()
	if err != nil || t.readOnly() && have.Count() < had.Count() {
		return
	}
	t.mu.Lock()
	if t.life.ctx.Err() == nil {
		t.disk.rechecked = recheckState{}
		t.log.Info("torrent continues", "after", t.status.err)
		t.status.err = nil
		if !t.status.repairing {
			t.status.failed = make(chan struct{})
		}
		t.status.repairing = false
		err = t.newPicker(t.rng.Uint64())
	}
	t.mu.Unlock()
	if err == nil && t.life.ctx.Err() == nil {
		t.begin(have)
	}
}

// recheckState holds the pieces that were hashed since the files were last accepted.
type recheckState struct {
	good, bad bitfield.Bitfield // length 0 before the first check; replaced and not changed
}

// recheck returns the pieces that are good on disk; had contains the pieces that were good
// before. It hashes only pieces whose files have changed since they were last hashed.
func (t *Torrent) recheck(had bitfield.Bitfield) (bitfield.Bitfield, error) {
	n := had.Len()
	if t.disk.rechecked.good.Len() != n {
		t.setRechecked(had, bitfield.New(n))
	}
	have, bad := bitfield.New(n), bitfield.New(n)
	touched := bitfield.New(n)
	var now []storage.FileStat
	if t.data.files != nil {
		var err error
		if now, err = t.data.files.Stats(); err != nil {
			return have, err
		}
		touched = t.touchedPieces(t.data.files.Accepted(), now, t.disk.rechecked.good)
	}
	var unsure []int
	_, detects := storage.As[storage.ChangeDetector](t.data.store)
	for i := range n {
		same := detects && t.unchanged(int64(i)*t.info.PieceLength, t.info.PieceSize(i)) == nil
		switch {
		case (same || touched.Get(i)) && t.disk.rechecked.good.Get(i):
			have.Set(i)
		case same && t.disk.rechecked.bad.Get(i):
			bad.Set(i)
		case t.holdsData(i) || t.isZeros(i):
			unsure = append(unsure, i)
		}
	}
	known := have.Clone() // if hashing fails
	for i := range touched.Ones() {
		known.Clear(i)
	}
	t.setRechecked(known, bad) // before the call of accept, so that no record has other pieces with the accepted state
	// After this call reads fail if the files have changed since their state was taken.
	if err := t.acceptStats(now); err != nil {
		return have, err
	}
	unsure = t.leaveOutLonger(unsure, have)
	for i := range touched.Ones() {
		if !have.Get(i) {
			touched.Clear(i)
		}
	}
	if err := t.checkTouched(touched, have); err != nil {
		return have, err
	}
	if err := t.hashPieces(t.life.ctx, unsure, have); err != nil {
		return have, err
	}
	for _, i := range unsure {
		if !have.Get(i) {
			bad.Set(i)
		}
	}
	for i := range touched.Ones() {
		if !have.Get(i) {
			bad.Set(i)
		}
	}
	t.setRechecked(have.Clone(), bad)
	return have, nil
}

// setRechecked records the pieces that were hashed since the files were last accepted.
func (t *Torrent) setRechecked(good, bad bitfield.Bitfield) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.disk.rechecked = recheckState{good, bad}
}

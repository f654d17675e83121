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

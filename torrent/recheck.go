package torrent

import (
	"context"
	"time"

	"spate/bitfield"
	"spate/storage"
)

// Recheck reads everything that is verified and holds it against its hashes again,
// while the torrent goes on. It is in nobody's way: it reads one piece at a time
// and rests as long as that took. It returns how many pieces are no longer good;
// then the torrent halts with [storage.ErrChanged] and goes on by itself with the
// others, or, where it only seeds, once the data is good again. It ends early with
// ctx's error, the reason when the torrent is halted, or [ErrClosed].
func (t *Torrent) Recheck(ctx context.Context) (bad int, err error) {
	defer t.Subscribe(1).Close() // it does not fall asleep
	t.mu.Lock()
	if t.state != StateDownloading && t.state != StateSeeding {
		err = t.err
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
		t.place.RLock()
		ok, failed := l.check(t, []int{i})
		t.place.RUnlock()
		switch {
		case t.ctx.Err() != nil:
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
		case <-t.ctx.Done():
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

// foundBroken halts the torrent because of pieces that are no longer good; the next
// look at the data does not believe them.
func (t *Torrent) foundBroken(broken bitfield.Bitfield) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != StateDownloading && t.state != StateSeeding {
		return
	}
	good := t.pick.Bitfield().Clone()
	for i := range broken.Ones() {
		good.Clear(i)
	}
	t.second = secondLook{good, broken}
	t.failLocked(&storage.Error{Op: "check", Path: t.Path(), File: -1, Reason: storage.ErrChanged})
}

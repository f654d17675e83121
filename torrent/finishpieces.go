package torrent

import (
	"crypto/sha1"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"spate/internal/hashing"
)

// Pieces that the connections of a torrent complete pass these steps:
//
//  1. gather       collects pieces while they complete quickly, because hashing many pieces
//     together takes little more time than hashing one. If pieces complete slowly, each
//     reader finishes its pieces itself
//  2. help         a helper goroutine takes collected pieces, if a processor may be free
//     for it, so that the readers continue to read. Readers that complete more pieces
//     than the helper takes wait, so that a slow disk holds back the peers
//  3. finishDue    takes the collected pieces if no further ones complete in time
//  4. finishBatch  hashes pieces, writes them and announces them with have messages
//
// finishRest finishes the pieces that are left when the torrent halts.

const (
	// maxTogether bounds the pieces that are hashed together. The widest vector
	// instructions hash that many at once.
	maxTogether = 16
	// minWide is the least number of pieces for which waiting for a wide batch is
	// worth it. Fewer are hashed in pairs.
	minWide = 12
	// maxWait bounds the time that a piece waits for others.
	maxWait = 40 * time.Millisecond
	// pairGap is the longest time between two pieces that are hashed as a pair.
	pairGap = maxWait / 4
)

// finishing holds the complete pieces of a torrent until they are verified and written.
// mu guards the fields below it; no other lock is taken while it is held.
type finishing struct {
	unfinished atomic.Int32 // complete pieces that are neither verified nor failed yet

	mu       sync.Mutex
	changed  sync.Cond // signaled, with the lock mu, when complete becomes shorter or a helper ends
	complete []completePiece
	helpers  int  // goroutines that run help
	due      bool // a helper should take all pieces, however few
	timer    *time.Timer
	last     time.Time     // when the last piece was completed
	gap      time.Duration // average time between the last few pieces
	spare    *batch        // reused by the next helper
}

// batch holds pieces that are finished together, and their hash states.
type batch struct {
	pieces  []completePiece
	digests [maxTogether]hashing.SHA1
	sums    [maxTogether]*hashing.SHA1
	parts   [maxTogether][]byte
}

// gather adds complete pieces of the caller; last says that no more pieces are expected.
// It returns when they are finished or another goroutine will finish them.
func (t *Torrent) gather(whole []completePiece, last bool) {
	f := &t.fin
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pacedLocked(time.Now(), len(whole))
	if len(f.complete) == 0 {
		f.awaitLocked(t.finishDue)
	}
	f.complete = append(f.complete, whole...)
	for len(f.complete) > 0 {
		n := t.togetherLocked()
		switch {
		case last || n == 1:
			t.finishHereLocked()
		case len(f.complete) < n:
			return
		case t.startHelperLocked():
		case f.helpers == 0:
			t.finishHereLocked()
		default:
			f.changed.Wait()
			f.last = time.Now() // do not count this wait: gap measures the peers
		}
	}
}

// pacedLocked updates gap after n pieces were completed.
func (f *finishing) pacedLocked(now time.Time, n int) {
	gap := min(now.Sub(f.last), time.Second) / time.Duration(n)
	f.gap, f.last = (f.gap+gap)/2, now
}

// togetherLocked returns how many pieces to finish together at the current rate.
func (t *Torrent) togetherLocked() int {
	gap := t.fin.gap
	if gap > pairGap {
		return 1
	}
	n := min(hashing.Width(), 1+int(maxWait/max(gap, 1)), t.openPieces()/2)
	if n < minWide || !t.info.HasV1() {
		return 2
	}
	return n
}

// awaitLocked calls due after maxWait.
func (f *finishing) awaitLocked(due func()) {
	if f.timer == nil {
		f.timer = time.AfterFunc(maxWait, due)
	} else {
		f.timer.Reset(maxWait)
	}
}

// takeLocked removes the pieces that have waited longest and returns them as a batch.
func (f *finishing) takeLocked() *batch {
	b := f.spare
	f.spare = nil
	if b == nil {
		b = &batch{}
	}
	n := min(len(f.complete), maxTogether)
	b.pieces = append(b.pieces[:0], f.complete[:n]...)
	f.complete = slices.Delete(f.complete, 0, n)
	f.due = f.due && len(f.complete) > 0
	f.changed.Broadcast()
	return b
}

// finishHereLocked finishes the pieces that have waited longest. It releases the lock
// meanwhile.
func (t *Torrent) finishHereLocked() {
	b := t.fin.takeLocked()
	t.fin.mu.Unlock()
	t.finishBatch(b)
	t.fin.mu.Lock()
	t.fin.spare = b
}

// startHelperLocked starts a helper for the waiting pieces, if the session may have one
// more. It releases the lock meanwhile.
func (t *Torrent) startHelperLocked() bool {
	select {
	case t.s.helpers <- struct{}{}:
	default:
		return false
	}
	b := t.fin.takeLocked()
	t.fin.helpers++
	t.fin.mu.Unlock()
	defer t.fin.mu.Lock()
	run := t.s.inTurn(func() {
		t.help(b)
		<-t.s.helpers
	})
	if !t.spawn(run) {
		run()
	}
	return true
}

// finishDue finishes the waiting pieces, because no further ones completed in time.
func (t *Torrent) finishDue() {
	t.spawn(t.s.inTurn(func() {
		f := &t.fin
		f.mu.Lock()
		f.due = len(f.complete) > 0
		if !f.due || f.helpers > 0 {
			f.mu.Unlock()
			return
		}
		b := f.takeLocked()
		f.helpers++
		f.mu.Unlock()
		t.help(b)
	}))
}

// help finishes b, and then further batches while enough pieces wait for one.
func (t *Torrent) help(b *batch) {
	f := &t.fin
	for more := true; more; {
		t.finishBatch(b)
		f.mu.Lock()
		f.spare = b
		more = f.due || len(f.complete) > 0 && len(f.complete) >= t.togetherLocked()
		if more {
			b = f.takeLocked()
		} else {
			f.helpers--
			f.changed.Broadcast()
		}
		f.mu.Unlock()
	}
}

// finishRest finishes the waiting pieces when no reader and no helper is left.
func (t *Torrent) finishRest() {
	f := &t.fin
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
	}
	for len(f.complete) > 0 {
		t.finishHereLocked()
	}
}

// finishBatch hashes the pieces of b together, and then verifies, writes and announces each
// of them.
func (t *Torrent) finishBatch(b *batch) {
	few := b.pieces
	if t.info.HasV1() {
		for i, w := range few {
			b.digests[i].Reset()
			b.sums[i], b.parts[i] = &b.digests[i], w.data
		}
		hashing.WriteSHA1(b.sums[:len(few)], b.parts[:len(few)])
	}
	for i, w := range few {
		var sum [sha1.Size]byte
		if t.info.HasV1() {
			sum = b.digests[i].Sum()
		}
		t.finishSummed(w, sum)
		t.fin.unfinished.Add(-1)
	}
	clear(b.pieces)
	clear(b.parts[:])
}

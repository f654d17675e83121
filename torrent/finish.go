package torrent

import (
	"crypto/sha1"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"spate/internal/hashing"
)

// What becomes of the pieces that the connections of a torrent complete:
//
//  1. gather     while they come fast they wait for each other: many are hashed
//     together in little more time than one. A piece that comes alone is finished by
//     the reader that completed it
//  2. help       a helper takes those that waited, if a processor may be free for
//     it, so that the readers go on reading. While it has not taken them the
//     readers that complete more wait, so that a slow disk holds back the peers
//  3. finishDue  what waited for others in vain
//  4. judgeAll   hash, write, say so
//
// Pieces that nobody waits for any more, because the torrent halts, are finished by
// finishRest.

const (
	// mostTogether is how many pieces are hashed together at most: as many as the
	// widest vectors have lanes.
	mostTogether = 16
	// leastWide is where wide vectors begin to be worth their wait; below it pieces
	// go in pairs.
	leastWide = 12
	// longestWait bounds how long a piece waits for others.
	longestWait = 40 * time.Millisecond
	// pairGap is the longest time between two pieces that go in pairs.
	pairGap = longestWait / 4
)

// finishing is what a torrent has for the pieces that are whole.
type finishing struct {
	unjudged atomic.Int32 // pieces that are whole, and neither verified nor failed

	mu      sync.Mutex
	room    sync.Cond // of mu: told when whole has become shorter, or a helper has ended
	whole   []wholePiece
	helpers int
	due     bool // a helper is to take what there is, however little
	timer   *time.Timer
	last    time.Time     // when a piece became whole last
	gap     time.Duration // between pieces, on average of the last few
	spare   *batch        // for the next helper
}

// batch is pieces that are finished together, and scratch for that.
type batch struct {
	whole   []wholePiece
	digests [mostTogether]hashing.SHA1
	sums    [mostTogether]*hashing.SHA1
	parts   [mostTogether][]byte
}

// gather takes pieces that the caller has completed; last says that no others are
// awaited. It returns when they are judged, or others will judge them.
func (t *Torrent) gather(whole []wholePiece, last bool) {
	f := &t.fin
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pacedLocked(time.Now(), len(whole))
	if len(f.whole) == 0 {
		f.awaitLocked(t.finishDue)
	}
	f.whole = append(f.whole, whole...)
	for len(f.whole) > 0 {
		n := t.togetherLocked()
		switch {
		case last || n == 1:
			t.judgeHereLocked()
		case len(f.whole) < n:
			return
		case t.callHelperLocked():
		case f.helpers == 0:
			t.judgeHereLocked()
		default:
			f.room.Wait()
			f.last = time.Now() // the pace is that of the peers
		}
	}
}

// pacedLocked notes that n pieces are whole.
func (f *finishing) pacedLocked(now time.Time, n int) {
	gap := min(now.Sub(f.last), time.Second) / time.Duration(n)
	f.gap, f.last = (f.gap+gap)/2, now
}

// togetherLocked is how many pieces are finished together at the pace at which they
// come.
func (t *Torrent) togetherLocked() int {
	gap := t.fin.gap
	if gap > pairGap {
		return 1
	}
	n := min(hashing.Width(), 1+int(longestWait/max(gap, 1)), t.openPieces()/2)
	if n < leastWide || !t.info.HasV1() {
		return 2
	}
	return n
}

// awaitLocked makes due be called when what comes next has waited long enough.
func (f *finishing) awaitLocked(due func()) {
	if f.timer == nil {
		f.timer = time.AfterFunc(longestWait, due)
	} else {
		f.timer.Reset(longestWait)
	}
}

// takeLocked returns the pieces that have waited longest.
func (f *finishing) takeLocked() *batch {
	b := f.spare
	if f.spare = nil; b == nil {
		b = &batch{}
	}
	n := min(len(f.whole), mostTogether)
	b.whole = append(b.whole[:0], f.whole[:n]...)
	f.whole = slices.Delete(f.whole, 0, n)
	f.due = f.due && len(f.whole) > 0
	f.room.Broadcast()
	return b
}

// judgeHereLocked judges the pieces that have waited longest, without the lock.
func (t *Torrent) judgeHereLocked() {
	b := t.fin.takeLocked()
	t.fin.mu.Unlock()
	t.judgeAll(b)
	t.fin.mu.Lock()
	t.fin.spare = b
}

// callHelperLocked gives what waits to a new helper, if there may be one more.
func (t *Torrent) callHelperLocked() bool {
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

// finishDue is called when pieces have waited for others in vain.
func (t *Torrent) finishDue() {
	t.spawn(t.s.inTurn(func() {
		f := &t.fin
		f.mu.Lock()
		if f.due = len(f.whole) > 0; !f.due || f.helpers > 0 {
			f.mu.Unlock()
			return
		}
		b := f.takeLocked()
		f.helpers++
		f.mu.Unlock()
		t.help(b)
	}))
}

// help judges pieces as long as as many wait as are judged together.
func (t *Torrent) help(b *batch) {
	f := &t.fin
	for more := true; more; {
		t.judgeAll(b)
		f.mu.Lock()
		f.spare = b
		if more = f.due || len(f.whole) > 0 && len(f.whole) >= t.togetherLocked(); more {
			b = f.takeLocked()
		} else {
			f.helpers--
			f.room.Broadcast()
		}
		f.mu.Unlock()
	}
}

// finishRest finishes what waits, once nobody else does.
func (t *Torrent) finishRest() {
	f := &t.fin
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
	}
	for len(f.whole) > 0 {
		t.judgeHereLocked()
	}
}

// judgeAll hashes the pieces while they are warm, writes them, and says so.
func (t *Torrent) judgeAll(b *batch) {
	few := b.whole
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
		t.fin.unjudged.Add(-1)
	}
	clear(b.whole)
	clear(b.parts[:])
}

package torrent

import (
	"context"
	"crypto/sha1"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"spate/bitfield"
	"spate/storage"
)

// check returns the pieces that are on disk. What a record calls good and the
// files do not contradict is believed; other pieces are hashed where their files
// hold anything.
func (t *Torrent) check(rec *storage.Record) (bitfield.Bitfield, error) {
	n := t.info.NumPieces()
	have := bitfield.New(n)
	suspect := bitfield.New(n)
	suspect.SetAll()
	var now []storage.FileStat
	if rec != nil {
		var err error
		if now, err = t.files.Stats(); err == nil {
			err = t.mounted(rec, now)
		}
		if err != nil {
			return have, err
		}
	}
	if p, ok := storage.As[storage.Preparer](t.store); ok && !t.readOnly() {
		if err := t.s.onDisk(p.Prepare); err != nil {
			return have, err
		}
	}
	if rec != nil {
		have, suspect = rec.Reconcile(t.files.Layout(), t.info.PieceLength, now)
		if rec.V1Only && len(t.hashWants) == 0 { // the other half is known now
			for i := range have.Ones() {
				suspect.Set(i)
			}
			have = bitfield.New(have.Len())
		}
	}
	var unsure []int
	data := int64(0) // nothing is stored between the piece before and here
	for i := range suspect.Ones() {
		if have.Get(i) {
			continue
		}
		off := int64(i) * t.info.PieceLength
		if data <= off {
			data = t.nextData(off)
		}
		if data < off+t.info.PieceSize(i) || t.isZeros(i) {
			unsure = append(unsure, i)
		}
	}
	if len(unsure) > 0 {
		t.log.Info("checking data", "pieces", len(unsure))
	}
	// Reads fail from here on if somebody changes the files.
	if err := t.accept(); err != nil {
		return have, err
	}
	err := t.hashPieces(t.ctx, unsure, have)
	if t.files != nil {
		for _, i := range unsure {
			if have.Get(i) {
				t.files.Unsynced(int64(i)*t.info.PieceLength, t.info.PieceSize(i))
			}
		}
	}
	return have, err
}

// accept records the current state of the data as expected, if the storage can detect
// changes of it.
func (t *Torrent) accept() error {
	if d, ok := storage.As[storage.ChangeDetector](t.store); ok {
		return d.Accept()
	}
	return nil
}

// unchanged returns why the data in a range is not in the accepted state any more, or nil
// if it is, or if the storage cannot detect changes.
func (t *Torrent) unchanged(off, n int64) error {
	if d, ok := storage.As[storage.ChangeDetector](t.store); ok {
		return d.Check(off, n)
	}
	return nil
}

// nextData returns the first offset from off on at which anything can be on disk.
func (t *Torrent) nextData(off int64) int64 {
	if d, ok := storage.As[storage.DataFinder](t.store); ok {
		return d.NextData(off)
	}
	return off
}

// holdsData reports whether piece i can be on disk at all.
func (t *Torrent) holdsData(i int) bool {
	off, n := int64(i)*t.info.PieceLength, t.info.PieceSize(i)
	if d, ok := storage.As[storage.DataFinder](t.store); ok {
		return d.HasData(off, n)
	}
	return true
}

// isZeros reports whether piece i consists of zeros, for all that its hash says:
// a hole in a sparse file can be such a piece.
func (t *Torrent) isZeros(i int) bool {
	if !t.info.HasV1() {
		return true // holes of v2 torrents are looked at
	}
	n := t.info.PieceSize(i)
	if t.zeros == nil || t.zerosOf != n {
		t.zeros, t.zerosOf = new([sha1.Size]byte), n
		*t.zeros = sha1.Sum(make([]byte, n))
	}
	return t.info.PieceHashV1(i) == *t.zeros
}

// fewBytes is up to how much is checked without goroutines of its own.
const fewBytes = 1 << 20

// hashPieces reads and hashes the pieces, on as many processors as there are, and
// sets those in have that are good.
func (t *Torrent) hashPieces(ctx context.Context, pieces []int, have bitfield.Bitfield) error {
	t.checked.Store(0)
	var (
		next  atomic.Int64
		mu    sync.Mutex // guards have and first
		first error
		wg    sync.WaitGroup
	)
	work := func() {
		var l pieceChecker
		defer l.release(t.s.buf)
		for ctx.Err() == nil {
			k := int(next.Add(checkedTogether)) - checkedTogether
			if k >= len(pieces) {
				return
			}
			few := pieces[k:min(k+checkedTogether, len(pieces))]
			good, err := l.check(t, few)
			mu.Lock()
			for j, i := range few {
				if good[j] {
					have.Set(i)
				}
			}
			if err != nil && first == nil {
				first = err
			}
			stop := first != nil
			mu.Unlock()
			t.checked.Add(int64(len(few)))
			if stop {
				return
			}
		}
	}
	if int64(len(pieces))*t.info.PieceLength <= fewBytes {
		work()
	} else {
		for range min((len(pieces)+checkedTogether-1)/checkedTogether, runtime.GOMAXPROCS(0)) {
			wg.Go(work)
		}
		wg.Wait()
	}
	if first == nil {
		first = ctx.Err()
	}
	return first
}

// lookAtFiles notices that somebody changed or removed a file that is seeded.
func (t *Torrent) lookAtFiles() {
	t.mu.Lock()
	t.looked = time.Now()
	seeding := t.state == StateSeeding
	t.mu.Unlock()
	if !seeding {
		return
	}
	if err := t.inPlace(func() error { return t.unchanged(0, t.info.TotalLength()) }); err != nil {
		t.fail(err)
	}
}

// retry sees whether what halted the torrent is gone: the data is looked at
// again, and if that works the torrent goes on.
func (t *Torrent) retry() {
	t.mu.Lock()
	t.failedAt = time.Now()
	if t.state != StateFailed || t.nconns > 0 || t.web != nil && t.web.lanes > 0 || t.ctx.Err() != nil {
		t.mu.Unlock()
		return
	}
	found, had := t.found, bitfield.New(t.info.NumPieces())
	if t.pick != nil {
		had = t.pick.Bitfield().Clone()
	}
	if t.distrust {
		for i := range had.Ones() {
			if i >= t.synced.Len() || !t.synced.Get(i) {
				had.Clear(i)
			}
		}
		t.distrust, t.second = false, secondLook{had, bitfield.New(had.Len())}
	}
	t.mu.Unlock()

	var have bitfield.Bitfield
	var err error
	if found {
		t.place.RLock()
		have, err = t.recheck(had)
		t.place.RUnlock()
	} else {
		have, err = t.findAgain()
	}
	if err != nil || t.readOnly() && have.Count() < had.Count() {
		return
	}
	t.second = secondLook{}
	t.mu.Lock()
	if t.ctx.Err() == nil {
		t.log.Info("torrent goes on", "after", t.err)
		t.err = nil
		t.failed = make(chan struct{})
		err = t.newPicker(t.rng.Uint64())
	}
	t.mu.Unlock()
	if err == nil && t.ctx.Err() == nil {
		t.begin(have)
	}
}

// secondLook is what retry knows of the files as they were accepted last.
type secondLook struct {
	good, bad bitfield.Bitfield // pieces that were hashed; of length 0 before the first look
}

// recheck returns which of the pieces that were there still are. Pieces in files
// that nobody touched since are what they were when they were looked at last,
// others are hashed.
func (t *Torrent) recheck(had bitfield.Bitfield) (bitfield.Bitfield, error) {
	n := had.Len()
	if t.second.good.Len() != n {
		t.second = secondLook{had, bitfield.New(n)}
	}
	have, bad := bitfield.New(n), bitfield.New(n)
	var unsure []int
	_, detects := storage.As[storage.ChangeDetector](t.store)
	for i := range n {
		same := detects && t.unchanged(int64(i)*t.info.PieceLength, t.info.PieceSize(i)) == nil
		switch {
		case same && t.second.good.Get(i):
			have.Set(i)
		case same && t.second.bad.Get(i):
			bad.Set(i)
		case t.holdsData(i) || t.isZeros(i):
			unsure = append(unsure, i)
		}
	}
	// Reads fail from here on if the files change once more.
	if err := t.accept(); err != nil {
		return have, err
	}
	t.second = secondLook{have.Clone(), bad} // as far as it is known if this fails
	if err := t.hashPieces(t.ctx, unsure, have); err != nil {
		return have, err
	}
	for _, i := range unsure {
		if !have.Get(i) {
			bad.Set(i)
		}
	}
	t.second.good = have.Clone()
	return have, nil
}

// background runs f as a goroutine of the torrent, unless it runs already.
func (t *Torrent) background(running *atomic.Bool, f func()) {
	if !running.CompareAndSwap(false, true) {
		return
	}
	if !t.spawn(func() { defer running.Store(false); f() }) {
		running.Store(false)
	}
}

package torrent

import (
	"context"
	"crypto/sha1"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"spate/bitfield"
	"spate/storage"
)

// backgroundJobs records the background jobs of a torrent. Each kind of job runs at most
// once at a time.
type backgroundJobs struct {
	saving, checkingFiles, retrying atomic.Bool // set while a job of that kind runs

	zerosHash   *[sha1.Size]byte // hash of zerosLength zeros; owned by the check of the data
	zerosLength int64
}

// diskState records the state of a torrent's data and resume data on disk. Torrent.mu
// guards it.
type diskState struct {
	dirty        bool              // the resume data is out of date
	saved        time.Time         // when resume data was last written
	recordClean  bool              // the resume data says that no piece was being written
	filesChecked time.Time         // when the files were last compared with their accepted state
	checkTook    time.Duration     // how long that comparison took
	rechecked    recheckState      // the pieces that retry has hashed since the torrent halted
	synced       bitfield.Bitfield // pieces that are certainly on disk; length 0 means unknown
	dataFound    bool              // the pieces on disk are known
	syncFailed   bool              // pieces that are not in synced may be lost
}

// check returns the pieces that are on disk. It trusts the record of an earlier run for
// files that have not changed since, and hashes all other pieces whose files hold data.
func (t *Torrent) check(rec *storage.Record) (bitfield.Bitfield, error) {
	n := t.info.NumPieces()
	have := bitfield.New(n)
	suspect := bitfield.New(n)
	suspect.SetAll()
	var now []storage.FileStat
	if rec != nil {
		var err error
		if now, err = t.data.files.Stats(); err == nil {
			err = t.mounted(rec, now)
		}
		if err != nil {
			return have, err
		}
	}
	if p, ok := storage.As[storage.Preparer](t.data.store); ok && !t.readOnly() {
		if err := t.s.onDisk(p.Prepare); err != nil {
			return have, err
		}
	}
	touched := bitfield.New(n)
	if rec != nil {
		have, suspect = rec.Reconcile(t.data.files.Layout(), t.info.PieceLength, now)
		if rec.V1Only && len(t.v2.missing) == 0 { // the v2 hashes are known now
			for i := range have.Ones() {
				suspect.Set(i)
			}
			have = bitfield.New(have.Len())
		}
		touched = t.touchedPieces(rec.Files, now, have)
	}
	var unsure []int
	data := int64(0) // no data is stored between the last examined piece and this offset
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
	if !t.readOnly() {
		now = nil // Prepare has changed the files
	}
	// After this call reads fail if the files are changed.
	if err := t.acceptStats(now); err != nil {
		return have, err
	}
	unsure = t.leaveOutLonger(unsure, have, touched)
	err := t.checkTouched(touched, have)
	if err == nil {
		err = t.hashPieces(t.life.ctx, unsure, have)
	}
	if t.data.files != nil {
		for _, i := range unsure {
			if have.Get(i) {
				t.data.files.Unsynced(int64(i)*t.info.PieceLength, t.info.PieceSize(i))
			}
		}
	}
	return have, err
}

// leaveOutLonger removes the pieces of files that are longer than in the torrent from pieces and
// from sets if the torrent only seeds. Such a file is not the one of the torrent, although its
// beginning may be.
func (t *Torrent) leaveOutLonger(pieces []int, sets ...bitfield.Bitfield) []int {
	if t.data.files == nil || !t.readOnly() {
		return pieces
	}
	longer := bitfield.New(t.info.NumPieces())
	for k, f := range t.data.files.Accepted() {
		if f.Size <= t.info.Files[k].Length {
			continue
		}
		for i, end := t.piecesOfFile(k); i < end; i++ {
			longer.Set(i)
			for _, s := range sets {
				s.Clear(i)
			}
		}
	}
	return slices.DeleteFunc(pieces, longer.Get)
}

// accept records the current state of the data as expected, if the storage can detect
// changes.
func (t *Torrent) accept() error {
	if d, ok := storage.As[storage.ChangeDetector](t.data.store); ok {
		return d.Accept()
	}
	return nil
}

// acceptStats records an earlier state of the files as the expected one, so that a change since
// then is noticed. If it was not determined because the storage has no files, acceptStats accepts
// the current state.
func (t *Torrent) acceptStats(stats []storage.FileStat) error {
	if stats == nil {
		return t.accept()
	}
	t.data.files.AcceptStats(stats)
	return nil
}

// unchanged returns an error if the data in a range is not in the accepted state any more.
// It returns nil if the storage cannot detect changes.
func (t *Torrent) unchanged(off, n int64) error {
	if d, ok := storage.As[storage.ChangeDetector](t.data.store); ok {
		return d.Check(off, n)
	}
	return nil
}

// nextData returns the first offset from off on at which data can be on disk.
func (t *Torrent) nextData(off int64) int64 {
	if d, ok := storage.As[storage.DataFinder](t.data.store); ok {
		return d.NextData(off)
	}
	return off
}

// holdsData reports whether data of piece i can be on disk.
func (t *Torrent) holdsData(i int) bool {
	off, n := int64(i)*t.info.PieceLength, t.info.PieceSize(i)
	if d, ok := storage.As[storage.DataFinder](t.data.store); ok {
		return d.HasData(off, n)
	}
	return true
}

// isZeros reports whether piece i may consist of zeros, so that a hole in a sparse file may
// be a good copy of it. It returns true for every piece of a torrent without v1 hashes, so
// that holes are hashed.
func (t *Torrent) isZeros(i int) bool {
	if !t.info.HasV1() {
		return true
	}
	n := t.info.PieceSize(i)
	if t.jobs.zerosHash == nil || t.jobs.zerosLength != n {
		t.jobs.zerosHash, t.jobs.zerosLength = new([sha1.Size]byte), n
		*t.jobs.zerosHash = sha1.Sum(make([]byte, n))
	}
	return t.info.PieceHashV1(i) == *t.jobs.zerosHash
}

// fewBytes bounds the data, in bytes, that hashPieces checks with a single goroutine.
const fewBytes = 1 << 20

// hashPieces reads and hashes the pieces on all processors, and sets the good ones in have.
func (t *Torrent) hashPieces(ctx context.Context, pieces []int, have bitfield.Bitfield) error {
	t.count.checked.Store(0)
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
			t.count.checked.Add(int64(len(few)))
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

// checkFiles halts a running torrent if one of its files was changed or removed.
func (t *Torrent) checkFiles() {
	t.mu.Lock()
	began := time.Now()
	t.disk.filesChecked = began
	running := t.status.state == StateSeeding || t.status.state == StateDownloading
	t.mu.Unlock()
	if !running {
		return
	}
	err := t.withFiles(func() error { return t.unchanged(0, t.info.TotalLength()) })
	t.mu.Lock()
	t.disk.checkTook = time.Since(began)
	t.mu.Unlock()
	if err != nil {
		t.fail(err)
	}
}

// CheckFiles compares the files of a seeding torrent with their state when the data was
// verified. It halts the torrent if a file has changed or is gone, and returns the reason
// why the torrent is halted, or nil.
func (t *Torrent) CheckFiles() error {
	t.checkFiles()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status.err
}

// background sets running, runs f in a goroutine of the torrent, and clears running when f
// returns. It does nothing if running is set already.
func (t *Torrent) background(running *atomic.Bool, f func()) {
	if !running.CompareAndSwap(false, true) {
		return
	}
	if !t.spawn(func() { defer running.Store(false); f() }) {
		running.Store(false)
	}
}

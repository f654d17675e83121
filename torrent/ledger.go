package torrent

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"spate"
	"spate/storage"
)

const ledgerEvery = 20 * time.Second // the shortest time between two saves

// maxNotes bounds the notes about torrents that were not added in this run. The oldest are
// dropped.
const maxNotes = 1 << 17

// ledger manages one file that records, across restarts, which of the torrents that can be
// dormant are complete.
type ledger struct {
	once   sync.Once   // reads the file before the first torrent is added
	dirty  atomic.Bool // the file is out of date
	saving atomic.Bool

	mu    sync.Mutex                      // guards the fields below; locked before Session.mu
	notes map[spate.InfoHash]storage.Note // notes about torrents that were not added in this run
	saved time.Time
}

// note returns the note about a torrent, and whether the file contains one.
func (l *ledger) note(ih spate.InfoHash) (storage.Note, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := l.notes[ih]
	return n, ok
}

// dropNote removes the note about d, because writeLedger now writes the state of d instead.
func (l *ledger) dropNote(d *dormant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, ok := l.notes[d.hash]; !ok || n.Stamp != d.stamp {
		l.dirty.Store(true)
	}
	delete(l.notes, d.hash)
}

// loadLedger reads the ledger of an earlier run.
func (s *Session) loadLedger() {
	if s.opt.ResumeDir == "" {
		return
	}
	notes, err := storage.LoadLedger(s.opt.ResumeDir)
	if err != nil {
		s.log.Warn("the ledger cannot be used, so the data is checked", "err", err)
	}
	l := &s.dormant.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saved = time.Now()
	l.notes = make(map[spate.InfoHash]storage.Note, len(notes))
	for _, n := range notes {
		l.notes[n.InfoHash] = n
	}
}

// saveLedger writes the ledger in the background if it is out of date and was not written
// lately.
func (s *Session) saveLedger(now time.Time) {
	l := &s.dormant.ledger
	if !l.dirty.Load() || !l.saving.CompareAndSwap(false, true) {
		return
	}
	l.mu.Lock()
	due := now.Sub(l.saved) >= ledgerEvery
	l.mu.Unlock()
	if !due || !s.spawn(func() { defer l.saving.Store(false); s.writeLedger() }) {
		l.saving.Store(false)
	}
}

// writeLedger writes the ledger if it is out of date. It keeps the notes about torrents
// that were not added in this run.
func (s *Session) writeLedger() {
	l := &s.dormant.ledger
	if s.opt.ResumeDir == "" || !l.dirty.Swap(false) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	notes := slices.SortedFunc(maps.Values(l.notes), func(a, b storage.Note) int { return b.Added.Compare(a.Added) })
	notes = notes[:min(len(notes), maxNotes)]
	s.mu.Lock()
	for ih, d := range s.dormant.by {
		if ih != d.hash {
			continue
		}
		n := storage.Note{InfoHash: ih, Stamp: d.stamp, Uploaded: d.uploaded, Downloaded: d.downloaded, Added: time.Unix(d.added, 0)}
		if t := s.torrents[ih]; t != nil {
			n.Uploaded, n.Downloaded = t.count.uploaded.Load(), t.count.downloaded.Load()
		}
		notes = append(notes, n)
	}
	s.mu.Unlock()
	l.saved = time.Now()
	if err := storage.SaveLedger(s.opt.ResumeDir, notes); err != nil {
		s.log.Warn("saving the ledger", "err", err)
		l.dirty.Store(true)
	}
}

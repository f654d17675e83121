package torrent

import (
	"errors"
	"time"

	"spate/storage"
)

// writePiece writes a verified piece. A file that the file system cannot store is left out, so
// that the other files of the torrent are downloaded.
func (t *Torrent) writePiece(w completePiece) error {
	for {
		err := t.withFiles(func() error {
			t.writes.begin(time.Now())
			defer func() { t.writes.end(time.Now()) }()
			_, err := t.data.store.WriteAt(w.data, int64(w.index)*t.info.PieceLength)
			return err
		})
		if err == nil || !t.leaveOut(err) {
			return err
		}
	}
}

// leaveOut stops to want a file that cannot be stored. It returns false if err is another error,
// or no other file is wanted.
func (t *Torrent) leaveOut(err error) bool {
	var e *storage.Error
	if !errors.Is(err, storage.ErrName) && !errors.Is(err, storage.ErrTooLarge) || !errors.As(err, &e) || e.File < 0 {
		return false
	}
	t.mu.Lock()
	others := 0
	for i := range t.info.Files {
		if i != e.File && !t.info.Files[i].Pad() && t.priorityLocked(i) != PrioritySkip {
			others++
		}
	}
	left := t.priorityLocked(e.File) == PrioritySkip
	t.mu.Unlock()
	if left || others == 0 {
		return false
	}
	t.log.Warn("a file is left out", "err", err)
	t.mu.Lock()
	if t.status.leftOut == nil {
		t.status.leftOut = err
	}
	t.mu.Unlock()
	return t.SetPriority(PrioritySkip, e.File) == nil
}

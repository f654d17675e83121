package torrent

import (
	"errors"
	"fmt"
	"slices"

	"spate/storage"
	"spate/torrent/internal/picker"
)

// Priority is the priority of a file. Pieces of files with a higher priority are downloaded
// first. A piece of several files has the highest of their priorities.
type Priority uint8

// Priorities with names. All values from 0 to PriorityMax are valid.
const (
	PrioritySkip   Priority = 0 // the file is not downloaded
	PriorityLow    Priority = 2
	PriorityNormal Priority = picker.NormalPrio
	PriorityHigh   Priority = 6
	PriorityMax    Priority = picker.MaxPriority
)

// ErrSeedOnly is the error for changing the wanted files of a torrent that only seeds.
var ErrSeedOnly = errors.New("torrent: it only seeds")

// selection records which files of a torrent are wanted, and how urgently. Torrent.mu
// guards it.
type selection struct {
	priorities []Priority // priorities of the files; nil means that all are normal
	readers    []*Reader  // open readers of files
	urgentSet  bool       // the picker has urgent pieces of readers
}

// FileStats is a snapshot of one file.
type FileStats struct {
	Path     string // relative to the torrent's folder, with slashes; empty for a single file
	Length   int64  // in bytes
	Done     int64  // verified bytes
	Priority Priority
	Pad      bool // padding (BEP 47), which is never stored
}

// Files returns a snapshot of the files in the order of the metainfo. Its time grows with
// the number of pieces.
func (t *Torrent) Files() []FileStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]FileStats, len(t.info.Files))
	for i := range all {
		f := &t.info.Files[i]
		all[i] = FileStats{Path: f.DisplayPath(), Length: f.Length, Priority: t.priorityLocked(i), Pad: f.Pad()}
		for p, n := range t.piecesOf(i) {
			if t.pick.Have(p) {
				all[i].Done += n
			}
		}
	}
	return all
}

// piecesOf yields the pieces of file i, each with the number of bytes of the file in it.
func (t *Torrent) piecesOf(i int) func(yield func(piece int, n int64) bool) {
	f := &t.info.Files[i]
	return func(yield func(piece int, n int64) bool) {
		for at, end := f.Offset, f.Offset+f.Length; at < end; {
			piece := at / t.info.PieceLength
			n := min(end, (piece+1)*t.info.PieceLength) - at
			if !yield(int(piece), n) {
				return
			}
			at += n
		}
	}
}

// SetPriority sets the priority of files, which it identifies by their indexes in the
// metainfo. A complete torrent downloads again if more files are wanted, and a torrent
// becomes complete if no wanted data is missing any more. The data of a file that becomes
// unwanted is kept.
func (t *Torrent) SetPriority(p Priority, files ...int) error {
	if p > PriorityMax {
		return fmt.Errorf("torrent: priority %d is above %d", p, PriorityMax)
	}
	for _, i := range files {
		if i < 0 || i >= len(t.info.Files) {
			return fmt.Errorf("torrent: %s has no file %d", t.name, i)
		}
	}
	return t.setPriorities(func(prio []Priority) {
		for _, i := range files {
			prio[i] = p
		}
	})
}

// Select selects the files for which want returns true, as AddOptions.Select does. Files
// that were selected before keep their priority.
func (t *Torrent) Select(want func(path []string) bool) error {
	return t.setPriorities(func(prio []Priority) {
		for i := range prio {
			switch yes := want(t.info.Files[i].Path); {
			case !yes:
				prio[i] = PrioritySkip
			case prio[i] == PrioritySkip:
				prio[i] = PriorityNormal
			}
		}
	})
}

// setPriorities calls change with the priorities of all files and applies the changed ones.
func (t *Torrent) setPriorities(change func([]Priority)) error {
	if t.readOnly() {
		return ErrSeedOnly
	}
	t.choosing.Lock()
	defer t.choosing.Unlock()
	t.mu.Lock()
	prio := make([]Priority, len(t.info.Files))
	for i := range prio {
		prio[i] = t.priorityLocked(i)
	}
	t.mu.Unlock()
	old := slices.Clone(prio)
	change(prio)
	if slices.Equal(prio, old) {
		return nil
	}
	// A file must exist before its pieces are written, and must not be removed before the
	// last piece is written.
	if err := t.prepareWanted(old, prio, true); err != nil {
		return err
	}
	if t.choose(prio) {
		t.tellHaves()
		t.finished()
	}
	return t.prepareWanted(old, prio, false)
}

// prepareWanted tells the storage which files have become wanted, or unwanted.
func (t *Torrent) prepareWanted(old, now []Priority, wanted bool) error {
	files, selects := storage.As[storage.FileSelector](t.data.store)
	prepare, prepares := storage.As[storage.Preparer](t.data.store)
	return t.withFiles(func() error {
		for i := range now {
			if selects && (now[i] > 0) != (old[i] > 0) && (now[i] > 0) == wanted && !t.info.Files[i].Pad() {
				if err := files.SetWanted(i, wanted); err != nil {
					return err
				}
			}
		}
		if !wanted || !prepares {
			return nil
		}
		return prepare.Prepare()
	})
}

// choose applies the priorities. It reports whether the torrent is downloading and has
// every piece that is wanted now.
func (t *Torrent) choose(prio []Priority) (complete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.selection.priorities = prio
	t.disk.dirty = true
	if t.pick == nil {
		return false
	}
	t.chooseLocked()
	t.countLocked()
	if t.status.state == StateSeeding && !t.completeLocked() {
		t.wantMoreLocked()
	}
	for _, c := range t.peerConns.byID {
		if c != nil {
			c.updateInterestLocked()
			c.kickLocked()
		}
	}
	t.refillOthersLocked()
	return t.status.state == StateDownloading && t.completeLocked()
}

// wantMoreLocked makes a complete torrent download again.
func (t *Torrent) wantMoreLocked() {
	if t.status.isDone {
		t.status.isDone = false
		t.status.done = make(chan struct{})
	}
	t.pieces.mostOpen = t.openPieces()
	for _, l := range t.listsLocked() {
		l.SetSeeding(false)
	}
	t.setStateLocked(StateDownloading)
	t.tellUploadOnlyLocked()
}

// priorityLocked returns the priority of file i.
func (t *Torrent) priorityLocked(i int) Priority {
	if t.selection.priorities == nil {
		return PriorityNormal
	}
	return t.selection.priorities[i]
}

// choosePiecesLocked gives each piece the highest priority of its files.
func (t *Torrent) choosePiecesLocked() {
	n := t.info.NumPieces()
	if t.selection.priorities == nil {
		t.pick.SetPriority(0, n, picker.NormalPrio)
		return
	}
	prio := make([]Priority, n)
	for i := range t.info.Files {
		if t.info.Files[i].Pad() {
			continue
		}
		for p := range t.piecesOf(i) {
			prio[p] = max(prio[p], t.selection.priorities[i])
		}
	}
	for from := 0; from < n; {
		to := from + 1
		for to < n && prio[to] == prio[from] {
			to++
		}
		t.pick.SetPriority(from, to, int(prio[from]))
		from = to
	}
}

// selectFiles sets the priorities as AddOptions.Select says.
func (t *Torrent) selectFiles() {
	if t.opt.Select == nil {
		return
	}
	t.selection.priorities = make([]Priority, len(t.info.Files))
	for i := range t.selection.priorities {
		if f := &t.info.Files[i]; f.Pad() || t.opt.Select(f.Path) {
			t.selection.priorities[i] = PriorityNormal
		}
	}
}

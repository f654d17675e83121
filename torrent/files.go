package torrent

import (
	"errors"
	"fmt"
	"slices"

	"spate/storage"
	"spate/torrent/internal/picker"
)

// Priority says how much a file is wanted: pieces of a higher one are fetched
// before all others. A piece that several files share counts with the highest.
type Priority uint8

// The priorities that have names; those between count too, up to PriorityMax.
const (
	PrioritySkip   Priority = 0 // not wanted
	PriorityLow    Priority = 2
	PriorityNormal Priority = picker.NormalPrio
	PriorityHigh   Priority = 6
	PriorityMax    Priority = picker.MaxPriority
)

// ErrSeedOnly is the error for wanting more of a torrent that only gives what is
// there.
var ErrSeedOnly = errors.New("torrent: it only seeds")

// FileStats is a snapshot of one file.
type FileStats struct {
	Path     string // below Name, with slashes; empty for the only file of a torrent
	Length   int64  // bytes
	Done     int64  // bytes of it that are verified
	Priority Priority
	Pad      bool // padding (BEP 47), which is never stored
}

// Files returns a snapshot of the files, in the order of the metainfo. It takes
// time in proportion to the pieces.
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

// piecesOf yields the pieces that file i lies in, and how many bytes of it are in
// each.
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

// SetPriority changes how much files are wanted, by their indexes in the metainfo.
// A torrent that was complete goes on downloading when more is wanted, and one
// that lacks only what is not wanted any more is complete. What was fetched of a
// file that is skipped stays where it is.
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

// Select wants exactly the files that want reports true for. It is
// AddOptions.Select for a torrent that runs: files that are wanted already keep
// their priority.
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

// setPriorities lets change have its way with the priorities and draws all
// consequences.
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
	// A file must be there for what is written to it, and stay for what still is.
	if err := t.prepareWanted(old, prio, true); err != nil {
		return err
	}
	if t.choose(prio) {
		t.tellHaves()
		t.finished()
	}
	return t.prepareWanted(old, prio, false)
}

// prepareWanted tells the storage of the files that are wanted now, or that are
// not any more.
func (t *Torrent) prepareWanted(old, now []Priority, wanted bool) error {
	files, selects := storage.As[storage.FileSelector](t.store)
	prepare, prepares := storage.As[storage.Preparer](t.store)
	return t.inPlace(func() error {
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

// choose puts priorities into force. It returns whether nothing that is wanted is
// missing any more, of a torrent that was downloading.
func (t *Torrent) choose(prio []Priority) (complete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.priorities = prio
	t.dirty = true
	if t.pick == nil {
		return false
	}
	t.chooseLocked()
	t.countLocked()
	if t.state == StateSeeding && !t.completeLocked() {
		t.wantMoreLocked()
	}
	for _, c := range t.conns {
		if c != nil {
			c.updateInterestLocked()
			c.kickLocked()
		}
	}
	t.refillOthersLocked()
	return t.state == StateDownloading && t.completeLocked()
}

// wantMoreLocked lets a torrent that was complete download again.
func (t *Torrent) wantMoreLocked() {
	if t.isDone {
		t.isDone = false
		t.done = make(chan struct{})
	}
	t.bufs = make([][]byte, t.openPieces())
	t.peers.SetSeeding(false)
	t.setStateLocked(StateDownloading)
	t.tellUploadOnlyLocked()
}

// priorityLocked returns the priority of file i.
func (t *Torrent) priorityLocked(i int) Priority {
	if t.priorities == nil {
		return PriorityNormal
	}
	return t.priorities[i]
}

// choosePiecesLocked gives each piece the highest priority of its files.
func (t *Torrent) choosePiecesLocked() {
	n := t.info.NumPieces()
	if t.priorities == nil {
		t.pick.SetPriority(0, n, picker.NormalPrio)
		return
	}
	prio := make([]Priority, n)
	for i := range t.info.Files {
		if t.info.Files[i].Pad() {
			continue
		}
		for p := range t.piecesOf(i) {
			prio[p] = max(prio[p], t.priorities[i])
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

// selectFiles sets the priorities that the torrent was added with.
func (t *Torrent) selectFiles() {
	if t.opt.Select == nil {
		return
	}
	t.priorities = make([]Priority, len(t.info.Files))
	for i := range t.priorities {
		if f := &t.info.Files[i]; f.Pad() || t.opt.Select(f.Path) {
			t.priorities[i] = PriorityNormal
		}
	}
}

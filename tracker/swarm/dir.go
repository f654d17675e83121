package swarm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/folder"
)

// Dir saves a table in a directory: it keeps the last two snapshots, and journals of
// the completions since then (journal.go), so that these counters are exact even if the
// process is killed. A Dir is safe for concurrent use.
//
// The files are numbered. Journal n starts before snapshot n is taken, so that a
// snapshot and the journals with its number and higher ones contain all completions.
//
// The caller must ensure that no other process uses the directory.
type Dir struct {
	t    *Table
	path string

	opened    time.Time // openedSec is the time of the table at this moment
	openedSec uint32

	saving sync.Mutex // held during Save

	mu      sync.Mutex // guards the fields of the journal; held while it is written
	journal *os.File
	size    int64  // length of the complete entries in the journal
	gen     uint64 // number of the journal
	spare   []byte // buffer that is swapped with pending
	closed  bool

	pendingMu sync.Mutex // held only for short operations
	pending   []byte     // entries that wait for Flush; guarded by pendingMu
	missed    bool       // some entries did not fit; guarded by pendingMu
}

const (
	snapPrefix    = "swarms."
	journalPrefix = "completions."
	tmpName       = "snapshot.tmp"
)

// OpenDir creates the directory at path if needed, and restores its content into t,
// which must be new. From then on, completions that t counts are recorded for
// [Dir.Flush].
// A damaged snapshot is renamed and reported in warnings, and the previous snapshot is used. A
// damaged journal is also renamed and reported, after its intact entries were restored.
func OpenDir(now time.Time, path string, t *Table) (d *Dir, warnings []error, err error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, nil, err
	}
	d = &Dir{t: t, path: path, opened: now, openedSec: t.seconds(now)}
	loaded, damaged, warnings, err := d.restore(now)
	if err != nil {
		return nil, warnings, err
	}
	if _, err := d.rotate(); err != nil {
		return nil, warnings, err
	}
	t.dir = d
	if loaded == 0 || len(damaged) > 0 { // the journal needs the keys of the identities, which are in a snapshot
		if err := d.Save(now); err != nil {
			return d, warnings, err
		}
	}
	for _, n := range damaged {
		aside, err := atomicfile.SetAside(d.file(journalPrefix, n))
		if err != nil {
			return d, warnings, err
		}
		warnings = append(warnings, fmt.Errorf("the record of completed downloads %s is damaged: its intact entries were restored, and it was moved to %s", d.file(journalPrefix, n), aside))
	}
	return d, warnings, nil
}

// restore restores the newest intact snapshot and the journals since then. It returns
// the number of the snapshot, or 0 if there is none, and the numbers of damaged journals.
func (d *Dir) restore(now time.Time) (loaded uint64, damaged []uint64, warnings []error, err error) {
	snaps, err := d.numbers(snapPrefix)
	if err != nil {
		return 0, nil, nil, err
	}
	for _, n := range slices.Backward(snaps) {
		d.gen = max(d.gen, n)
		err := d.load(now, n)
		if err == nil {
			loaded = n
			break
		}
		var bad *SnapshotError
		var noFile *folder.TypeError
		if !errors.As(err, &bad) && !errors.As(err, &noFile) {
			return 0, nil, warnings, err
		}
		aside, moveErr := atomicfile.SetAside(d.file(snapPrefix, n))
		if moveErr != nil {
			return 0, nil, warnings, moveErr
		}
		warnings = append(warnings, fmt.Errorf("damaged state was renamed to %s, and the previous state is used: %w", aside, err))
	}
	journals, err := d.numbers(journalPrefix)
	if err != nil {
		return 0, nil, warnings, err
	}
	for _, n := range journals {
		d.gen = max(d.gen, n)
		if n < loaded {
			continue // the snapshot contains these completions
		}
		bad, err := d.replay(now, n)
		if err != nil {
			return 0, nil, warnings, err
		}
		if bad > 0 {
			damaged = append(damaged, n)
		}
	}
	return loaded, damaged, warnings, nil
}

func (d *Dir) file(prefix string, n uint64) string {
	return filepath.Join(d.path, prefix+strconv.FormatUint(n, 10))
}

// numbers returns the sorted numbers of the files with a prefix.
func (d *Dir) numbers(prefix string) ([]uint64, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var found []uint64
	for _, e := range entries {
		if tail, ok := strings.CutPrefix(e.Name(), prefix); ok {
			if n, err := strconv.ParseUint(tail, 10, 63); err == nil {
				found = append(found, n)
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

func (d *Dir) load(now time.Time, n uint64) error {
	f, err := folder.OpenNamed(d.file(snapPrefix, n))
	if err != nil {
		return err
	}
	defer f.Close()
	return d.t.Restore(now, f)
}

// rotate starts a new journal and returns its number.
func (d *Dir) rotate() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := os.OpenFile(d.file(journalPrefix, d.gen+1), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	if d.journal != nil {
		d.journal.Close() // the following snapshot contains its completions
	}
	d.gen++
	d.journal, d.size = f, 0
	return d.gen, nil
}

// Save writes and syncs a new snapshot, and removes all older ones except the previous.
// Announces continue in the meantime.
func (d *Dir) Save(now time.Time) error {
	d.saving.Lock()
	defer d.saving.Unlock()
	n, err := d.rotate()
	if err != nil {
		return err
	}
	tmp := filepath.Join(d.path, tmpName)
	if err := d.write(now, tmp); err != nil {
		os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, d.file(snapPrefix, n)); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(d.path); err != nil {
		return err
	}
	return d.prune()
}

// prune removes all snapshots except the last two, and the journals that these do not
// need.
func (d *Dir) prune() error {
	snaps, err := d.numbers(snapPrefix)
	if err != nil || len(snaps) < 2 {
		return err
	}
	keep := snaps[len(snaps)-2]
	for _, prefix := range []string{snapPrefix, journalPrefix} {
		numbers, err := d.numbers(prefix)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			if n >= keep {
				break
			}
			if err := os.Remove(d.file(prefix, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func (d *Dir) write(now time.Time, path string) error {
	f, err := atomicfile.CreateAnew(path)
	if err != nil {
		return err
	}
	err = d.t.Snapshot(now, f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Close flushes and closes the journal. It does not save a snapshot.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return errors.Join(d.flush(), d.journal.Close())
}

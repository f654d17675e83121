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
)

// Store keeps a table in a directory: the last two snapshots, and journals of
// the completions since (journal.go), so that those counters are exact after a
// SIGKILL. Its methods may be called concurrently.
//
// Files are numbered: the journal n begins before the snapshot n is taken, so
// that a snapshot is up to date with the journals of its number and above.
//
// The caller makes sure that no other process has the directory.
type Store struct {
	t   *Table
	dir string

	opened    time.Time // and openedSec is the table's second then
	openedSec uint32

	saving sync.Mutex // held for a whole Save

	mu      sync.Mutex // guards the journal; held while it is written
	journal *os.File
	size    int64  // of what is whole in it
	gen     uint64 // its number
	spare   []byte // memory for noted
	closed  bool

	noting sync.Mutex // never held while anything waits
	noted  []byte     // entries for the journal; guarded by noting
	missed bool       // some did not fit; guarded by noting
}

const (
	snapPrefix    = "swarms."
	journalPrefix = "completions."
	tmpName       = "snapshot.tmp"
)

// OpenStore makes the directory where it is missing, and restores what it holds
// into t, which must be new. From then on completions that t counts are noted for
// [Store.Flush]. A snapshot that is damaged is renamed to corrupt-* and told of
// in warnings; the one before takes its place.
func OpenStore(now time.Time, dir string, t *Table) (s *Store, warnings []error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	s = &Store{t: t, dir: dir, opened: now, openedSec: t.seconds(now)}
	loaded, warnings, err := s.restore(now)
	if err != nil {
		return nil, warnings, err
	}
	if _, err := s.rotate(); err != nil {
		return nil, warnings, err
	}
	t.store = s
	if loaded == 0 { // the journal needs the keys of identities that a snapshot has
		err = s.Save(now)
	}
	return s, warnings, err
}

// restore reads the newest snapshot that is whole and the journals since. It
// returns the number of the snapshot, 0 for none.
func (s *Store) restore(now time.Time) (loaded uint64, warnings []error, err error) {
	snaps, err := s.numbers(snapPrefix)
	if err != nil {
		return 0, nil, err
	}
	for _, n := range slices.Backward(snaps) {
		s.gen = max(s.gen, n)
		err := s.load(now, n)
		if err == nil {
			loaded = n
			break
		}
		var bad *SnapshotError
		if !errors.As(err, &bad) {
			return 0, warnings, err
		}
		aside := filepath.Join(s.dir, "corrupt-"+filepath.Base(s.path(snapPrefix, n)))
		if err := os.Rename(s.path(snapPrefix, n), aside); err != nil {
			return 0, warnings, err
		}
		warnings = append(warnings, fmt.Errorf("damaged state is set aside as %s, and what went before it is used: %w", aside, err))
	}
	journals, err := s.numbers(journalPrefix)
	if err != nil {
		return 0, warnings, err
	}
	for _, n := range journals {
		s.gen = max(s.gen, n)
		if n < loaded {
			continue // the snapshot has it, and who has left since
		}
		if err := s.replay(now, n); err != nil {
			return 0, warnings, err
		}
	}
	return loaded, warnings, nil
}

func (s *Store) path(prefix string, n uint64) string {
	return filepath.Join(s.dir, prefix+strconv.FormatUint(n, 10))
}

// numbers returns the numbers of the files with a prefix, in order.
func (s *Store) numbers(prefix string) ([]uint64, error) {
	entries, err := os.ReadDir(s.dir)
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

func (s *Store) load(now time.Time, n uint64) error {
	f, err := os.Open(s.path(snapPrefix, n))
	if err != nil {
		return err
	}
	defer f.Close()
	return s.t.Restore(now, f)
}

// rotate goes on with a new journal, and returns its number.
func (s *Store) rotate() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.OpenFile(s.path(journalPrefix, s.gen+1), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	if s.journal != nil {
		s.journal.Close() // what it holds is in the snapshot that follows
	}
	s.gen++
	s.journal, s.size = f, 0
	return s.gen, nil
}

// Save writes a new snapshot, synced before it gets its name, and removes all
// but the one before it. Announces go on meanwhile.
func (s *Store) Save(now time.Time) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	n, err := s.rotate()
	if err != nil {
		return err
	}
	tmp := filepath.Join(s.dir, tmpName)
	if err := s.write(now, tmp); err != nil {
		os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, s.path(snapPrefix, n)); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(s.dir); err != nil {
		return err
	}
	return s.prune()
}

// prune removes all snapshots but the last two, and the journals that neither
// of those needs.
func (s *Store) prune() error {
	snaps, err := s.numbers(snapPrefix)
	if err != nil || len(snaps) < 2 {
		return err
	}
	keep := snaps[len(snaps)-2]
	for _, prefix := range []string{snapPrefix, journalPrefix} {
		numbers, err := s.numbers(prefix)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			if n >= keep {
				break
			}
			if err := os.Remove(s.path(prefix, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func (s *Store) write(now time.Time, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = s.t.Snapshot(now, f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Close flushes and closes the journal. It does not save.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(s.flush(), s.journal.Close())
}

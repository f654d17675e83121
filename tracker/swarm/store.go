package swarm

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"spate"
)

// Store keeps a table in a directory: the last two snapshots, and journals of
// the completions since, so that those counters are exact after a SIGKILL: what
// was noted is in the system's hands as soon as the journal's goroutine had its
// turn. Its methods may be called concurrently.
//
// Files are numbered: the journal n begins before the snapshot n is taken, so
// that a snapshot is up to date with the journals of its number and above.
//
// The caller makes sure that no other process has the directory.
type Store struct {
	t   *Table
	dir string

	saving sync.Mutex // held for a whole Save

	mu      sync.Mutex // guards the journal; held while it is written
	journal *os.File
	gen     uint64 // its number
	spare   []byte // memory for noted

	noting  sync.Mutex // never held while anything waits
	noted   []byte     // entries for the journal; guarded by noting
	missed  bool       // some did not fit; guarded by noting
	failed  error      // of the last write that failed; guarded by noting
	closed  bool       // guarded by noting
	wake    chan struct{}
	written chan struct{} // closed when the journal's goroutine has ended
}

// maxNoted bounds the completions that wait for the disk, in bytes.
const maxNoted = 1 << 20 / journalEntry * journalEntry

// ErrJournalFull is the error for a completion that found too many others
// waiting for the disk. The next snapshot has it.
var ErrJournalFull = errors.New("swarm: too many completions wait for the disk")

const (
	snapPrefix    = "swarms."
	journalPrefix = "completions."
	tmpName       = "snapshot.tmp"
	journalEntry  = 20 + 4 + 4 // info-hash, completions, CRC-32C of both
)

// OpenStore makes the directory where it is missing, and restores what it holds
// into t. A snapshot that is damaged is renamed to corrupt-* and told of in
// warnings; the one before takes its place.
func OpenStore(now time.Time, dir string, t *Table) (s *Store, warnings []error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	s = &Store{t: t, dir: dir, wake: make(chan struct{}, 1), written: make(chan struct{})}
	snaps, err := s.numbers(snapPrefix)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range slices.Backward(snaps) {
		s.gen = max(s.gen, n)
		err := s.load(now, n)
		if err == nil {
			break
		}
		var bad *SnapshotError
		if !errors.As(err, &bad) {
			return nil, warnings, err
		}
		aside := filepath.Join(dir, "corrupt-"+filepath.Base(s.path(snapPrefix, n)))
		if err := os.Rename(s.path(snapPrefix, n), aside); err != nil {
			return nil, warnings, err
		}
		warnings = append(warnings, fmt.Errorf("damaged state is set aside as %s, and what went before it is used: %w", aside, err))
	}
	journals, err := s.numbers(journalPrefix)
	if err != nil {
		return nil, warnings, err
	}
	for _, n := range journals {
		s.gen = max(s.gen, n)
		if err := s.replay(n); err != nil {
			return nil, warnings, err
		}
	}
	if _, err := s.rotate(); err != nil {
		return nil, warnings, err
	}
	go s.writeNoted()
	return s, warnings, nil
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

// replay raises the counters to what a journal says. Entries that are torn or
// damaged are passed over: they were never whole.
func (s *Store) replay(n uint64) error {
	f, err := os.Open(s.path(journalPrefix, n))
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		var e [journalEntry]byte
		if _, err := io.ReadFull(r, e[:]); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return nil
			}
			return err
		}
		if crc32.Checksum(e[:24], castagnoli) == binary.LittleEndian.Uint32(e[24:]) {
			_ = s.t.SetCompleted(spate.InfoHash(e[:20]), binary.LittleEndian.Uint32(e[20:])) // a full table keeps what it has
		}
	}
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
	s.journal = f
	return s.gen, nil
}

// Completed notes that the completions of ih have become n. It does not wait: a
// goroutine writes, at once and all that came meanwhile together, to the system's
// cache, which survives the process. Call it after an announce whose
// Reply.Counted is set. The error may be that of an earlier write; what that lost
// is in the next snapshot.
func (s *Store) Completed(ih spate.InfoHash, n uint32) error {
	var e [journalEntry]byte
	copy(e[:], ih[:])
	binary.LittleEndian.PutUint32(e[20:], n)
	binary.LittleEndian.PutUint32(e[24:], crc32.Checksum(e[:24], castagnoli))
	s.noting.Lock()
	defer s.noting.Unlock()
	switch {
	case s.closed:
		return fs.ErrClosed
	case len(s.noted) >= maxNoted:
		if s.missed {
			return nil // told already
		}
		s.missed = true
		return ErrJournalFull
	}
	s.noted = append(s.noted, e[:]...)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	err := s.failed
	s.failed = nil
	return err
}

// writeNoted writes what Completed notes, until Close.
func (s *Store) writeNoted() {
	defer close(s.written)
	for range s.wake {
		s.noting.Lock()
		closed := s.closed
		s.noting.Unlock()
		if err := s.Flush(); err != nil {
			s.noting.Lock()
			s.failed = err
			s.noting.Unlock()
		}
		if closed {
			return
		}
	}
}

// Flush writes what is noted, and waits for what is being written.
func (s *Store) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noting.Lock()
	entries := s.noted
	s.noted, s.missed = s.spare[:0], false
	s.noting.Unlock()
	s.spare = entries
	if len(entries) == 0 {
		return nil
	}
	_, err := s.journal.Write(entries)
	return err
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
	if err := syncDir(s.dir); err != nil {
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

// syncDir makes renames in a directory last, where the system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !os.IsPermission(err) {
		return err
	}
	return nil
}

// Close writes what is noted and closes the journal. It does not save.
func (s *Store) Close() error {
	s.noting.Lock()
	if s.closed {
		s.noting.Unlock()
		return nil
	}
	s.closed = true
	s.noting.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it will look, and see that it is closed
	}
	<-s.written
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.journal.Close()
	s.noting.Lock()
	defer s.noting.Unlock()
	return errors.Join(s.failed, err)
}

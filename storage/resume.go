package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"spate"
	"spate/bitfield"
	"spate/internal/atomicfile"
)

// Record is the state of a torrent that is saved for the next start (resume data). A
// piece may be in Have only if a Sync has succeeded after its last write, so that the
// record is correct even after a crash of the machine.
type Record struct {
	InfoHash spate.InfoHash
	Have     bitfield.Bitfield // pieces that were verified and synced
	Files    []FileStat        // state of the files when the record was made, in the order of the layout
	// Clean means that nothing was written after the record was made. It is false for
	// records that are saved while the torrent runs.
	Clean      bool
	Paused     bool
	V1Only     bool          // some pieces of Have were checked only against the v1 hashes of a hybrid
	Dir        string        // download directory
	Device     uint64        // file system of Dir, see [Dir.Device]; 0 if unknown
	Name       string        // name of the data in Dir; "" if it is that of the torrent
	Priorities []byte        // by file, 0 for unwanted; nil if all have the default
	Uploaded   int64         // in bytes, since the torrent was added
	Downloaded int64         // in bytes, since the torrent was added
	Seeding    time.Duration // how long the torrent was complete and running
	Added      time.Time     // in whole seconds; zero if unknown
	Completed  time.Time     // in whole seconds; zero if incomplete
	Peers      []netip.AddrPort

	// Recovered is not saved. LoadResume sets it to the reason why the newest record could
	// not be used, if it returns an older one.
	Recovered error
}

// CorruptError is returned if all saved states of a torrent are damaged. The caller must
// then check the data.
type CorruptError struct {
	Path  string // path of the damaged file
	Aside string // path to which the file was renamed
	Err   error
}

// Error returns the path, the reason, and the new path of the damaged file.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("resume data %s is damaged (%v): moved to %s", e.Path, e.Err, e.Aside)
}

// Unwrap returns the reason.
func (e *CorruptError) Unwrap() error { return e.Err }

// Suffixes of the files in the state directory, after the info-hash.
const (
	resumeNew     = ".resume"
	resumeOld     = ".resume.old"
	resumeTemp    = ".resume.tmp"
	resumeCorrupt = ".corrupt" // of records that older versions set aside
)

// maxRecord is the largest record in bytes that is read. It has space for 2^26 pieces
// and a million files.
const maxRecord = 64 << 20

func resumePath(dir string, ih spate.InfoHash, suffix string) string {
	return filepath.Join(dir, ih.String()+suffix)
}

// SaveResume atomically saves rec in directory dir, which must exist. It keeps the
// previous record in case the new one gets damaged. It writes nothing if the newest record
// is equal to rec, so that a restart with many complete torrents does not write and sync
// all their records again. It must not be called concurrently for the same torrent.
func SaveResume(dir string, rec *Record) error {
	temp := resumePath(dir, rec.InfoHash, resumeTemp)
	newest := resumePath(dir, rec.InfoHash, resumeNew)
	encoded := rec.encode()
	if holds(newest, encoded) {
		return nil
	}
	if err := writeSynced(temp, encoded); err != nil {
		os.Remove(temp)
		return fmt.Errorf("save resume data: %w", err)
	}
	if err := rename(newest, resumePath(dir, rec.InfoHash, resumeOld)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("save resume data: %w", err)
	}
	if err := rename(temp, newest); err != nil {
		return fmt.Errorf("save resume data: %w", err)
	}
	if err := atomicfile.SyncDir(dir); err != nil {
		return fmt.Errorf("save resume data: %w", err)
	}
	return nil
}

// rename renames a file of the state. It sets aside an entry at the path to that is not a file.
func rename(from, to string) error {
	if _, err := atomicfile.SetAsideOther(to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// holds reports whether the file at path can be read and contains exactly b.
func holds(path string, b []byte) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || fi.Size() != int64(len(b)) {
		return false
	}
	had := make([]byte, len(b))
	_, err = io.ReadFull(f, had)
	return err == nil && bytes.Equal(had, b)
}

// writeSynced writes a file and syncs it.
func writeSynced(path string, b []byte) error {
	f, err := atomicfile.CreateAnew(path)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// LoadResume reads the record of a torrent from dir. If the newest record is damaged,
// LoadResume renames it and returns the previous one, with Clean false and Recovered
// set. The error wraps fs.ErrNotExist if there is no record, and is a [*CorruptError]
// if all records are damaged.
func LoadResume(dir string, ih spate.InfoHash) (*Record, error) {
	var first error
	for _, suffix := range []string{resumeNew, resumeOld} {
		path := resumePath(dir, ih, suffix)
		rec, err := readRecord(path, ih)
		if err == nil {
			if suffix == resumeOld {
				rec.Clean, rec.Recovered = false, first
			}
			return rec, nil
		}
		var corrupt *CorruptError
		switch {
		case errors.As(err, &corrupt):
			if !errors.As(first, &corrupt) {
				first = err
			}
		case errors.Is(err, fs.ErrNotExist):
			if first == nil {
				first = err
			}
		default:
			return nil, err
		}
	}
	return nil, first
}

// readRecord reads one record. If it is damaged, readRecord renames it and returns a *CorruptError.
func readRecord(path string, ih spate.InfoHash) (rec *Record, err error) {
	err = atomicfile.Load(path, maxRecord, func(b []byte) (err error) {
		if rec, err = decodeRecord(b); err == nil && rec.InfoHash != ih {
			err = fmt.Errorf("it belongs to torrent %v", rec.InfoHash)
		}
		return err
	})
	if err != nil {
		return nil, corrupt(err, "load resume data")
	}
	return rec, nil
}

// corrupt returns err as a [*CorruptError] if it says that a file was set aside, or else with the
// operation op.
func corrupt(err error, op string) error {
	var damaged *atomicfile.DamagedError
	if errors.As(err, &damaged) {
		return &CorruptError{Path: damaged.Path, Aside: damaged.Aside, Err: damaged.Err}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// RemoveResume deletes the records of a torrent, and those that were set aside.
func RemoveResume(dir string, ih spate.InfoHash) error {
	var errs []error
	for _, suffix := range []string{resumeNew, resumeOld, resumeTemp, resumeNew + resumeCorrupt, resumeOld + resumeCorrupt} {
		if err := os.Remove(resumePath(dir, ih, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		errs = append(errs, atomicfile.RemoveAside(resumePath(dir, ih, suffix)))
	}
	return errors.Join(errs...)
}

// ResumeSaved returns when a record of a torrent was last saved, or the zero time if there is
// none.
func ResumeSaved(dir string, ih spate.InfoHash) (last time.Time) {
	for _, suffix := range []string{resumeNew, resumeOld} {
		if fi, err := os.Stat(resumePath(dir, ih, suffix)); err == nil && fi.ModTime().After(last) {
			last = fi.ModTime()
		}
	}
	return last
}

// PruneResume deletes the records in dir of all torrents for which keep returns false.
func PruneResume(dir string, keep func(spate.InfoHash) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list resume data: %w", err)
	}
	var errs []error
	for _, e := range entries {
		name, _, ok := strings.Cut(e.Name(), resumeNew)
		ih, err := spate.ParseInfoHash(name)
		if ok && err == nil && len(name) == 2*len(ih) && !keep(ih) {
			errs = append(errs, RemoveResume(dir, ih))
		}
	}
	return errors.Join(errs...)
}

// ListResume returns the torrents with a record in dir, in no particular order.
func ListResume(dir string) ([]spate.InfoHash, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list resume data: %w", err)
	}
	var list []spate.InfoHash
	seen := map[spate.InfoHash]bool{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(strings.TrimSuffix(e.Name(), ".old"), resumeNew)
		ih, err := spate.ParseInfoHash(name)
		if !ok || err != nil || len(name) != 40 || seen[ih] {
			continue
		}
		seen[ih] = true
		list = append(list, ih)
	}
	return list, nil
}

// Verdict is the kind of change of a file since a record was made.
type Verdict uint8

// The possible changes of a file.
const (
	Unchanged Verdict = iota // as in the record
	Written                  // changed in a way that later writes of this program explain
	Touched                  // only the inode or the change time differs, see [FileStat.Touched]
	Changed                  // changed by another program
	Gone                     // removed
)

// Judge compares the current states of the files with those in the record.
func (r *Record) Judge(now []FileStat) []Verdict {
	v := make([]Verdict, len(now))
	for i, n := range now {
		if i >= len(r.Files) {
			v[i] = Changed
			continue
		}
		was := r.Files[i]
		later := n.Exists && (!was.Exists || n.sameFile(was) && n.ModTime >= was.ModTime && n.Size >= was.Size)
		switch {
		case was.Same(n):
			v[i] = Unchanged
		case was.Touched(n):
			v[i] = Touched
		case was.Exists && !n.Exists:
			v[i] = Gone
		case later && !r.Clean:
			v[i] = Written
		default:
			v[i] = Changed
		}
	}
	return v
}

// Reconcile returns which pieces of the record can be trusted and which must be
// checked, given the current states of the files. have contains the pieces of the
// record whose files are unchanged or touched. check contains the pieces that may be complete
// nevertheless, because their files were written after the record, or changed or touched by
// another program. All other pieces are missing.
func (r *Record) Reconcile(l *Layout, pieceLength int64, now []FileStat) (have, check bitfield.Bitfield) {
	verdicts := r.Judge(now)
	have, check = r.Have.Clone(), bitfield.New(r.Have.Len())
	for i, v := range verdicts {
		f := &l.files[i]
		if v == Unchanged || l.isPad(i) || f.Length == 0 {
			continue
		}
		last := int((f.Offset + f.Length - 1) / pieceLength)
		for p := int(f.Offset / pieceLength); p <= last && p < have.Len(); p++ {
			switch v {
			case Written, Touched:
				if !have.Get(p) {
					check.Set(p)
				}
			case Changed:
				have.Clear(p)
				check.Set(p)
			}
		}
	}
	// A piece with bytes in a removed file is missing, whatever the state of its other
	// files.
	for i, v := range verdicts {
		if f := &l.files[i]; v == Gone && f.Length > 0 {
			for p := f.Offset / pieceLength; p <= (f.Offset+f.Length-1)/pieceLength && p < int64(check.Len()); p++ {
				have.Clear(int(p))
				check.Clear(int(p))
			}
		}
	}
	return have, check
}

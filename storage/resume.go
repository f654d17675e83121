package storage

import (
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
)

// Record is what is remembered of a torrent over a restart. A piece may be in
// Have only after a Sync that came after its last write: then what the record
// says is true even after a crash of the machine.
type Record struct {
	InfoHash spate.InfoHash
	Have     bitfield.Bitfield // verified and synced
	Files    []FileStat        // when the record was made, in the order of the layout
	// Clean: nothing was written after the record. A record that is saved while
	// the torrent goes on is not clean.
	Clean      bool
	Paused     bool
	Half       bool          // some of Have was held against the v1 half of a hybrid only
	Dir        string        // download directory
	Device     uint64        // the file system that Dir is on, see [Dir.Device]; 0 if unknown
	Name       string        // in place of the torrent's name; "" if the same
	Priorities []byte        // of the files, 0: not wanted; nil if all are the default
	Uploaded   int64         // bytes, since the torrent was added
	Downloaded int64         // bytes, since the torrent was added
	Seeding    time.Duration // how long it was complete and running
	Added      time.Time     // to the second; zero if unknown
	Completed  time.Time     // to the second; zero if not
	Peers      []netip.AddrPort

	// Recovered is not stored. LoadResume sets it to the reason when it had to
	// use an older record than the newest.
	Recovered error
}

// CorruptError says that no record of a torrent could be used. The data has to
// be checked.
type CorruptError struct {
	Path  string // what could not be used
	Aside string // where it was moved to
	Err   error
}

// Error names the file, the reason, and where the file is now.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("resume data %s is damaged (%v): moved to %s", e.Path, e.Err, e.Aside)
}

// Unwrap returns the reason.
func (e *CorruptError) Unwrap() error { return e.Err }

// Names of a torrent's files in the state directory, after its info-hash.
const (
	resumeNew     = ".resume"
	resumeOld     = ".resume.old"
	resumeTemp    = ".resume.tmp"
	resumeCorrupt = ".corrupt"
)

// maxRecord bounds what is read: a bit for each of 2^26 pieces, a million
// files, and more.
const maxRecord = 64 << 20

func resumePath(dir string, ih spate.InfoHash, suffix string) string {
	return filepath.Join(dir, ih.String()+suffix)
}

// SaveResume writes rec into the directory dir, which must exist, so that a
// crash at any moment leaves the new record or the one before. The one before is
// kept for the case that the new one turns out damaged. Only one goroutine may
// save the record of one torrent at a time.
func SaveResume(dir string, rec *Record) error {
	temp := resumePath(dir, rec.InfoHash, resumeTemp)
	newest := resumePath(dir, rec.InfoHash, resumeNew)
	if err := writeSynced(temp, rec.encode()); err != nil {
		os.Remove(temp)
		return fmt.Errorf("save resume data: %w", err)
	}
	if err := os.Rename(newest, resumePath(dir, rec.InfoHash, resumeOld)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("save resume data: %w", err)
	}
	if err := os.Rename(temp, newest); err != nil {
		return fmt.Errorf("save resume data: %w", err)
	}
	if err := syncNames(dir); err != nil {
		return fmt.Errorf("save resume data: %w", err)
	}
	return nil
}

// writeSynced writes a file and syncs it.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// LoadResume reads the record of a torrent from dir. When the newest record is
// damaged, it is set aside and the one before is used, as one that is not clean
// and with Recovered set. The error wraps fs.ErrNotExist when there is none, and
// is a [*CorruptError] when none that there was could be used.
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
			corrupt.Aside = path + resumeCorrupt
			if err := os.Rename(path, corrupt.Aside); err != nil {
				return nil, fmt.Errorf("set damaged resume data aside: %w", err)
			}
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

// readRecord reads one record. Damage is a *CorruptError.
func readRecord(path string, ih spate.InfoHash) (*Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load resume data: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err != nil {
		return nil, fmt.Errorf("load resume data: %w", err)
	}
	rec, err := decodeRecord(b)
	if err == nil && rec.InfoHash != ih {
		err = fmt.Errorf("it is of torrent %v", rec.InfoHash)
	}
	if err != nil {
		return nil, &CorruptError{Path: path, Err: err}
	}
	return rec, nil
}

// RemoveResume forgets a torrent's record and the one before.
func RemoveResume(dir string, ih spate.InfoHash) error {
	var errs []error
	for _, suffix := range []string{resumeNew, resumeOld, resumeTemp} {
		if err := os.Remove(resumePath(dir, ih, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ListResume returns the torrents that have a record in dir, in no order.
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

// Verdict is what a file's FileStat now says about the one in a record.
type Verdict uint8

// The verdicts on a file.
const (
	Unchanged Verdict = iota // as the record says
	Written                  // as our own writes after the record would leave it
	Changed                  // somebody else's doing
	Gone                     // was there and is not
)

// Judge compares what the files are now with what the record says.
func (r *Record) Judge(now []FileStat) []Verdict {
	v := make([]Verdict, len(now))
	for i, n := range now {
		if i >= len(r.Files) {
			v[i] = Changed
			continue
		}
		was := r.Files[i]
		later := n.Exists && (!was.Exists || n.samePlace(was) && n.ModTime >= was.ModTime && n.Size >= was.Size)
		switch {
		case was.Same(n):
			v[i] = Unchanged
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

// Reconcile says which pieces to believe and which to check, given what the
// files are now: have are pieces of the record whose files are as they should
// be; check are pieces that may be there all the same, because they lie in a
// file that was written after the record or that somebody changed. The rest
// is not there.
func (r *Record) Reconcile(l *Layout, pieceLength int64, now []FileStat) (have, check bitfield.Bitfield) {
	verdicts := r.Judge(now)
	have, check = r.Have.Clone(), bitfield.New(r.Have.Len())
	for i, v := range verdicts {
		f := &l.files[i]
		if v == Unchanged || f.Pad || f.Length == 0 {
			continue
		}
		last := int((f.Offset + f.Length - 1) / pieceLength)
		for p := int(f.Offset / pieceLength); p <= last && p < have.Len(); p++ {
			switch v {
			case Written:
				if !have.Get(p) {
					check.Set(p)
				}
			case Changed:
				have.Clear(p)
				check.Set(p)
			}
		}
	}
	// A piece that lies in a file that is gone is not there, whatever its other
	// files are.
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

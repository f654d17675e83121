package storage

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"

	"spate/internal/filestat"
)

// Stats returns the current state of each file in the order of the layout. Padding and
// symbolic links have the zero value. If an unwanted file does not exist, its entry is
// the state of the parts file, which stores its data. Stats takes one or two system
// calls for each file.
func (d *Dir) Stats() ([]FileStat, error) { return d.stats(d.stored) }

// stats is Stats for the files for which want returns true. The others have the zero value.
func (d *Dir) stats(want func(i int) bool) ([]FileStat, error) {
	stats := make([]FileStat, len(d.layout.files))
	files := make([]int, 0, len(stats))
	for i := range stats {
		if want(i) {
			files = append(files, i)
		}
	}
	err := d.eachStat(files, func(p *parents, i int) (err error) {
		stats[i], err = d.statIn(p, i)
		return err
	})
	if err != nil {
		return nil, err
	}
	return stats, nil
}

// stat returns the state of file i as in [Dir.Stats].
func (d *Dir) stat(i int) (st FileStat, err error) {
	err = d.eachStat([]int{i}, func(p *parents, i int) error {
		st, err = d.statIn(p, i)
		return err
	})
	return st, err
}

// stored reports whether file i is stored on disk.
func (d *Dir) stored(i int) bool {
	return !d.layout.isPad(i) && d.layout.files[i].Symlink == nil
}

// Accept implements [ChangeDetector]: it records the current state of all files as
// expected. Call it after checking the data, or after comparing Stats with a Record.
// Without a call, the state of each file when it is first used is the expected one.
func (d *Dir) Accept() error {
	stats, err := d.stats(d.compared)
	if err != nil {
		return err
	}
	d.AcceptStats(stats)
	return nil
}

// AcceptStats records stats, an earlier result of [Dir.Stats], as the expected state of all
// files. A file that was changed since then does not have the expected state.
func (d *Dir) AcceptStats(stats []FileStat) {
	for i := range d.layout.files {
		if !d.compared(i) {
			continue
		}
		st := d.file(i)
		st.slot.mu.Lock()
		replaced := st.hasExpected && !st.expected.sameFile(stats[i])
		if replaced || st.sized && stats[i].Size != st.expected.Size {
			st.slot.dropLocked() // the next write opens the file at the path, and sets its length
			st.sized, st.own = false, st.own && !replaced
		}
		st.setExpected(stats[i], d.location.Load())
		st.slot.mu.Unlock()
	}
}

// compared reports whether file i is stored on disk and wanted, so that [Dir.Check] compares it.
func (d *Dir) compared(i int) bool { return d.stored(i) && !d.skip.has(i) }

// Accepted returns the expected state of each file in the order of the layout. A file
// without an expected state has the zero value.
func (d *Dir) Accepted() []FileStat {
	all := make([]FileStat, len(d.layout.files))
	for i := range all {
		all[i] = d.accepted(i)
	}
	return all
}

// accepted returns the expected state of file i, or the zero value if it has none.
func (d *Dir) accepted(i int) FileStat {
	if !d.states.isUsed(i) {
		return FileStat{}
	}
	st := d.file(i)
	st.slot.mu.Lock()
	defer st.slot.mu.Unlock()
	st.forgetIfCopied(d.location.Load())
	if !st.hasExpected {
		return FileStat{}
	}
	return st.expected
}

// RecordStats returns the states for a [Record]: like [Dir.Stats], but for a file with an
// expected state that state, so that the record accepts no later change by another program.
func (d *Dir) RecordStats() ([]FileStat, error) {
	stats, err := d.Stats()
	if err != nil {
		return nil, err
	}
	for i := range stats {
		if was := d.accepted(i); was.Exists && d.compared(i) {
			stats[i] = was
		}
	}
	return stats, nil
}

// Check implements [ChangeDetector]: it checks that the files in a range of the byte space
// exist and have the same size, time and inode as when they were last accepted or synced.
// The error joins an [*Error] with [ErrMissing] or [ErrChanged] for each file that differs,
// or is one error if the directory itself is missing. Check reads no data.
func (d *Dir) Check(off, n int64) error {
	if err := d.checkRoot(); err != nil {
		return err
	}
	var errs []error
	some := make([]int, 0, statsAtOnce)
	for e := range d.layout.Extents(off, n) {
		if e.Pad || d.skip.has(e.File) {
			continue
		}
		if some = append(some, e.File); len(some) == statsAtOnce {
			errs = append(errs, d.checkSome(some)...)
			some = some[:0]
		}
	}
	return joined(append(errs, d.checkSome(some)...))
}

// checkSome checks the files of a sorted list, and returns an error for each that differs. It
// examines them together, because each file alone would cost opening its directory.
func (d *Dir) checkSome(files []int) (errs []error) {
	at := d.location.Load()
	stats := make([]FileStat, len(files))
	failed := d.eachStat(files, func(p *parents, i int) (err error) {
		k, _ := slices.BinarySearch(files, i)
		stats[k], err = d.statIn(p, i)
		return err
	})
	for k, i := range files {
		if failed == nil && d.matches(i, stats[k], at) {
			continue
		}
		if err := d.checkFile(i); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// matches reports whether now, the state of file i at a location, is the expected state. If the
// file has no expected state, now becomes it.
func (d *Dir) matches(i int, now FileStat, at *location) bool {
	st := d.file(i)
	st.slot.mu.Lock()
	defer st.slot.mu.Unlock()
	if at != d.location.Load() {
		return false // the data was moved in the meantime
	}
	st.forgetIfCopied(at)
	if !st.hasExpected {
		st.setExpected(now, at)
	}
	return st.compare(now, d.unsynced.has(i))
}

// Device returns a number for the file system of the directory when it was opened, or 0 if
// the system has no such numbers. A caller can use it to distinguish an empty directory
// from one whose disk is not mounted.
func (d *Dir) Device() uint64 { return filestat.Device(d.location.Load().root.id) }

// checkRoot checks that the directory is still the one that was opened.
func (d *Dir) checkRoot() error {
	at := d.location.Load().root
	id, err := os.Stat(at.path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return d.fail("check", -1, classify(err, false), err)
	case err != nil || !os.SameFile(id, at.id):
		return d.fail("check", -1, ErrMissing, errMoved)
	}
	return nil
}

func (d *Dir) checkFile(i int) error {
	st := d.file(i)
	// A write or a Sync can happen between reading the state of the file and reading
	// the expected state, so compare three times before reporting a difference.
	for try := 0; ; try++ {
		at := d.location.Load()
		now, err := d.stat(i)
		if err != nil {
			return err
		}
		st.slot.mu.Lock()
		if at != d.location.Load() {
			st.slot.mu.Unlock()
			continue // the data was moved in the meantime
		}
		st.forgetIfCopied(at)
		if !st.hasExpected {
			st.setExpected(now, at)
		}
		was, ok := st.expected, st.compare(now, d.unsynced.has(i))
		if !ok && try == 2 {
			st.slot.dropLocked() // so that the next read opens the changed file
		}
		st.slot.mu.Unlock()
		switch {
		case ok:
			return nil
		case try < 2:
		case !now.Exists:
			return d.fail("check", i, ErrMissing, nil)
		default:
			return d.changed("check", i, was, now)
		}
	}
}

// HasData implements [DataFinder]. It reports whether any byte of a range may have been
// written. It returns false if all bytes of the range are padding, in files that do not
// exist, past the end of a file, or in a hole, which reads as zeros. On systems that cannot
// find holes, everything inside a file counts as written.
func (d *Dir) HasData(off, n int64) bool {
	for e := range d.layout.Extents(off, n) {
		if !e.Pad && d.hasData(e.File, e.Offset, e.Length) {
			return true
		}
	}
	return false
}

// NextData implements [DataFinder]. It returns the first offset not less than off at which
// [Dir.HasData] would report data, or the length of the byte space if there is none. It
// takes a few system calls for each file or hole, and one for each missing directory.
func (d *Dir) NextData(off int64) int64 {
	absent := absentDir{d: d}
	for e := range d.layout.Extents(off, d.layout.total-off) {
		if e.Pad || absent.contains(e.File) {
			continue
		}
		if at, ok := d.nextData(e.File, e.Offset, e.Length); ok {
			return d.layout.files[e.File].Offset + at
		}
		absent.note(e.File)
	}
	return d.layout.total
}

// absentDir remembers a directory of files that does not exist, so that a search for data
// need not open each of them.
type absentDir struct {
	d     *Dir
	path  string // of the last noted directory
	gone  bool   // it does not exist
	parts bool   // the parts file may exist
}

// contains reports whether file i is in a directory that does not exist, and is not in the
// parts file.
func (a *absentDir) contains(i int) bool {
	return a.gone && path.Dir(a.d.name(i)) == a.path && !(a.parts && a.d.skip.has(i))
}

// note looks for the directory of file i, in which no data was found.
func (a *absentDir) note(i int) {
	dir := path.Dir(a.d.name(i))
	if dir == a.path {
		return
	}
	a.path, a.gone = dir, false
	_ = a.d.withRoot("stat", func(root *os.Root) error {
		_, err := root.Lstat(dir)
		a.gone = errors.Is(err, fs.ErrNotExist)
		_, err = root.Lstat(a.d.name(len(a.d.layout.files)))
		a.parts = !errors.Is(err, fs.ErrNotExist)
		return nil
	})
}

// hasData is HasData for n bytes of one file from offset off.
func (d *Dir) hasData(i int, off, n int64) bool {
	_, ok := d.nextData(i, off, n)
	return ok
}

// nextData returns the offset of the first data in n bytes of file i from offset off,
// and whether there is any.
func (d *Dir) nextData(i int, off, n int64) (at int64, ok bool) {
	h, err := d.acquire(i, false)
	switch begin := d.layout.files[i].Offset; {
	case err == nil:
		defer h.release()
		at, ok = nextData(h.file, off)
		return at, ok && at < off+n
	case errors.Is(err, ErrMissing) && d.skip.has(i):
		at, ok, err = d.nextParts(begin+off, n)
		if err == nil {
			return at - begin, ok
		}
	}
	return off, !errors.Is(err, ErrMissing) // claim that there is data, so that a read returns the error
}

// Prepare implements [Preparer]: it checks that no other entry is at the path of a file and
// that no file is too long. It creates only the files of length zero. The error joins one
// [*Error] for each file, up to 100.
func (d *Dir) Prepare() error {
	if d.opts.ReadOnly {
		return d.fail("write", -1, ErrReadOnly, nil)
	}
	const most = 100
	var errs []error
	for i := range d.layout.files {
		if !d.stored(i) || d.skip.has(i) {
			continue
		}
		if err := d.prepareFile(i); err != nil {
			errs = append(errs, err)
			if len(errs) == most {
				break
			}
		}
	}
	return joined(errs)
}

func (d *Dir) prepareFile(i int) error {
	st := d.file(i)
	st.slot.mu.Lock()
	defer st.slot.mu.Unlock()
	return d.withRoot("open", func(root *os.Root) error {
		err := d.checkLinks(root, i)
		if err == nil {
			err = d.prepareIn(root, i)
		}
		if err != nil {
			return d.fail("open", i, classify(err, true), err)
		}
		return nil
	})
}

func (d *Dir) prepareIn(root *os.Root, i int) error {
	want := d.layout.files[i].Length
	fi, err := root.Lstat(d.name(i))
	absent := classify(err, false) == ErrMissing // for a name that cannot be stored, the first write returns the error
	switch {
	case err != nil && !absent:
		return err
	case !absent && fi.Size() > want && !d.opts.Force:
		return d.tooLong(i, fi.Size())
	case want > 0 || !absent && fi.Size() == 0:
		return nil
	}
	o, err := d.openWrite(root, i)
	o.close()
	return err
}

package storage

import (
	"errors"
	"io/fs"
	"os"
)

// Stats returns what there is of each file of the layout, in its order. Padding
// and symbolic links have no entry of their own: theirs is the zero value. A
// file that is not wanted and not there stands for the parts of it that are kept
// elsewhere. It costs a system call or two for each file.
func (d *Dir) Stats() ([]FileStat, error) {
	stats := make([]FileStat, len(d.layout.files))
	var files []int
	for i := range stats {
		if d.stored(i) {
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

// stat returns what there is of file i, as [Dir.Stats] does.
func (d *Dir) stat(i int) (st FileStat, err error) {
	err = d.eachStat([]int{i}, func(p *parents, i int) error {
		st, err = d.statIn(p, i)
		return err
	})
	return st, err
}

// stored reports whether file i is one on the disk.
func (d *Dir) stored(i int) bool {
	f := &d.layout.files[i]
	return !f.Pad && f.Link == ""
}

// Accept takes what the files are now as what they should be: after a check of
// the data, or after a look at the Stats that a Record kept. Before the first
// Accept each file is accepted as it is found when it is first used.
func (d *Dir) Accept() error {
	stats, err := d.Stats()
	if err != nil {
		return err
	}
	for i := range stats {
		st := &d.files[i]
		if !d.stored(i) || st.skip.Load() {
			continue
		}
		st.slot.mu.Lock()
		if st.known && !st.base.samePlace(stats[i]) {
			st.slot.dropLocked() // another file is there now
		}
		st.setBase(stats[i], d.place.Load())
		st.slot.mu.Unlock()
	}
	return nil
}

// Accepted returns what the files were when they were last accepted, in the order
// of the layout.
func (d *Dir) Accepted() []FileStat {
	all := make([]FileStat, len(d.layout.files))
	for i := range all {
		st := &d.files[i]
		st.slot.mu.Lock()
		if st.known {
			all[i] = st.base
		}
		st.slot.mu.Unlock()
	}
	return all
}

// Check looks whether the files in a range of the byte space are still what
// they should be: there, with the size, the time and the inode that they had
// when they were last accepted or synced. The error joins an [*Error] for each
// that is not, with [ErrMissing] or [ErrChanged] as the reason, and one for the
// whole directory when that is gone. It reads no data.
func (d *Dir) Check(off, n int64) error {
	if err := d.checkRoot(); err != nil {
		return err
	}
	var errs []error
	for e := range d.layout.Extents(off, n) {
		if e.Pad || d.files[e.File].skip.Load() {
			continue
		}
		if err := d.checkFile(e.File); err != nil {
			errs = append(errs, err)
		}
	}
	return joined(errs)
}

// Device names the file system that the directory was on when it was opened; 0
// where that cannot be told. It tells an empty directory from one whose disk is
// not mounted.
func (d *Dir) Device() uint64 { return device(d.place.Load().root.id) }

// checkRoot looks whether the directory is still the one it was.
func (d *Dir) checkRoot() error {
	at := d.place.Load().root
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
	st := &d.files[i]
	// A write may land, or a Sync end, between the look at the file and the look
	// at what it should be: look three times before saying so.
	for try := 0; ; try++ {
		at := d.place.Load()
		now, err := d.stat(i)
		if err != nil {
			return err
		}
		st.slot.mu.Lock()
		if at != d.place.Load() {
			st.slot.mu.Unlock()
			continue // it was looked at on the way
		}
		st.moved(at)
		if !st.known {
			st.setBase(now, at)
		}
		ok := st.compare(now)
		if !ok && try == 2 {
			st.slot.dropLocked() // let the next read see what is there
		}
		st.slot.mu.Unlock()
		switch {
		case ok:
			return nil
		case try < 2:
		case !now.Exists:
			return d.fail("check", i, ErrMissing, nil)
		default:
			return d.fail("check", i, ErrChanged, nil)
		}
	}
}

// HasData reports whether anything may be stored in n bytes from off. False
// means that no byte of the range, padding aside, was ever written: the files
// are not there, or too short, or have a hole where it lies, which reads as
// zeros. On systems that cannot tell holes, what lies inside a file counts as
// stored.
func (d *Dir) HasData(off, n int64) bool {
	for e := range d.layout.Extents(off, n) {
		if !e.Pad && d.hasData(e.File, e.Offset, e.Length) {
			return true
		}
	}
	return false
}

// NextData returns the first offset from off on at which anything may be stored, in
// the sense of [Dir.HasData], or the length of the byte space. It costs a few system
// calls for a file or a hole, whatever its size.
func (d *Dir) NextData(off int64) int64 {
	for e := range d.layout.Extents(off, d.layout.total-off) {
		if e.Pad {
			continue
		}
		if at, ok := d.nextData(e.File, e.Offset, e.Length); ok {
			return d.layout.files[e.File].Offset + at
		}
	}
	return d.layout.total
}

// hasData is HasData for n bytes from off of one file.
func (d *Dir) hasData(i int, off, n int64) bool {
	_, ok := d.nextData(i, off, n)
	return ok
}

// nextData returns where the first data is of n bytes from off of one file, if there
// is any.
func (d *Dir) nextData(i int, off, n int64) (at int64, ok bool) {
	begin := int64(0) // of the file in the one that is looked at
	h, err := d.acquire(i, false)
	if errors.Is(err, ErrMissing) && d.files[i].skip.Load() {
		begin = d.layout.files[i].Offset
		h, err = d.acquire(len(d.layout.files), false)
	}
	if err != nil {
		return off, !errors.Is(err, ErrMissing) // let the read say what is wrong
	}
	defer h.release()
	at, ok = nextData(h.file, begin+off)
	return at - begin, ok && at < begin+off+n
}

// Prepare checks, before anything is fetched, that every file can be written:
// that nothing is in the way and nothing is longer than it should be. It creates
// the files of zero length, and nothing else. The error joins one [*Error] for
// each file, up to 100.
func (d *Dir) Prepare() error {
	if d.opts.ReadOnly {
		return d.fail("write", -1, ErrReadOnly, nil)
	}
	const most = 100
	var errs []error
	for i := range d.layout.files {
		if !d.stored(i) || d.files[i].skip.Load() {
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
	st := &d.files[i]
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
	absent := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !absent:
		return err
	case !absent && fi.Size() > want && !d.opts.Force:
		return d.longer(i, fi.Size())
	case want > 0 || !absent && fi.Size() == 0:
		return nil
	}
	o, err := d.openWrite(root, i)
	o.close()
	return err
}

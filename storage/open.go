package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"spate/internal/units"
)

// acquire returns the handle of file i with a reference. The caller must release it.
func (d *Dir) acquire(i int, write bool) (*handle, error) {
	s := &d.file(i).slot
	if h := s.hit(write); h != nil {
		return h, nil
	}
	op := "open"
	if write {
		op = "write"
		if d.opts.ReadOnly {
			return nil, d.fail(op, i, ErrReadOnly, nil)
		}
	}
	h, err := d.pool.files.get(s, write, func() (openFile, error) { return d.open(i, write) })
	if err != nil {
		return nil, d.fail(op, i, classify(err, write), err)
	}
	return h, nil
}

// open opens file i. The caller holds the lock of its slot.
func (d *Dir) open(i int, write bool) (o openFile, err error) {
	err = d.withRoot("open", func(root *os.Root) error {
		if write {
			o, err = d.openWrite(root, i)
		} else {
			o, err = d.openRead(root, i)
		}
		return err
	})
	return o, err
}

func (d *Dir) openRead(root *os.Root, i int) (openFile, error) {
	f, err := root.OpenFile(d.name(i), os.O_RDONLY|openFlags, 0)
	if err != nil {
		return openFile{}, err
	}
	if _, err := d.checkOpened(f, i); err != nil {
		f.Close()
		return openFile{}, err
	}
	return openFile{file: f}, nil
}

// openWrite opens file i for reading and writing. It creates the file and its
// directories, unless the file has existed before and was removed.
func (d *Dir) openWrite(root *os.Root, i int) (openFile, error) {
	name := d.name(i)
	st := d.file(i)
	var f *os.File
	d.watchErrors(root)
	err := fs.ErrExist
	if !(st.hasExpected && st.expected.Exists) && (!d.skip.has(i) || d.creating.has(i)) {
		f, err = d.create(root, i)
	}
	created := err == nil
	if errors.Is(err, fs.ErrExist) {
		if err = d.checkLinks(root, i); err == nil {
			f, err = root.OpenFile(name, os.O_RDWR|openFlags, 0)
		}
	}
	if err != nil {
		return openFile{}, err
	}
	size, err := d.checkOpened(f, i)
	if err == nil {
		err = d.resize(f, i, size)
	}
	if err == nil && d.length(i) >= 0 {
		st.expected.Size, st.sized, st.own = d.length(i), true, true
	}
	if err != nil {
		f.Close()
		if created {
			root.Remove(name)
			st.expected, st.hasExpected = FileStat{}, false
		}
		return openFile{}, err
	}
	return openFile{file: f, write: true}, nil
}

// create creates file i and the directories above it. The error wraps fs.ErrExist if there
// already is an entry at its path.
func (d *Dir) create(root *os.Root, i int) (*os.File, error) {
	name := d.name(i)
	dir := path.Dir(name)
	switch there, err := d.checkDirs(root, i); {
	case err != nil:
		return nil, err
	case !there:
		if err := root.MkdirAll(dir, dirPerm); err != nil {
			return nil, d.badName(i, err)
		}
		d.noteDirs(dir)
	}
	perm := fs.FileMode(filePerm)
	if i < len(d.layout.files) && d.layout.files[i].Executable() {
		perm = execPerm
	}
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|openFlags, perm)
	if err == nil {
		d.noteDir(dir)
		d.markDirty(i)
	}
	return f, d.badName(i, err)
}

// badName returns the error of creating file i. EINVAL means that the file system does not allow
// a character of the name, as vfat and exFAT do not allow a colon.
func (d *Dir) badName(i int, err error) error {
	if errors.Is(err, syscall.EINVAL) {
		return d.fail("create", i, ErrName, err)
	}
	return err
}

// checkLinks returns an error if any element of the path of file i is a symbolic link,
// or is not the directory or regular file that it should be.
func (d *Dir) checkLinks(root *os.Root, i int) error {
	if there, err := d.checkDirs(root, i); err != nil || !there {
		return err
	}
	fi, err := root.Lstat(d.name(i))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	switch mode := fi.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return d.obstructed(i, "a symbolic link")
	case mode.IsDir():
		return d.obstructed(i, "a directory")
	case !mode.IsRegular():
		return d.obstructed(i, "not a regular file")
	}
	return nil
}

// checkDirs is like checkLinks for the directories above file i. It reports whether all
// of them exist.
func (d *Dir) checkDirs(root *os.Root, i int) (there bool, err error) {
	name := d.name(i)
	for end := range len(name) {
		if name[end] != '/' {
			continue
		}
		fi, err := root.Lstat(name[:end])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return false, nil
		case err != nil:
			return false, err
		case fi.Mode()&fs.ModeSymlink != 0:
			return false, d.obstructed(i, "a symbolic link")
		case !fi.IsDir():
			return false, d.obstructed(i, "a file instead of a directory")
		}
	}
	return true, nil
}

func (d *Dir) obstructed(i int, what string) error {
	return d.fail("open", i, ErrObstructed, errors.New(what))
}

// checkOpened checks that an opened file has the expected state, and returns its size.
func (d *Dir) checkOpened(f *os.File, i int) (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !fi.Mode().IsRegular() {
		return 0, d.obstructed(i, "not a regular file")
	}
	st, now, at := d.file(i), StatOf(fi), d.location.Load()
	st.forgetIfCopied(at)
	if st.hasExpected && !st.compare(now, d.unsynced.has(i)) {
		return 0, d.changed("open", i, st.expected, now)
	}
	if !st.hasExpected || !st.expected.Exists {
		st.setExpected(now, at)
	}
	return now.Size, nil
}

// compare reports whether now is the expected state. While this process writes to the
// file, the time may differ, and the size until the file has its final length. unsynced means that
// the file was written since the last Sync. The caller holds slot.mu.
func (st *fileState) compare(now FileStat, unsynced bool) bool {
	if st.writing.Load() > 0 || unsynced {
		return !st.expected.Exists || st.expected.sameFile(now) && (!st.sized || now.Size == st.expected.Size)
	}
	return st.expected.Same(now)
}

// isExpected reports whether now is the expected state of file i.
func (d *Dir) isExpected(i int, now FileStat) bool {
	st := d.file(i)
	st.slot.mu.Lock()
	defer st.slot.mu.Unlock()
	st.forgetIfCopied(d.location.Load())
	return !st.hasExpected || st.compare(now, d.unsynced.has(i))
}

// resize sets a file that was opened for writing to its final length. The added part is
// a hole.
func (d *Dir) resize(f *os.File, i int, size int64) error {
	want := d.length(i)
	if size == want || want < 0 {
		return nil
	}
	if size > want && !d.opts.Force && !d.file(i).own {
		return d.tooLong(i, size)
	}
	d.markDirty(i)
	return f.Truncate(want)
}

func (d *Dir) tooLong(i int, size int64) error {
	return d.fail("open", i, ErrLonger, d.otherLength(i, size))
}

// changed returns the error about a file that another program has changed. was is its expected
// state. The caller may hold slot.mu.
func (d *Dir) changed(op string, i int, was, now FileStat) error {
	var cause error
	switch want := d.length(i); {
	case want >= 0 && now.Size != want:
		cause = d.otherLength(i, now.Size)
	case was.Touched(now):
		cause = ErrTouched
	}
	return d.fail(op, i, ErrChanged, cause)
}

func (d *Dir) otherLength(i int, size int64) error {
	return fmt.Errorf("%s instead of %d", units.Plural(size, "byte"), d.length(i))
}

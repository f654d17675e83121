package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// acquire returns file i open, with a reference that the caller releases.
func (d *Dir) acquire(i int, write bool) (*handle, error) {
	s := &d.files[i].slot
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

// open opens file i. The caller holds the slot's lock.
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
	if _, err := d.admit(f, i); err != nil {
		f.Close()
		return openFile{}, err
	}
	return openFile{file: f}, nil
}

// openWrite opens file i for reading and writing, and creates it, with its
// directories, unless it was there before and is gone.
func (d *Dir) openWrite(root *os.Root, i int) (openFile, error) {
	name := d.name(i)
	st := &d.files[i]
	var f *os.File
	d.watchErrors(root)
	err := fs.ErrExist
	if !(st.known && st.base.Exists) && (!st.skip.Load() || st.making.Load()) {
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
	size, err := d.admit(f, i)
	if err == nil {
		err = d.resize(f, i, size)
	}
	if err != nil {
		f.Close()
		if created {
			root.Remove(name)
		}
		return openFile{}, err
	}
	return openFile{file: f, write: true}, nil
}

// create makes file i and the directories above it. The error is of kind
// fs.ErrExist if there is something in its place.
func (d *Dir) create(root *os.Root, i int) (*os.File, error) {
	name := d.name(i)
	dir := path.Dir(name)
	switch there, err := d.checkDirs(root, i); {
	case err != nil:
		return nil, err
	case !there:
		if err := root.MkdirAll(dir, dirPerm); err != nil {
			return nil, err
		}
		d.noteDirs(dir)
	}
	perm := fs.FileMode(filePerm)
	if i < len(d.layout.files) && d.layout.files[i].Exec {
		perm = execPerm
	}
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|openFlags, perm)
	if err == nil {
		d.noteDir(dir)
		d.markDirty(i)
	}
	return f, err
}

// checkLinks refuses to write through a symbolic link, or into something that
// is no file, at any part of the path.
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

// checkDirs does that for the directories above file i, and reports whether they
// are all there.
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
			return false, d.obstructed(i, "a file where a directory has to be")
		}
	}
	return true, nil
}

func (d *Dir) obstructed(i int, what string) error {
	return d.fail("open", i, ErrObstructed, errors.New(what))
}

// admit checks that an opened file is what it should be, and returns its size.
func (d *Dir) admit(f *os.File, i int) (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !fi.Mode().IsRegular() {
		return 0, d.obstructed(i, "not a regular file")
	}
	st, now, at := &d.files[i], statOf(fi), d.place.Load()
	st.moved(at)
	if st.known && !st.compare(now) {
		return 0, d.fail("open", i, ErrChanged, nil)
	}
	if !st.known || !st.base.Exists {
		st.setBase(now, at)
	}
	return now.Size, nil
}

// compare reports whether now is what the file should be. Sizes and times of a
// file that we are writing to are our own doing. The caller holds slot.mu.
func (st *fileState) compare(now FileStat) bool {
	if st.writing.Load() > 0 || st.dirty.Load() {
		return st.base.samePlace(now) || !st.base.Exists
	}
	return st.base.Same(now)
}

// isBase reports whether now is what file i should be.
func (d *Dir) isBase(i int, now FileStat) bool {
	st := &d.files[i]
	st.slot.mu.Lock()
	defer st.slot.mu.Unlock()
	st.moved(d.place.Load())
	return !st.known || st.compare(now)
}

// resize makes a file that was opened for writing as long as it has to be.
// What is added is a hole.
func (d *Dir) resize(f *os.File, i int, size int64) error {
	want := d.length(i)
	if size == want || want < 0 {
		return nil
	}
	if size > want && !d.opts.Force {
		return d.longer(i, size)
	}
	d.markDirty(i)
	return f.Truncate(want)
}

func (d *Dir) longer(i int, size int64) error {
	return d.fail("open", i, ErrLonger, fmt.Errorf("%d bytes instead of %d", size, d.length(i)))
}

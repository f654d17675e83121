package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

// Permissions of what is created, before the user's umask.
const (
	filePerm = 0o666
	execPerm = 0o777
	dirPerm  = 0o777
)

// FileStat is what is remembered of a file to notice that it changed.
type FileStat struct {
	Exists  bool
	Size    int64  // bytes
	ModTime int64  // nanoseconds since 1970
	Inode   uint64 // 0: the system has none
}

// statOf returns the FileStat of a file that exists.
func statOf(fi fs.FileInfo) FileStat {
	return FileStat{Exists: true, Size: fi.Size(), ModTime: fi.ModTime().UnixNano(), Inode: inode(fi)}
}

// Same reports whether nothing shows that the file changed from s to now.
func (s FileStat) Same(now FileStat) bool {
	return s.samePlace(now) && s.Size == now.Size && s.ModTime == now.ModTime
}

// samePlace reports whether the file still exists, or still does not, and was
// not replaced by another.
func (s FileStat) samePlace(now FileStat) bool {
	return s.Exists == now.Exists && (s.Inode == now.Inode || s.Inode == 0 || now.Inode == 0)
}

// writeAtOnce is how many bytes one system call writes at most. The page cache of
// ext4 takes folios as large as the write, and from a megabyte on those are memory
// that the host of a virtual machine may have taken back: 1.7 s of CPU a GB in
// place of 0.26, on Linux 6.18 with free page reporting. Below 128 KiB each call
// begins to show.
const writeAtOnce = 256 << 10

// writebackAfter is after how many bytes written to a file the system is asked to
// begin with the writing to the disk, so that it goes on beside the rest and little is
// left to wait for at the end. It is many enough for an allocator of blocks that looks
// at them together to find long runs, whatever the order in which the pieces came.
const writebackAfter = 64 << 20

// fileState is what a Dir knows of one file.
type fileState struct {
	slot    slot
	writing atomic.Int32 // writes that are under way
	dirty   atomic.Bool  // written since the last Sync
	written atomic.Int64 // bytes, by this process
	skip    atomic.Bool  // not wanted: not created
	making  atomic.Bool  // created though skip is still set: SetWanted is at it
	// base is what the file was when it was last known to be ours; known says
	// that there is one. Both are guarded by slot.mu.
	base   FileStat
	known  bool
	copies int // of the place where base was
}

// setBase takes what the file is as what it should be. The caller holds slot.mu.
func (st *fileState) setBase(now FileStat, at *place) {
	st.base, st.known, st.copies = now, true, at.copies
}

// moved forgets what the file should be if it was copied to another place since:
// the copy is another file. The caller holds slot.mu.
func (st *fileState) moved(at *place) {
	if st.copies != at.copies {
		st.known = false
	}
}

// classify names the reason behind an error; write says that it was met while
// writing.
func classify(err error, write bool) error {
	var mine *Error
	var errno syscall.Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mine):
		return mine.Reason
	case errors.Is(err, errMoved):
		return ErrMissing
	case errors.Is(err, os.ErrClosed):
		return os.ErrClosed
	case errors.As(err, &errno):
		if r := classifyErrno(errno, write); r != nil {
			return r
		}
		return ErrIO
	case errors.Is(err, fs.ErrNotExist):
		return ErrMissing
	case isEscape(err):
		return ErrObstructed
	}
	return ErrIO
}

// isEscape reports whether os.Root refused to follow a link out of itself. The
// package os has no name for that error, which is the only one of its own
// making that a clean, local path can meet.
func isEscape(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe) && pe.Err != nil && pe.Err.Error() == "path escapes from parent"
}

// fail makes the error of an operation on file i; -1 stands for the directory.
func (d *Dir) fail(op string, i int, reason, err error) error {
	var mine *Error
	if errors.As(err, &mine) {
		return err
	}
	if errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("%s %s: %w", op, quotePath(d.Path()), os.ErrClosed)
	}
	at := d.place.Load()
	e := &Error{Op: op, Path: at.root.path, File: i, Reason: reason, Err: err}
	if i >= 0 {
		e.Path = filepath.Join(at.root.path, filepath.FromSlash(d.name(i)))
	}
	if i == len(d.layout.files) {
		e.File = -1 // the parts are of many files
	}
	return e
}

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

// readFile fills p from off in file i.
func (d *Dir) readFile(i int, p []byte, off int64) (int, error) {
	if d.files[i].skip.Load() {
		return d.readSkipped(i, p, off)
	}
	return d.readReal(i, p, off)
}

// writeFile writes p at off in file i.
func (d *Dir) writeFile(i int, p []byte, off int64) (int, error) {
	if d.files[i].skip.Load() {
		return d.writeSkipped(i, p, off)
	}
	return d.writeReal(i, p, off)
}

// readReal reads from the file itself, and fails when somebody else wrote to it.
func (d *Dir) readReal(i int, p []byte, off int64) (int, error) {
	h, err := d.acquire(i, false)
	if err != nil {
		return 0, err
	}
	n, err := h.file.ReadAt(p, off)
	fi, serr := h.file.Stat()
	h.release()
	switch {
	case n == len(p):
		if serr == nil && !d.isBase(i, statOf(fi)) {
			return n, d.checkFile(i)
		}
		return n, nil
	case isEOF(err):
		return n, d.fail("read", i, ErrMissing, errors.New("the file is shorter than it has to be"))
	}
	return n, d.fail("read", i, classify(err, false), err)
}

// writeReal writes to the file itself.
func (d *Dir) writeReal(i int, p []byte, off int64) (int, error) {
	st := &d.files[i]
	st.writing.Add(1)
	defer st.writing.Add(-1)
	h, err := d.acquire(i, true)
	if err != nil {
		return 0, err
	}
	n := 0
	for n < len(p) && err == nil {
		var k int
		k, err = h.file.WriteAt(p[n:min(n+writeAtOnce, len(p))], off+int64(n))
		n += k
	}
	// Only now: a Sync that began before must not count these bytes as synced.
	d.markDirty(i)
	if now := st.written.Add(int64(n)); now/writebackAfter != (now-int64(n))/writebackAfter {
		startWriteback(h.file)
	}
	h.release()
	if err != nil {
		return n, d.fail("write", i, classify(err, true), err)
	}
	return n, nil
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

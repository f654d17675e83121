package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"spate/internal/folder"
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
	case folder.Escapes(err):
		return ErrObstructed
	}
	return ErrIO
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
	if folder.Escapes(err) {
		err = folder.ErrOutside
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

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

	"spate/internal/filestat"
	"spate/internal/folder"
)

// Permissions of created files and directories, before umask is applied.
const (
	filePerm = 0o666
	execPerm = 0o777
	dirPerm  = 0o777
)

// FileStat is the state of a file that is compared to find changes.
type FileStat struct {
	Exists  bool
	Size    int64  // in bytes
	ModTime int64  // in nanoseconds since 1970
	Inode   uint64 // 0 if the system has none
	Change  int64  // when the data or an attribute last changed, in nanoseconds since 1970; 0 if unknown
}

// StatOf returns the FileStat of an existing file.
func StatOf(fi fs.FileInfo) FileStat {
	return FileStat{Exists: true, Size: fi.Size(), ModTime: fi.ModTime().UnixNano(), Inode: filestat.Inode(fi), Change: filestat.ChangeTime(fi)}
}

// Same reports whether the file appears unchanged between s and now.
func (s FileStat) Same(now FileStat) bool {
	return s.sameFile(now) && s.sameContent(now) && (s.Change == now.Change || s.Change == 0 || now.Change == 0)
}

// Touched reports whether the file has the same size and modification time, but another inode
// or change time. Either its permissions, links or name changed, or the file system does not
// keep inodes, or a program changed the data and put the modification time back.
func (s FileStat) Touched(now FileStat) bool {
	return s.Exists && now.Exists && s.sameContent(now) && !s.Same(now)
}

func (s FileStat) sameContent(now FileStat) bool {
	return s.Size == now.Size && s.ModTime == now.ModTime
}

// sameFile reports whether the file was neither created, removed nor replaced.
func (s FileStat) sameFile(now FileStat) bool {
	return s.Exists == now.Exists && (s.Inode == now.Inode || s.Inode == 0 || now.Inode == 0)
}

// maxWrite is the largest number of bytes that one system call writes. With larger writes
// ext4 uses larger folios in the page cache. From 1 MiB on, the host of a virtual machine
// may have reclaimed their memory, and a write then takes 1.7 s of CPU per GB instead of
// 0.26 s (Linux 6.18 with free page reporting). Below 128 KiB the number of calls becomes
// noticeable.
const maxWrite = 256 << 10

// writebackAfter is the number of bytes written to a file after which the system is asked
// to start writing them to disk, so that a later sync has little left to write. It is large
// enough for the block allocator to find long runs even if the pieces arrive in random
// order.
const writebackAfter = 64 << 20

// fileState is the state of one file of a Dir.
type fileState struct {
	slot    slot
	written atomic.Uint32 // number of bytes written by this process, modulo 2^32
	writing atomic.Int32  // number of writes in progress
	// expected is the state of the file after the last change by this process.
	// hasExpected reports whether it is known. slot.mu guards both.
	expected    FileStat
	copies      int32 // the number of copies of the location when expected was recorded
	hasExpected bool
	// sized means that this process has given the file its length in the torrent, so that any
	// other length is the work of another program. own means that this process has written to
	// the file, so that it may cut what was appended since. slot.mu guards both.
	sized, own bool
}

// setExpected records now as the expected state. The caller holds slot.mu.
func (st *fileState) setExpected(now FileStat, at *location) {
	st.expected, st.hasExpected, st.copies = now, true, at.copies
}

// forgetIfCopied drops the expected state if the file was copied since the state was
// recorded, because the copy is a new file. The caller holds slot.mu.
func (st *fileState) forgetIfCopied(at *location) {
	if st.copies != at.copies {
		st.hasExpected, st.sized, st.own = false, false, false
	}
}

// classify returns the reason for err: one of the Err values of this package, or
// os.ErrClosed. write reports whether the operation was a write.
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

// fail returns the error of an operation on file i, or on the directory if i is -1.
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
	at := d.location.Load()
	e := &Error{Op: op, Path: at.root.path, File: i, Reason: reason, Err: err}
	if i >= 0 {
		e.Path = filepath.Join(at.root.path, filepath.FromSlash(d.name(i)))
	}
	if i == len(d.layout.files) {
		e.File = -1 // the parts file belongs to many files
	}
	return e
}

// readFile reads len(p) bytes of file i at offset off.
func (d *Dir) readFile(i int, p []byte, off int64) (int, error) {
	if d.skip.has(i) {
		return d.readSkipped(i, p, off)
	}
	return d.readReal(i, p, off)
}

// writeFile writes p to file i at offset off.
func (d *Dir) writeFile(i int, p []byte, off int64) (int, error) {
	if d.skip.has(i) {
		return d.writeSkipped(i, p, off)
	}
	return d.writeReal(i, p, off)
}

// readReal reads from the file itself. It fails if another program has changed the
// file.
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
		if serr == nil && !d.isExpected(i, StatOf(fi)) {
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
	st := d.file(i)
	st.writing.Add(1)
	defer st.writing.Add(-1)
	h, err := d.acquire(i, true)
	if err != nil {
		return 0, err
	}
	// A write to a file that was cut would hide the cut, because it makes the file longer again.
	if fi, err := h.file.Stat(); err == nil && d.length(i) >= 0 && fi.Size() != d.length(i) {
		h.release()
		return 0, d.changed("write", i, FileStat{}, StatOf(fi))
	}
	n := 0
	for n < len(p) && err == nil {
		var k int
		k, err = h.file.WriteAt(p[n:min(n+maxWrite, len(p))], off+int64(n))
		n += k
	}
	// Mark the file after the write. If it were marked before, a Sync that is in progress
	// could count these bytes as synced.
	d.markDirty(i)
	if now := st.written.Add(uint32(n)); now/writebackAfter != (now-uint32(n))/writebackAfter {
		startWriteback(h.file)
	}
	h.release()
	if err != nil {
		return n, d.fail("write", i, classify(err, true), err)
	}
	return n, nil
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

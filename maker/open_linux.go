package maker

import (
	"errors"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"spate/internal/folder"
)

// opener opens the files of one tree, and nothing outside of it. It is safe for
// concurrent use.
//
// It uses descriptors instead of os.File, because a torrent can have hundreds of
// thousands of small files, and registering each with the poller and the garbage
// collector takes noticeable time.
type opener struct {
	path   string      // path of the file or the directory
	root   *os.Root    // the directory, or the parent of the single file; nil if path is opened directly
	file   string      // name of the single file in root
	dir    *os.File    // root
	follow bool        // follow symbolic links inside the tree
	noOpen atomic.Bool // the kernel does not support openat2
}

// prepare opens the directory descriptor that the system calls need.
func (o *opener) prepare() (err error) {
	if o.root != nil {
		o.dir, err = folder.OpenDir(o.root, ".")
	}
	return err
}

func (o *opener) close() {
	if o.dir != nil {
		o.dir.Close()
	}
	if o.root != nil {
		o.root.Close()
	}
}

// open opens a file; rel is slash-separated. It does not block if the file was replaced
// by a FIFO.
func (o *opener) open(rel string) (*openFile, error) {
	const flags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY
	if o.root == nil {
		fd, err := ignoringEINTR(func() (int, error) { return unix.Open(o.path, flags, 0) })
		return o.opened(rel, fd, err)
	}
	if !o.noOpen.Load() {
		how := unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
		fd, err := ignoringEINTR(func() (int, error) { return unix.Openat2(int(o.dir.Fd()), o.local(rel), &how) })
		switch {
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.EAGAIN):
			// The kernel is old, a system call filter rejects openat2, or a file was
			// renamed at the same time.
			o.noOpen.Store(!errors.Is(err, unix.EAGAIN))
		default:
			return o.opened(rel, fd, err)
		}
	}
	f, err := o.root.OpenFile(o.local(rel), flags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return o.opened(rel, fd, err)
}

func (o *opener) opened(rel string, fd int, err error) (*openFile, error) {
	if err == unix.EXDEV { // openat2 returns this error for a link that leads out
		err = folder.ErrOutside
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: o.name(rel), Err: err}
	}
	return &openFile{fd: fd, name: o.name(rel)}, nil
}

// openFile is an open file.
type openFile struct {
	fd   int
	name string
}

// readFull reads len(p) bytes from offset off. It returns io.ErrUnexpectedEOF if the
// file is too short.
func (f *openFile) readFull(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := ignoringEINTR(func() (int, error) { return unix.Pread(f.fd, p[done:], off+int64(done)) })
		if err != nil {
			return done, &os.PathError{Op: "read", Path: f.name, Err: err}
		}
		if n == 0 {
			return done, io.ErrUnexpectedEOF
		}
		done += n
	}
	return done, nil
}

func (f *openFile) stat() (fileStat, bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return fileStat{}, false, &os.PathError{Op: "stat", Path: f.name, Err: err}
	}
	return fileStatOf(&st), st.Mode&unix.S_IFMT == unix.S_IFREG, nil
}

func fileStatOf(st *unix.Stat_t) fileStat {
	return fileStat{size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), dev: st.Dev, ino: st.Ino}
}

// stat returns the current state of the file at rel.
func (o *opener) stat(rel string) (fileStat, error) {
	if o.root == nil || o.follow || rel == "" {
		fi, err := o.slowStat(rel)
		if err != nil {
			return fileStat{}, err
		}
		return statOf(fi), nil
	}
	var st unix.Stat_t
	err := unix.Fstatat(int(o.dir.Fd()), rel, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		err = &os.PathError{Op: "stat", Path: o.name(rel), Err: err}
	}
	return fileStatOf(&st), err
}

// sequential tells the kernel to read ahead further.
func (f *openFile) sequential() { unix.Fadvise(f.fd, 0, 0, unix.FADV_SEQUENTIAL) }

func (f *openFile) close() { unix.Close(f.fd) }

func ignoringEINTR(f func() (int, error)) (int, error) {
	for {
		if n, err := f(); err != unix.EINTR {
			return n, err
		}
	}
}

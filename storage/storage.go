// Package storage stores the data of torrents.
//
// The data of a torrent is one range of bytes, its byte space. The files follow each
// other in the order of the metainfo, with pad files (BEP 47) and alignment (BEP 52)
// between them. A [Storage] reads and writes in that space: a [Dir] uses files in a
// directory, a [Memory] needs none.
//
// The paths of a torrent are resolved by [os.Root], so that nothing outside of the
// directory is opened, created or examined, whatever paths the torrent contains and
// whatever symbolic links exist. A [Pool] holds the descriptors for all torrents of a
// process. A [Record] stores the state of a torrent for the next start.
package storage

import (
	"errors"
	"fmt"
	"strings"
)

// Storage is the data of one torrent, addressed by offsets in its byte space.
//
// ReadAt and WriteAt follow io.ReaderAt and io.WriterAt, except that a call for a range
// outside of the byte space transfers nothing and returns an error that wraps [ErrRange].
// Padding reads as zeros, and writes to it are dropped. Reading data that was never written
// gives zeros or an error that wraps [ErrMissing]. Errors of the disk are, or wrap, an
// [*Error].
//
// All methods are safe for concurrent use. After two concurrent writes to the same bytes,
// the bytes are those of one of the writes.
//
// Sync returns when all data that was written before the call would survive a crash of the
// machine. After a failure of Sync, the caller must check all data again that was written
// since the last successful Sync.
//
// Close releases the resources of the storage without a Sync. Later calls fail with an
// error that wraps os.ErrClosed.
//
// A Storage may also implement optional interfaces such as [ChangeDetector] and [Mover].
// The engine and the site also work with a Storage that implements none of them.
type Storage interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Sync() error
	Close() error
}

// The reasons for failures of a storage, for use with errors.Is.
var (
	// ErrFull: the disk or the user's quota is full. The operation can succeed later.
	ErrFull = errors.New("disk full")
	// ErrMissing: a file or the whole directory does not exist, or a file is too short.
	ErrMissing = errors.New("missing")
	// ErrChanged: another program has changed or replaced a file.
	ErrChanged = errors.New("changed by another program")
	// ErrTouched: a file is [ErrChanged], but see [FileStat.Touched].
	ErrTouched = errors.New("its size and modification time are the same")
	// ErrReadOnly: the permissions or the file system do not allow writing, or the
	// storage was opened for reading.
	ErrReadOnly = errors.New("not writable")
	// ErrDenied: the permissions do not allow reading.
	ErrDenied = errors.New("permission denied")
	// ErrObstructed: the path, or a directory above it, is not a regular file or directory,
	// or is a symbolic link that leads out of the directory or that a write would have to
	// follow.
	ErrObstructed = errors.New("path is blocked")
	// ErrLonger: a file is longer than in the torrent.
	ErrLonger = errors.New("longer than the torrent says")
	// ErrName: the file system cannot store the name of the file or of a directory above it.
	ErrName = errors.New("the file system cannot store this name")
	// ErrTooLarge: the file system cannot store a file of this length.
	ErrTooLarge = errors.New("too large for the file system")
	// ErrInUse: another torrent of this process uses the same path, and at least one of the
	// two writes.
	ErrInUse = errors.New("in use by another torrent")
	// ErrDescriptors: the process or the system has no descriptors left.
	ErrDescriptors = errors.New("too many open files")
	// ErrRange: an offset or length is outside of the byte space.
	ErrRange = errors.New("outside the torrent")
	// ErrIO: any other failure of the disk.
	ErrIO = errors.New("input/output error")
)

// Error is a failure of an operation on a file of a torrent, or on its directory.
type Error struct {
	Op     string // "open", "read", "write", "sync", "check", ...
	Path   string // path of the file in the form that the user gave
	File   int    // index of the file in the torrent; -1 for the directory
	Reason error  // one of the Err values of this package
	Err    error  // error of the system; may be nil
}

// Error returns one line with the operation, the path and the reason.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %v", e.Op, quotePath(e.Path), e.Reason)
	if e.Err != nil {
		if cause := innermost(e.Err).Error(); !strings.Contains(e.Reason.Error(), cause) {
			fmt.Fprintf(&b, " (%s)", cause)
		}
	}
	return b.String()
}

// Unwrap returns the reason and the error of the system.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Err}
}

// fileErrors combines the errors of several files.
type fileErrors []error

// joined returns errs as one error, or nil if there are none.
func joined(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return fileErrors(errs)
}

// Error returns one line with the first error and the number of others.
func (e fileErrors) Error() string {
	if len(e) == 1 {
		return e[0].Error()
	}
	return fmt.Sprintf("%v (and %d more)", e[0], len(e)-1)
}

func (e fileErrors) Unwrap() []error { return e }

// innermost returns the innermost wrapped error, because the outer ones repeat the
// path.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// quotePath makes a path safe to show in a terminal or a log.
func quotePath(p string) string {
	for _, r := range p {
		if r < 0x20 || r == 0x7f || r == '\u202e' || r == '\ufffd' {
			return fmt.Sprintf("%+q", p)
		}
	}
	return p
}

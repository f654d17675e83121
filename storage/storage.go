// Package storage keeps the data of torrents.
//
// A torrent's data is one range of bytes, its byte space, in which the files lie
// one after the other in the order of the metainfo, with the pad files of BEP 47
// and the alignment of BEP 52 between them. [Storage] is reading and writing in
// that space; [Dir] does it with files in a directory, [Memory] without any.
//
// Paths of a torrent are resolved by [os.Root], so that nothing outside the
// directory is ever opened, created or looked at, whatever a .torrent says and
// whatever symbolic links lie about. Descriptors are kept by a [Pool] that all
// torrents of a process share. What a torrent has is remembered over restarts
// by a [Record].
package storage

import (
	"errors"
	"fmt"
	"strings"
)

// Storage is the data of one torrent, addressed in the torrent's byte space.
//
// ReadAt and WriteAt follow io.ReaderAt and io.WriterAt, except that a range
// outside the byte space is an error wrapping [ErrRange] and moves no bytes.
// Padding reads as zeros; what is written to it is dropped. Reading what was
// never written gives zeros or an error wrapping [ErrMissing]. Errors of the
// disk are, or wrap, an [*Error].
//
// All methods may be called at the same time by any number of goroutines. Two
// writes at the same time to overlapping ranges leave either's bytes.
//
// Sync returns when everything written before the call would survive a crash of
// the machine. When it fails, what was written since the last Sync that
// succeeded must not be believed without checking it again.
//
// Close gives up what the storage holds, without a Sync. Calls after it fail
// with an error wrapping os.ErrClosed.
type Storage interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Sync() error
	Close() error
}

// The reasons for which a storage fails, for errors.Is.
var (
	// ErrFull: no room on the disk or in the user's quota. Goes away by itself.
	ErrFull = errors.New("disk full")
	// ErrMissing: a file, or the whole directory, is not there or too short.
	ErrMissing = errors.New("missing")
	// ErrChanged: somebody else changed or replaced a file.
	ErrChanged = errors.New("changed by another program")
	// ErrReadOnly: the file system or the permissions do not let us write, or
	// the storage was opened for reading.
	ErrReadOnly = errors.New("not writable")
	// ErrDenied: the permissions do not let us read.
	ErrDenied = errors.New("permission denied")
	// ErrObstructed: something that is not a regular file, or a directory, is in
	// the way, or a symbolic link that would have to be written through, or one
	// that leads out of the directory.
	ErrObstructed = errors.New("in the way")
	// ErrLonger: a file exists and is longer than the torrent says.
	ErrLonger = errors.New("longer than the torrent says")
	// ErrInUse: another torrent of this process writes to the same path.
	ErrInUse = errors.New("in use by another torrent")
	// ErrDescriptors: the process or the machine has no descriptor left.
	ErrDescriptors = errors.New("too many open files")
	// ErrRange: an offset or length outside the byte space.
	ErrRange = errors.New("outside the torrent")
	// ErrIO: any other failure of the disk.
	ErrIO = errors.New("input/output error")
)

// Error is a failure on one file of a torrent, or on the directory it lies in.
type Error struct {
	Op     string // "open", "read", "write", "sync", "check", ...
	Path   string // the path of the file as the user knows it
	File   int    // index of the file in the torrent; -1: the directory
	Reason error  // one of the Err values of this package
	Err    error  // what the system said; may be nil
}

// Error says what failed, on what and why, in one line.
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

// Unwrap returns the reason and the system's error.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Err}
}

// fileErrors are the errors of several files as one.
type fileErrors []error

// joined returns errs as one error, nil if there are none.
func joined(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return fileErrors(errs)
}

// Error is one line: the first error, and how many there are more.
func (e fileErrors) Error() string {
	if len(e) == 1 {
		return e[0].Error()
	}
	return fmt.Sprintf("%v (and %d more)", e[0], len(e)-1)
}

func (e fileErrors) Unwrap() []error { return e }

// innermost strips the wrapping that would repeat the path.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// quotePath makes a path safe to show on a terminal and in a log.
func quotePath(p string) string {
	for _, r := range p {
		if r < 0x20 || r == 0x7f || r == '\u202e' || r == '\ufffd' {
			return fmt.Sprintf("%+q", p)
		}
	}
	return p
}

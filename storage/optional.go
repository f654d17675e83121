package storage

import "context"

// The interfaces of this file are optional, and [As] finds those that a [Storage]
// implements. A [Dir] implements all of them. Their methods may be called concurrently with
// the methods of Storage.

// FileSystemPath is implemented by a [Storage] that keeps the data in the file system.
type FileSystemPath interface {
	// Path returns the path of the file or of the top directory.
	Path() string
}

// ChangeDetector is implemented by a [Storage] whose data other programs can change, if it
// can detect such a change without reading the data.
type ChangeDetector interface {
	// Accept records the current state of the data as expected. The caller has just
	// verified the data, or is about to.
	Accept() error
	// Check returns nil if the data in a range of the byte space is in the expected
	// state: that of the last Accept, with the writes of this Storage since. Otherwise
	// the error wraps [ErrMissing] or [ErrChanged]. Check reads no data.
	Check(off, n int64) error
}

// DataFinder is implemented by a [Storage] that knows which ranges of the byte space were
// never written, so that a check of the data can leave them out.
type DataFinder interface {
	// HasData reports whether any byte of a range may have been written.
	HasData(off, n int64) bool
	// NextData returns the first offset not less than off at which data may have been
	// written, or the length of the byte space if there is none.
	NextData(off int64) int64
}

// Preparer is implemented by a [Storage] with work to do before the first piece is
// written, or after the last one.
type Preparer interface {
	// Prepare checks that the wanted data can be written.
	Prepare() error
	// Finish checks the lengths of the wanted files, and creates entries without data, such
	// as symbolic links.
	Finish() error
}

// FileSelector is implemented by a [Storage] that stores wanted and unwanted files in
// different ways.
type FileSelector interface {
	// SetWanted changes whether the file with index i in the torrent is wanted. Data
	// that was written before remains readable.
	SetWanted(i int, wanted bool) error
}

// Mover is implemented by a [Storage] that can move the data to another directory.
type Mover interface {
	// MoveTo moves the data to the directory dir, which must exist. If name is not empty,
	// it replaces the name of the file or top directory. Reads may continue meanwhile,
	// writes must not. If MoveTo fails or ctx is done, the data stays where it was.
	MoveTo(ctx context.Context, dir, name string) error
}

// Remover is implemented by a [Storage] that can delete the data.
type Remover interface {
	// Remove deletes the data and closes the storage.
	Remove() error
}

var (
	_ FileSystemPath = (*Dir)(nil)
	_ ChangeDetector = (*Dir)(nil)
	_ DataFinder     = (*Dir)(nil)
	_ Preparer       = (*Dir)(nil)
	_ FileSelector   = (*Dir)(nil)
	_ Mover          = (*Dir)(nil)
	_ Remover        = (*Dir)(nil)
	_ DataFinder     = (*Memory)(nil)
)

// As returns s as the optional interface T, and whether s implements it. If s does not, but
// has a method Unwrap() Storage, As tries the Storage that Unwrap returns. The result is
// the zero T if s is nil.
func As[T any](s Storage) (T, bool) {
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		w, ok := s.(interface{ Unwrap() Storage })
		if !ok {
			break
		}
		s = w.Unwrap()
	}
	var none T
	return none, false
}

// KeepOpen returns a Storage that is like s, but whose Close does nothing. Several torrents
// with the same byte space can thus share s, which the caller closes. [As] finds the
// optional interfaces of s.
func KeepOpen(s Storage) Storage { return keptOpen{s} }

type keptOpen struct{ Storage }

// Close implements [Storage].
func (keptOpen) Close() error { return nil }

// Unwrap returns the Storage that is kept open.
func (k keptOpen) Unwrap() Storage { return k.Storage }

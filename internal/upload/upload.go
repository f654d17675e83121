// Package upload receives files and folders in parts, so that an upload goes on after a lost
// connection or a restart. The bytes of all files of an upload are one stream, in the order in which
// the files were named, and the client sends the stream from the offset that the store has.
//
// A store has two directories. incoming/ID holds an upload: its record, its offset and its data.
// published/ID holds the data of a complete upload that is or will be published; [Store.Take] renames
// it, so that no byte is copied.
package upload

import (
	"crypto/rand"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"spate/internal/diskspace"
	"spate/internal/fault"
	"spate/internal/units"
)

// Request describes the files of a new upload.
type Request struct {
	Name string `json:"name"` // of the file or the folder
	// Length is the length of a single file in bytes. It is 0 for a folder.
	Length int64 `json:"length,omitempty"`
	// Files are the files of a folder, in the order in which their bytes are sent. It is empty for a
	// single file.
	Files []File `json:"files,omitempty"`
	// Mark is any text by which the client knows the upload again, such as the times of the files.
	Mark string `json:"mark,omitempty"`
}

// File is a file of a folder that is uploaded.
type File struct {
	Path   string `json:"path"` // below the folder, with slashes
	Length int64  `json:"length"`
}

// Info describes an upload.
type Info struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Folder   bool      `json:"folder"`
	NumFiles int       `json:"num_files"`
	Length   int64     `json:"length"` // of all files together
	Offset   int64     `json:"offset"` // number of bytes that are stored; the upload is complete at Length
	Mark     string    `json:"mark,omitempty"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"` // when the upload is deleted if no more bytes come
}

// The limits of a store.
const (
	MaxUploads  = 100     // uploads at the same time
	MaxFiles    = 50_000  // files of an upload
	maxAllFiles = 200_000 // files of all uploads, which bounds the memory to about 40 MB
	maxPath     = 1024    // bytes of a path
	maxMark     = 256     // bytes
	maxLength   = 1 << 50 // bytes of an upload

	// Keep is the time for which an upload is kept after its last byte.
	Keep = 24 * time.Hour
)

// Options configure a [Store].
type Options struct {
	Now  func() time.Time                 // nil: time.Now
	Warn func(format string, args ...any) // tells of uploads that cannot be used; nil discards
	// Used reports whether a release has its data in or below dir, which is absolute. Such data is
	// never deleted. nil: none has.
	Used func(dir string) (bool, error)
	// Free returns the free bytes of the file system of dir; 0: unknown. nil: asks the system.
	Free func(dir string) uint64
}

// Store receives uploads. Its methods may be called concurrently.
type Store struct {
	dir string
	opt Options

	mu      sync.Mutex // guards the fields below
	uploads map[string]*upload
	files   int // of all uploads
}

// upload is an upload of a [Store]. One caller at a time has it: see [upload.enter] and [Store.Take].
type upload struct {
	id     string    // constant
	rec    record    // constant
	length int64     // constant
	starts []int64   // constant: the offset of each file
	synced time.Time // guarded by state.mu: when the offset was last recorded
	moved  bool      // owned by who has the upload: the data is in the directory of published data

	state state
}

// state is the part of an upload that other callers may read.
type state struct {
	mu     sync.Mutex // guards the fields below
	offset int64      // recorded
	holder *holder
	taken  bool // it is being published
	gone   bool
}

// New returns the store in dir, which it creates. It loads the uploads that are there.
func New(dir string, opt Options) (*Store, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Warn == nil {
		opt.Warn = func(string, ...any) {}
	}
	if opt.Used == nil {
		opt.Used = func(string) (bool, error) { return false, nil }
	}
	if opt.Free == nil {
		opt.Free = func(dir string) uint64 { _, free := diskspace.Of(dir); return free }
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, opt: opt, uploads: map[string]*upload{}}
	return s, s.load()
}

// Dir returns the directory of the store.
func (s *Store) Dir() string { return s.dir }

// Published returns the directory of the data of uploads that were published.
func (s *Store) Published() string { return filepath.Join(s.dir, "published") }

func (s *Store) incoming(id string) string { return filepath.Join(s.dir, "incoming", id) }

// Create begins an upload. It returns an error if the names are not safe as names of files, if a limit
// is exceeded, or if the disk has too little space for this and all other uploads.
func (s *Store) Create(r Request) (Info, error) {
	rec := record{Request: r, Created: s.opt.Now().UTC()}
	if err := rec.check(); err != nil {
		return Info{}, err
	}
	u := newUpload(strings.ToLower(rand.Text()), rec)
	u.synced = rec.Created
	s.mu.Lock()
	err := s.roomLocked(u)
	if err == nil {
		s.uploads[u.id], s.files = u, s.files+len(u.starts)
	}
	s.mu.Unlock()
	if err != nil {
		return Info{}, err
	}
	leave, err := u.enter(nil) // so that nobody writes before the record is there
	if err != nil {
		return Info{}, err
	}
	defer leave()
	if err := s.create(u); err != nil {
		s.forget(u)
		return Info{}, err
	}
	return s.info(u), nil
}

// roomLocked returns an error if there is no room for u.
func (s *Store) roomLocked(u *upload) error {
	if len(s.uploads) >= MaxUploads {
		return fault.New(fault.Exists, "finish or delete some", "there are %s already, which is the limit", units.Plural(MaxUploads, "upload"))
	}
	if s.files+len(u.starts) > maxAllFiles {
		return fault.New(fault.Exists, "finish or delete some uploads", "the uploads would have more than %s together", units.Plural(maxAllFiles, "file"))
	}
	missing := u.length
	for _, o := range s.uploads {
		missing += o.length - o.offset()
	}
	if free := s.opt.Free(s.dir); free > 0 && missing > int64(min(free, math.MaxInt64)) {
		return fault.New(fault.DiskFull, "", "%s are needed for all uploads, and %s has %s", units.Bytes(missing), s.dir, units.Bytes(int64(min(free, math.MaxInt64))))
	}
	return nil
}

// List returns all uploads, oldest first.
func (s *Store) List() []Info {
	s.mu.Lock()
	all := make([]*upload, 0, len(s.uploads))
	for _, u := range s.uploads {
		all = append(all, u)
	}
	s.mu.Unlock()
	list := make([]Info, 0, len(all))
	for _, u := range all {
		list = append(list, s.info(u))
	}
	slices.SortFunc(list, func(a, b Info) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// Info returns the upload id.
func (s *Store) Info(id string) (Info, error) {
	u, err := s.find(id)
	if err != nil {
		return Info{}, err
	}
	return s.info(u), nil
}

// info describes u.
func (s *Store) info(u *upload) Info {
	u.state.mu.Lock()
	defer u.state.mu.Unlock()
	return Info{
		ID: u.id, Name: u.rec.Name, Folder: len(u.rec.Files) > 0, NumFiles: len(u.starts), Length: u.length, Offset: u.state.offset,
		Mark: u.rec.Mark, Created: u.rec.Created, Expires: u.synced.Add(Keep),
	}
}

// Settle ends a request that sends bytes of the upload id, and returns the upload. Its offset holds
// until somebody sends more.
func (s *Store) Settle(id string) (Info, error) {
	u, err := s.find(id)
	if err != nil {
		return Info{}, err
	}
	leave, err := u.enter(nil)
	if err != nil {
		return Info{}, err
	}
	defer leave()
	return s.info(u), nil
}

// Delete deletes the upload id and its data. Data of a release stays.
func (s *Store) Delete(id string) error {
	u, err := s.find(id)
	if err != nil {
		return err
	}
	leave, err := u.enter(nil)
	if err != nil {
		return err
	}
	defer leave()
	return s.remove(u)
}

// find returns the upload id.
func (s *Store) find(id string) (*upload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[id]
	if u == nil {
		return nil, notFound(id)
	}
	return u, nil
}

// notFound returns the error about an upload that does not exist.
func notFound(id string) error {
	return fault.New(fault.NotFound, fmt.Sprintf("uploads are deleted %s after their last byte", units.LongDuration(Keep)), "there is no upload %.40q", strings.ToValidUTF8(id, "\ufffd"))
}

// forget removes u from the list. The caller holds u.
func (s *Store) forget(u *upload) {
	u.state.mu.Lock()
	u.state.gone = true
	u.state.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uploads[u.id] == u {
		delete(s.uploads, u.id)
		s.files -= len(u.starts)
	}
}

// expired reports whether u has got no bytes for [Keep], and nobody has it.
func (u *upload) expired(now time.Time) bool {
	u.state.mu.Lock()
	defer u.state.mu.Unlock()
	return u.state.holder == nil && !u.state.taken && now.Sub(u.synced) >= Keep
}

func (u *upload) offset() int64 {
	u.state.mu.Lock()
	defer u.state.mu.Unlock()
	return u.state.offset
}

package upload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/units"
)

// OffsetError says that bytes were sent for another offset than that of the upload.
type OffsetError struct {
	Sent, Have int64
}

// Error implements error.
func (e *OffsetError) Error() string {
	return fmt.Sprintf("the upload has %s, and not %d: go on from there", units.Plural(e.Have, "byte"), e.Sent)
}

// ErrTooLong is the error of bytes behind the end of an upload. The bytes before are stored.
var ErrTooLong = errors.New("the request has more bytes than the upload lacks")

// holder is a caller that has an upload for itself.
type holder struct {
	interrupt func()
	done      chan struct{}
}

// enter waits until the caller has u for itself, and interrupts the one that has it: a client that
// lost its connection goes on by another one, before the server knows that the first is dead. It
// returns an error if u was deleted or is being published. Otherwise the caller calls leave.
func (u *upload) enter(interrupt func()) (leave func(), err error) {
	me := &holder{interrupt, make(chan struct{})}
	st := &u.state
	st.mu.Lock()
	if st.taken {
		st.mu.Unlock()
		return nil, errTaken
	}
	before := st.holder
	st.holder = me
	st.mu.Unlock()
	if before != nil {
		if before.interrupt != nil {
			before.interrupt()
		}
		<-before.done
	}
	leave = func() {
		st.mu.Lock()
		if st.holder == me {
			st.holder = nil
		}
		st.mu.Unlock()
		close(me.done)
	}
	st.mu.Lock()
	gone := st.gone
	st.mu.Unlock()
	if gone {
		leave()
		return nil, notFound(u.id)
	}
	return leave, nil
}

// errTaken is the error of requests about an upload that is being published.
var errTaken = fault.New(fault.Exists, "wait until that has ended", "the upload is being published")

// Append stores the bytes of body behind the first offset bytes of the upload id. It returns how many
// bytes of the upload are on the disk afterwards, also with an error. Another call for the same upload
// calls interrupt, which must make body return an error soon, and waits for this one.
func (s *Store) Append(id string, offset int64, body io.Reader, interrupt func()) (Info, error) {
	u, err := s.find(id)
	if err != nil {
		return Info{}, err
	}
	leave, err := u.enter(interrupt)
	if err != nil {
		return s.info(u), err
	}
	defer leave()
	if have := u.offset(); offset != have {
		return s.info(u), &OffsetError{offset, have}
	}
	if offset < u.length {
		err = s.write(u, body)
	}
	if err == nil {
		var one [1]byte
		if n, _ := io.ReadFull(body, one[:]); n > 0 {
			err = ErrTooLong
		}
	}
	return s.info(u), err
}

const (
	// syncBytes and syncFiles bound what is lost if the machine stops: after so many, everything is
	// synced and the offset recorded.
	syncBytes = 64 << 20
	syncFiles = 64

	bufferSize = 256 << 10
)

// writer writes the bytes of an upload into its files.
type writer struct {
	s    *Store
	u    *upload
	root *os.Root
	off  int64 // of the next byte
	next int   // the file of the next byte
	open *os.File
	full []*os.File // complete and not synced
	dirs map[string]bool
	n    int64 // bytes that are not synced
}

// write stores bytes of body until the upload is complete or body ends. The caller holds u.
func (s *Store) write(u *upload, body io.Reader) (err error) {
	root, err := folder.OpenRoot(filepath.Join(s.incoming(u.id), dataDir))
	if err != nil {
		return err
	}
	defer root.Close()
	w := &writer{s: s, u: u, root: root, off: u.offset(), dirs: map[string]bool{}}
	w.next = sort.Search(len(u.starts), func(i int) bool { return u.starts[i] > w.off }) - 1
	for w.next > 0 && u.starts[w.next-1] == w.off { // empty files before it are not there yet
		w.next--
	}
	defer func() {
		err = errors.Join(err, w.sync())
		if w.open != nil {
			err = errors.Join(err, w.open.Close())
		}
	}()
	return w.copy(body)
}

// copy stores bytes of body.
func (w *writer) copy(body io.Reader) error {
	buf := make([]byte, min(bufferSize, max(1, w.u.length-w.off)))
	for {
		if err := w.advance(); err != nil || w.next == len(w.u.starts) {
			return err
		}
		_, length := w.u.file(w.next)
		n, err := body.Read(buf[:min(int64(len(buf)), w.u.starts[w.next]+length-w.off)])
		if n > 0 {
			stored, err := w.open.Write(buf[:n])
			w.off, w.n = w.off+int64(stored), w.n+int64(stored)
			if err != nil {
				return err
			}
		}
		if err == io.EOF {
			return w.advance()
		}
		if err != nil {
			return err
		}
		if w.n >= syncBytes {
			if err := w.sync(); err != nil {
				return err
			}
		}
	}
}

// advance opens the file of the next byte. It creates the empty files before it.
func (w *writer) advance() error {
	for w.next < len(w.u.starts) {
		path, length := w.u.file(w.next)
		start := w.u.starts[w.next]
		if w.open == nil {
			if err := w.openFile(path, w.off-start); err != nil {
				return err
			}
		}
		if w.off < start+length {
			return nil
		}
		w.full = append(w.full, w.open)
		w.open = nil
		w.next++
		if len(w.full) >= syncFiles {
			if err := w.sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

// openFile opens the file at path, of which have bytes are there.
func (w *writer) openFile(path string, have int64) error {
	if have > 0 {
		f, err := w.root.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		w.open = f
		if err = f.Truncate(have); err == nil {
			_, err = f.Seek(have, io.SeekStart)
		}
		return err
	}
	dir := filepath.Dir(path)
	if err := w.root.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	f, err := w.root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	w.open = f
	for ; dir != "." && !w.dirs[dir]; dir = filepath.Dir(dir) {
		w.dirs[dir] = true
	}
	w.dirs["."] = true
	return nil
}

// sync writes everything to the disk, and records the offset.
func (w *writer) sync() (err error) {
	for _, f := range w.full {
		err = errors.Join(err, f.Sync(), f.Close())
	}
	w.full = nil
	if w.open != nil && w.n > 0 {
		err = errors.Join(err, w.open.Sync())
	}
	for dir := range w.dirs {
		err = errors.Join(err, syncDir(w.root, dir))
	}
	clear(w.dirs)
	w.n = 0
	lacks := w.off == w.u.length && w.next < len(w.u.starts) // empty files at the end
	if err == nil && w.off != w.u.offset() && !lacks {
		err = w.s.saveOffset(w.u, w.off)
	}
	if err != nil {
		w.off = w.u.offset()
	}
	return err
}

// syncDir makes the names of the files of a directory durable.
func syncDir(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if errors.Is(err, fs.ErrPermission) { // Windows
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return atomicfile.SyncOpenDir(d)
}

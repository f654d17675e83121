package upload

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/units"
)

// Taken is a complete upload whose data is being published.
type Taken struct {
	Path string // of the file or the folder

	s *Store
	u *upload
}

// Take moves the data of the complete upload id to the directory of published data, and keeps the
// upload for the caller, who calls [Taken.Done] or [Taken.Undone]. Until Done the upload exists, so
// that it can be taken again after a failure or a restart.
func (s *Store) Take(id string) (*Taken, error) {
	u, err := s.find(id)
	if err != nil {
		return nil, err
	}
	if err := u.take(); err != nil {
		return nil, err
	}
	t := &Taken{filepath.Join(s.Published(), id, u.rec.Name), s, u}
	if err := s.move(u); err != nil {
		t.Undone()
		return nil, err
	}
	return t, nil
}

// take keeps u for a caller that publishes it.
func (u *upload) take() error {
	st := &u.state
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.gone:
		return notFound(u.id)
	case st.taken:
		return errTaken
	case st.holder != nil:
		return fault.New(fault.Exists, "try again when it has ended", "a request still sends bytes of the upload")
	case st.offset < u.length:
		return fault.New(fault.Exists, "send the rest first", "the upload has only %s of %s", units.Bytes(st.offset), units.Bytes(u.length))
	}
	st.taken = true
	return nil
}

// move moves the data of u. It does nothing if the data was moved before.
func (s *Store) move(u *upload) error {
	if u.moved {
		return nil
	}
	if err := os.Rename(filepath.Join(s.incoming(u.id), dataDir), filepath.Join(s.Published(), u.id)); err != nil {
		return err
	}
	u.moved = true
	return errors.Join(atomicfile.SyncDir(s.Published()), atomicfile.SyncDir(s.incoming(u.id)))
}

// Done ends the upload, because its data is published.
func (t *Taken) Done() error {
	return t.s.discard(t.u)
}

// Undone keeps the upload, because its data was not published.
func (t *Taken) Undone() {
	t.u.state.mu.Lock()
	defer t.u.state.mu.Unlock()
	t.u.state.taken = false
}

// Owns reports whether path is data that was uploaded.
func (s *Store) Owns(path string) bool {
	rel, err := filepath.Rel(s.Published(), path)
	return err == nil && filepath.IsLocal(rel) && rel != "."
}

// RemoveData deletes the data at path, which [Store.Owns]. Data that a release uses stays.
func (s *Store) RemoveData(path string) error {
	if !s.Owns(path) {
		return fault.Usagef("%s was not uploaded: delete it by hand", path)
	}
	rel, err := filepath.Rel(s.Published(), path)
	if err != nil {
		return err
	}
	id, _, _ := cutPath(rel)
	return s.removeDir(filepath.Join(s.Published(), id))
}

// cutPath returns the first element of a local path, and the rest.
func cutPath(path string) (first, rest string, found bool) {
	for i := range len(path) {
		if os.IsPathSeparator(path[i]) {
			return path[:i], path[i+1:], true
		}
	}
	return path, "", false
}

// removeDir deletes a directory of published data unless a release uses it.
func (s *Store) removeDir(dir string) error {
	used, err := s.opt.Used(dir)
	if err != nil || used {
		return err
	}
	return os.RemoveAll(dir)
}

// remove deletes u and its data. The caller holds u.
func (s *Store) remove(u *upload) error {
	var err error
	if u.moved {
		err = s.removeDir(filepath.Join(s.Published(), u.id))
	}
	return errors.Join(err, s.discard(u))
}

// discard ends u. The record goes first, so that a crash leaves a directory that the next start
// removes.
func (s *Store) discard(u *upload) error {
	err := os.Remove(filepath.Join(s.incoming(u.id), recordFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.forget(u)
	return os.RemoveAll(s.incoming(u.id))
}

// Sweep deletes the uploads that have got no bytes for [Keep].
func (s *Store) Sweep() error {
	s.mu.Lock()
	var old []*upload
	for _, u := range s.uploads {
		if u.expired(s.opt.Now()) {
			old = append(old, u)
		}
	}
	s.mu.Unlock()
	var errs []error
	for _, u := range old {
		if leave, err := u.enter(nil); err == nil {
			errs = append(errs, s.remove(u))
			leave()
		}
	}
	return errors.Join(errs...)
}

package upload

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/folder"
)

// record is what the store keeps of an upload in upload.json, which never changes.
type record struct {
	Request
	Created time.Time `json:"created"`
}

// The entries of the directory of an upload.
const (
	recordFile = "upload.json"
	offsetFile = "offset" // the number of bytes that are on the disk
	dataDir    = "data"   // contains the file or the folder

	maxRecord = 128 << 20 // bytes of a record: each byte of MaxFiles paths can be escaped
)

// newUpload returns an upload with its constant fields.
func newUpload(id string, rec record) *upload {
	u := &upload{id: id, rec: rec}
	if len(rec.Files) == 0 {
		u.starts, u.length = []int64{0}, rec.Length
		return u
	}
	u.starts = make([]int64, len(rec.Files))
	for i, f := range rec.Files {
		u.starts[i] = u.length
		u.length += f.Length
	}
	return u
}

// file returns the path of file i below the directory of the data, and its length.
func (u *upload) file(i int) (path string, length int64) {
	if len(u.rec.Files) == 0 {
		return u.rec.Name, u.rec.Length
	}
	f := &u.rec.Files[i]
	return filepath.Join(u.rec.Name, filepath.FromSlash(f.Path)), f.Length
}

// create makes the directory of u. An upload exists once its record does.
func (s *Store) create(u *upload) error {
	dir := s.incoming(u.id)
	data := filepath.Join(dir, dataDir)
	if len(u.rec.Files) > 0 {
		data = filepath.Join(data, u.rec.Name)
	}
	err := os.MkdirAll(data, 0o777)
	var b []byte
	if err == nil {
		b, err = json.Marshal(&u.rec)
	}
	if err == nil {
		err = s.saveOffset(u, 0)
	}
	if err == nil && u.length == 0 {
		err = s.write(u, strings.NewReader("")) // nothing will be sent
	}
	if err == nil {
		err = atomicfile.Replace(filepath.Join(dir, recordFile), b)
	}
	if err == nil {
		err = atomicfile.SyncDir(filepath.Dir(dir))
	}
	if err != nil {
		os.RemoveAll(dir)
	}
	return err
}

// saveOffset records that the first n bytes of u are on the disk.
func (s *Store) saveOffset(u *upload, n int64) error {
	if err := atomicfile.Replace(filepath.Join(s.incoming(u.id), offsetFile), strconv.AppendInt(nil, n, 10)); err != nil {
		return err
	}
	u.state.mu.Lock()
	defer u.state.mu.Unlock()
	u.state.offset, u.synced = n, s.opt.Now().UTC()
	return nil
}

// load reads all uploads. It removes directories without a record, which a crash has left.
func (s *Store) load() error {
	in := filepath.Join(s.dir, "incoming")
	for _, dir := range []string{in, s.Published()} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(in)
	if err != nil {
		return err
	}
	for _, e := range entries {
		u, err := s.loadOne(e.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = os.RemoveAll(filepath.Join(in, e.Name()))
		case err == nil:
			s.uploads[u.id], s.files = u, s.files+len(u.starts)
		}
		if err != nil {
			s.opt.Warn("the upload %s was not loaded: %v", e.Name(), err)
		}
	}
	return nil
}

// loadOne reads the upload id.
func (s *Store) loadOne(id string) (*upload, error) {
	dir := s.incoming(id)
	var rec record
	err := atomicfile.Load(filepath.Join(dir, recordFile), maxRecord, func(b []byte) error {
		if err := json.Unmarshal(b, &rec); err != nil {
			return err
		}
		return rec.check()
	})
	if err != nil {
		return nil, err
	}
	u := newUpload(id, rec)
	err = atomicfile.Load(filepath.Join(dir, offsetFile), 32, func(b []byte) error {
		n, err := strconv.ParseInt(string(b), 10, 64)
		if err == nil && (n < 0 || n > u.length) {
			err = fmt.Errorf("the upload has no offset %d", n)
		}
		u.state.offset = n
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	u.synced = rec.Created
	if info, err := os.Stat(filepath.Join(dir, offsetFile)); err == nil {
		u.synced = info.ModTime().UTC()
	}
	if _, err := os.Lstat(filepath.Join(dir, dataDir)); errors.Is(err, fs.ErrNotExist) {
		u.moved = true
		return u, nil
	}
	return u, s.cut(u)
}

// cut removes what lies behind the recorded offset, which nobody has been told.
func (s *Store) cut(u *upload) error {
	root, err := folder.OpenRoot(filepath.Join(s.incoming(u.id), dataDir))
	if err != nil {
		return err
	}
	defer root.Close()
	for i, start := range u.starts {
		path, length := u.file(i)
		if start+length <= u.state.offset && (start < u.state.offset || u.state.offset == u.length) {
			continue // complete
		}
		if keep := u.state.offset - start; keep > 0 {
			err = truncate(root, path, keep)
		} else if err = root.Remove(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// truncate cuts the file at path below root.
func truncate(root *os.Root, path string, length int64) error {
	f, err := root.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(length), f.Close())
}

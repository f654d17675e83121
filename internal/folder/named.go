package folder

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// OpenNamed opens the regular file at path for reading. The user named it: it may
// be a link to anywhere. It never waits.
func OpenNamed(path string) (*os.File, error) {
	file, err := openRegular(path, func() (fs.FileInfo, error) { return os.Stat(path) }, func() (*os.File, error) {
		return os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	})
	return file, err
}

// ReadNamed reads the regular file at path, of at most limit bytes, as
// [OpenNamed] opens it.
func ReadNamed(path string, limit int64) ([]byte, error) {
	file, err := OpenNamed(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return read(file, path, limit)
}

// read reads the rest of file, which is called path in errors. A file that grows
// past the limit while it is read is over it.
func read(file *os.File, path string, limit int64) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, &SizeError{path, limit}
	}
	b := make([]byte, 0, info.Size()+1) // one more sees the end without growing
	for {
		n, err := file.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > limit:
			return nil, &SizeError{path, limit}
		case err == io.EOF:
			return b, nil
		case err != nil:
			return nil, err
		case len(b) == cap(b):
			b = append(b, 0)[:len(b)]
		}
	}
}

// Link makes to a hard link to the open file, which was opened at from. It fails
// if another file lies at from by now.
func Link(file *os.File, from, to string) error {
	want, err := file.Stat()
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(from); err == nil {
		from = real // a link to a link would lead nowhere from here
	}
	if err := os.Link(from, to); err != nil {
		return err
	}
	got, err := os.Lstat(to)
	if err == nil && os.SameFile(want, got) {
		return nil
	}
	if err == nil {
		err = &os.LinkError{Op: "link", Old: from, New: to, Err: errReplaced}
	}
	os.Remove(to)
	return err
}

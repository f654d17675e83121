package folder

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// OpenNamed opens the regular file at path for reading and never blocks. Because the user
// chose path, it may be a link to any file.
func OpenNamed(path string) (*os.File, error) {
	file, err := openRegular(path, func() (fs.FileInfo, error) { return os.Stat(path) }, func() (*os.File, error) {
		return os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	})
	return file, err
}

// ReadNamed returns the contents of the regular file at path. It returns a [*SizeError] if
// the file has more than limit bytes. It opens the file like [OpenNamed].
func ReadNamed(path string, limit int64) ([]byte, error) {
	file, err := OpenNamed(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return ReadOpen(file, path, limit)
}

// ReadOpen returns the rest of an open file. It returns a [*SizeError] with path if the file has more
// than limit bytes, even if it grew during the read.
func ReadOpen(file *os.File, path string, limit int64) ([]byte, error) {
	return read(file, path, limit, nil)
}

// read is like ReadOpen, and lets head check the beginning of the file unless head is nil.
func read(file *os.File, path string, limit int64, head *Head) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, &SizeError{path, limit}
	}
	if head != nil {
		start := make([]byte, min(int64(head.Size), info.Size()))
		n, err := file.ReadAt(start, 0)
		if err != nil && err != io.EOF {
			return nil, err
		}
		if err := head.Check(start[:n]); err != nil {
			return nil, err
		}
	}
	b := make([]byte, 0, info.Size()+1) // one more byte of capacity lets the last Read find the end without a larger buffer
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

// Link creates a hard link at the path to for the open file, which was opened at the path
// from. It returns an error if another file is at from now.
func Link(file *os.File, from, to string) error {
	want, err := file.Stat()
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(from); err == nil {
		from = real // a hard link to a relative link would lead elsewhere
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

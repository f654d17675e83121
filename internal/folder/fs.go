package folder

import (
	"io/fs"
	"os"
	"path/filepath"
)

// FS returns the directory at path as a file system whose regular files have at
// most limit bytes. The directory is opened anew for each file.
func FS(path string, o Options, limit int64) fs.FS { return &fileSystem{path, o, limit} }

type fileSystem struct {
	path  string
	opt   Options
	limit int64
}

// Open implements [fs.FS].
func (s *fileSystem) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	f, err := Open(s.path, s.opt)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	local := filepath.FromSlash(name)
	info, err := f.Stat(local)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		dir, err := f.openDir(local)
		if err != nil {
			return nil, f.explain("open", local, err)
		}
		return dir, nil
	}
	file, err := f.Open(local)
	if err != nil {
		return nil, err
	}
	return &limitedFile{file: file, path: f.Path(local), left: s.limit, limit: s.limit}, nil
}

// limitedFile is a file whose reading fails past the limit.
type limitedFile struct {
	file        *os.File
	path        string
	left, limit int64 // bytes
}

// Stat implements [fs.File].
func (l *limitedFile) Stat() (fs.FileInfo, error) { return l.file.Stat() }

// Close implements [fs.File].
func (l *limitedFile) Close() error { return l.file.Close() }

// Read implements [fs.File].
func (l *limitedFile) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.file.Read(p)
	if l.left -= int64(n); l.left < 0 {
		l.left = 0
		return 0, &SizeError{l.path, l.limit}
	}
	return n, err
}

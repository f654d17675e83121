package folder

import (
	"io/fs"
	"os"
	"path/filepath"
)

// FS returns the directory at path as a file system. Reading a file fails after limit bytes.
// Each call of its Open opens the directory again.
func FS(path string, o Options, limit int64) fs.FS { return &fileSystem{path, o, limit} }

// fileSystem implements [fs.FS].
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

// limitedFile is a file whose Read returns a [*SizeError] after limit bytes.
type limitedFile struct {
	file  *os.File
	path  string
	limit int64 // bytes
	left  int64 // bytes that may still be read
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
	l.left -= int64(n)
	if l.left < 0 {
		l.left = 0
		return 0, &SizeError{l.path, l.limit}
	}
	return n, err
}

//go:build !linux

package maker

import (
	"errors"
	"io"
	"os"

	"spate/internal/folder"
)

// opener opens the files of one tree, and nothing outside of it. It is safe for
// concurrent use.
type opener struct {
	path   string   // path of the file or the directory
	root   *os.Root // the directory, or the parent of the single file; nil if path is opened directly
	file   string   // name of the single file in root
	follow bool     // follow symbolic links inside the tree
}

// prepare has nothing to do here.
func (o *opener) prepare() error { return nil }

func (o *opener) close() {
	if o.root != nil {
		o.root.Close()
	}
}

// open opens a file; rel is slash-separated.
func (o *opener) open(rel string) (*openFile, error) {
	var f *os.File
	var err error
	if o.root == nil {
		f, err = folder.OpenNamed(o.path)
	} else {
		f, err = folder.In(o.root).Open(o.local(rel))
	}
	if err != nil {
		return nil, err
	}
	return &openFile{f, o.name(rel)}, nil
}

// stat returns the current state of the file at rel.
func (o *opener) stat(rel string) (fileStat, error) {
	fi, err := o.slowStat(rel)
	if err != nil {
		return fileStat{}, err
	}
	return statOf(fi), nil
}

// openFile is an open file.
type openFile struct {
	f    *os.File
	name string
}

// readFull reads len(p) bytes from offset off. It returns io.ErrUnexpectedEOF if the
// file is too short.
func (f *openFile) readFull(p []byte, off int64) (int, error) {
	n, err := f.f.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (f *openFile) stat() (fileStat, bool, error) {
	fi, err := f.f.Stat()
	if err != nil {
		return fileStat{}, false, err
	}
	return statOf(fi), fi.Mode().IsRegular(), nil
}

func (f *openFile) sequential() {}

func (f *openFile) close() { f.f.Close() }

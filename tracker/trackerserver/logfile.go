package trackerserver

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// rotated is a file of lines that becomes the first of its older files when it
// has its size. It is safe for concurrent use.
type rotated struct {
	path    string
	maxSize int64
	keep    int // older files

	mu   sync.Mutex // guards what follows
	file *os.File
	size int64
}

func (f *rotated) open() error {
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	st, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file, f.size = file, st.Size()
	return f.mend()
}

// mend ends a line that a crash tore, so that it does not spoil the next.
func (f *rotated) mend() error {
	if f.size == 0 {
		return nil
	}
	r, err := os.Open(f.path)
	if err != nil {
		return nil // a log that may only be written: a line may be lost
	}
	defer r.Close()
	var last [1]byte
	if _, err := r.ReadAt(last[:], f.size-1); err != nil || last[0] == '\n' {
		return nil
	}
	n, err := f.file.Write([]byte("\n"))
	f.size += int64(n)
	return err
}

// write appends lines, to the next file where this one is full, and returns how
// many were lost because the file cannot be written.
func (f *rotated) write(lines []byte) (lost int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(lines) > 0 {
		part := lines[:cut(lines, f.maxSize-f.size)]
		if len(part) == 0 && f.file != nil && f.size > 0 {
			f.rotate()
		}
		if f.file == nil {
			if err := f.open(); err != nil {
				return lost + bytes.Count(lines, []byte{'\n'})
			}
			continue
		}
		if len(part) == 0 { // a line longer than a file, or one that could not be renamed
			part = lines[:bytes.IndexByte(lines, '\n')+1]
		}
		w, err := f.file.Write(part)
		f.size += int64(w)
		if err != nil {
			lost += bytes.Count(part[w:], []byte{'\n'})
		}
		lines = lines[len(part):]
	}
	return lost
}

// cut is the length of the whole lines that room has room for.
func cut(lines []byte, room int64) int {
	if int64(len(lines)) <= room {
		return len(lines)
	}
	return bytes.LastIndexByte(lines[:max(room, 0)], '\n') + 1
}

// rotate closes the file and renames all, each to the next number. Where that
// fails the file grows on.
func (f *rotated) rotate() {
	f.file.Close() // what was written is written
	f.file = nil
	name := func(i int) string {
		if i == 0 {
			return f.path
		}
		return f.path + "." + strconv.Itoa(i)
	}
	if err := os.Remove(name(f.keep)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	for i := f.keep; i > 0; i-- {
		if err := os.Rename(name(i-1), name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// reopen goes on with a new file at the path.
func (f *rotated) reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil {
		f.file.Close() // what was written is written
		f.file = nil
	}
	return f.open()
}

func (f *rotated) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// ActivityFiles returns the log at path and its older files, the oldest first.
func ActivityFiles(path string) []string {
	var files []string
	for i := 1; ; i++ {
		name := path + "." + strconv.Itoa(i)
		if _, err := os.Stat(name); err != nil {
			break
		}
		files = append([]string{name}, files...)
	}
	return append(files, filepath.Clean(path))
}

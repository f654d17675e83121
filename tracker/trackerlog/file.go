package trackerlog

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"spate/internal/atomicfile"
	"spate/internal/filetrust"
)

// rotated is a file of lines. When it has reached its maximum size, it is renamed to
// PATH.1 (see [older]), and a new file is created. It is safe for concurrent use.
type rotated struct {
	path    string
	maxSize int64 // in bytes
	keep    int   // number of older files

	mu   sync.Mutex // guards the fields below
	file *os.File
	size int64
}

func (f *rotated) open() error {
	file, err := filetrust.OpenAppend(f.path, 0o640)
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

// mend ends an incomplete last line, which a crash has left, so that it does not damage
// the next one.
func (f *rotated) mend() error {
	if f.size == 0 {
		return nil
	}
	r, err := os.Open(f.path)
	if err != nil {
		return nil // the log may not be read: the next line may be lost
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

// write appends lines, and rotates the file when it is full. It returns the number of
// lines that were lost because writing failed.
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
		if len(part) == 0 { // the line is longer than a file, or the file could not be renamed
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

// cut returns the length of the complete lines that fit into free bytes.
func cut(lines []byte, free int64) int {
	if int64(len(lines)) <= free {
		return len(lines)
	}
	return bytes.LastIndexByte(lines[:max(free, 0)], '\n') + 1
}

// rotate closes the file and renames it and the older files, each to the next number.
// If renaming fails, the file grows beyond its maximum size.
func (f *rotated) rotate() {
	f.file.Close() // the writes have already reported their errors
	f.file = nil
	name := func(i int) string {
		if i == 0 {
			return f.path
		}
		return older(f.path, i)
	}
	if _, err := atomicfile.SetAsideOther(name(f.keep)); err != nil {
		return
	}
	if err := os.Remove(name(f.keep)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	for i := f.keep; i > 0; i-- {
		if _, err := atomicfile.SetAsideOther(name(i)); err != nil {
			return
		}
		if err := os.Rename(name(i-1), name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// older returns the path of the older file number i of the log at path.
func older(path string, i int) string { return atomicfile.Derived(path, "."+strconv.Itoa(i)) }

// reopen closes the file and opens the one at the path.
func (f *rotated) reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil {
		f.file.Close() // the writes have already reported their errors
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

// Files returns the paths of the log at path and of its older files, the oldest first.
func Files(path string) []string {
	var files []string
	for i := 1; ; i++ {
		name := older(path, i)
		if _, err := os.Stat(name); err != nil {
			break
		}
		files = append([]string{name}, files...)
	}
	return append(files, filepath.Clean(path))
}

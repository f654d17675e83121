package maker

import (
	"errors"
	"io/fs"
	"syscall"
	"time"
)

// sequentialSize is the minimum size in bytes of a large file. A worker tells the kernel
// that it reads a large file sequentially, and checks it for changes after each batch.
const sequentialSize = 4 << 20

// filesPerPiece is the number of files that stay open for each piece that is read in parts.
// Some small files may start and end inside a part. With this number, the file that
// continues in the next part is still open then.
const filesPerPiece = 3

const (
	// maxOpen limits the open files of all workers together. Each worker may exceed it
	// by one.
	maxOpen = 512
	// If the process has too many open files, a worker tries up to openTries times to open
	// a file and waits for openWait before each retry. Meanwhile the other workers close
	// files when they next read.
	openTries, openWait = 20, 5 * time.Millisecond
)

// openFiles holds the open files of a worker, the most recently read one first.
type openFiles struct {
	r    *run
	keep int // maximum number of open files, at least 1
	list []openExtent
}

// openExtent is the open file of an extent.
type openExtent struct {
	ext  int
	file *openFile
}

// get returns the open file of an extent. The file stays open until keep other files
// were read.
func (o *openFiles) get(ext int) (*openFile, error) {
	for i, e := range o.list {
		if e.ext == ext {
			copy(o.list[1:], o.list[:i])
			o.list[0] = e
			return e.file, nil
		}
	}
	keep := min(o.keep, max(1, maxOpen/o.r.procs()))
	if o.r.fewFiles.Load() {
		keep = 1
	}
	if err := o.shrink(keep - 1); err != nil {
		return nil, err
	}
	f, err := o.open(ext)
	for n := 0; n < openTries && errors.Is(err, syscall.EMFILE); n++ {
		o.r.fewFiles.Store(true)
		if err := o.shrink(0); err != nil {
			return nil, err
		}
		if f, err = o.open(ext); err != nil {
			time.Sleep(openWait)
		}
	}
	if err != nil {
		return nil, err
	}
	o.list = append(o.list, openExtent{})
	copy(o.list[1:], o.list)
	o.list[0] = openExtent{ext, f}
	return f, nil
}

// open opens the file of an extent and checks that it is the scanned one.
func (o *openFiles) open(ext int) (*openFile, error) {
	want := o.source(ext)
	if want.err != nil {
		return nil, want.err
	}
	f, err := o.r.from.open(want.rel)
	if o.r.strict && errors.Is(err, fs.ErrNotExist) {
		return nil, &ChangedError{o.r.from.name(want.rel), "removed"}
	}
	if err != nil {
		return nil, err
	}
	now, regular, err := f.stat()
	switch {
	case err != nil:
	case !regular:
		err = &fs.PathError{Op: "read", Path: f.name, Err: errors.New("not a regular file")}
	case o.r.strict:
		err = want.unchanged(f.name, now)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	if want.stat.size >= sequentialSize {
		f.sequential()
	}
	return f, nil
}

func (o *openFiles) source(ext int) source { return o.r.files.at(o.r.layout.extents[ext].file) }

// shrink closes all but the n most recently read files.
func (o *openFiles) shrink(n int) error {
	for len(o.list) > n {
		last := o.list[len(o.list)-1]
		o.list = o.list[:len(o.list)-1]
		err := o.checkOne(last)
		last.file.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// close closes all open files.
func (o *openFiles) close() {
	for _, e := range o.list {
		e.file.close()
	}
	o.list = nil
}

// check checks the open files for changes since the scan.
func (o *openFiles) check() error {
	for _, e := range o.list {
		if err := o.checkOne(e); err != nil {
			return err
		}
	}
	return nil
}

// checkOne checks one open file. Small files are checked only at the end of the run.
func (o *openFiles) checkOne(e openExtent) error {
	want := o.source(e.ext)
	if !o.r.strict || want.stat.size < sequentialSize {
		return nil
	}
	now, _, err := e.file.stat()
	if err != nil {
		return err
	}
	return want.unchanged(e.file.name, now)
}

// unchanged returns a *ChangedError if the file called name has changed since the scan.
func (s *source) unchanged(name string, now fileStat) error {
	if what := s.stat.changed(now); what != "" {
		return &ChangedError{name, what}
	}
	return nil
}

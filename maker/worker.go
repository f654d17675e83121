package maker

import (
	"context"
	"errors"
	"io/fs"

	"spate/merkle"
)

// worker reads and hashes batches of pieces. It belongs to one goroutine.
type worker struct {
	r     *run
	buf   []byte
	batch []piece
	errs  []error  // of reading, by piece of the batch
	parts [][]byte // what of each piece is in buf

	file *openFile // the file read last
	open int       // its extent
	digests
}

func newWorker(r *run, size int) *worker {
	return &worker{r: r, buf: make([]byte, size)}
}

// work takes batches until there are no more.
func (w *worker) work(ctx context.Context) error {
	for {
		w.r.mu.Lock()
		fits := w.r.take(w)
		if !w.r.ordered {
			w.r.mu.Unlock()
		}
		var err error
		switch {
		case len(w.batch) == 0:
		case fits:
			err = w.readAll(ctx)
		default:
			err = w.stream(ctx)
		}
		if w.r.ordered {
			w.r.mu.Unlock()
		}
		if err != nil {
			return err
		}
		if len(w.batch) == 0 {
			return w.finish(ctx, len(w.padded))
		}
		if fits {
			w.begin(len(w.batch))
			w.feed(w.parts, w.errs)
		}
		if err := w.settle(ctx); err != nil {
			return err
		}
		if err := w.checkFile(); err != nil {
			return err
		}
	}
}

// readAll reads the whole batch.
func (w *worker) readAll(ctx context.Context) error {
	w.parts, w.errs = w.parts[:0], w.errs[:0]
	at := int64(0)
	for _, p := range w.batch {
		part := w.buf[at : at+p.data]
		at += p.data
		err := w.read(ctx, p, 0, part)
		if err != nil && (!w.r.lenient || ctx.Err() != nil) {
			return err
		}
		w.parts, w.errs = append(w.parts, part), append(w.errs, err)
	}
	return nil
}

// stream reads and hashes one or two large pieces bit by bit.
func (w *worker) stream(ctx context.Context) error {
	n := len(w.batch)
	size := int64(len(w.buf) / n / merkle.BlockSize * merkle.BlockSize)
	w.begin(n)
	w.errs = append(w.errs[:0], make([]error, n)...)
	for from := int64(0); ; from += size {
		w.parts = w.parts[:0]
		left := false
		for i, p := range w.batch {
			end := min(from+size, p.data)
			part := w.buf[int64(i)*size:][:max(end-from, 0)]
			if len(part) > 0 && w.errs[i] == nil {
				err := w.read(ctx, p, from, part)
				if err != nil && (!w.r.lenient || ctx.Err() != nil) {
					return err
				}
				w.errs[i] = err
				left = true
			}
			w.parts = append(w.parts, part)
		}
		if !left {
			return nil
		}
		w.feed(w.parts, w.errs)
	}
}

// read fills part with the bytes of piece p that begin at from.
func (w *worker) read(ctx context.Context, p piece, from int64, part []byte) error {
	filled := from
	var err error
	w.r.layout.spans(p, from, from+int64(len(part)), func(s span) bool {
		clear(part[filled-from : s.into-from])
		filled = s.into + s.length
		for done := int64(0); done < s.length && err == nil; {
			if err = context.Cause(ctx); err != nil {
				break
			}
			n := min(s.length-done, readSize)
			err = w.readFile(s.ext, part[s.into-from+done:][:n], s.at+done)
			done += n
		}
		return err == nil
	})
	if err == nil {
		clear(part[filled-from:])
	}
	return err
}

// readFile fills p from offset off of a file.
func (w *worker) readFile(ext int, p []byte, off int64) error {
	var err error
	if w.file == nil || w.open != ext {
		err = w.openFile(ext)
	}
	if err == nil {
		_, err = w.file.readFull(p, off)
	}
	switch {
	case err != nil && w.r.lenient:
		return &readError{w.r.layout.extents[ext].file, err}
	case errors.Is(err, errShort) && w.r.strict:
		return &ChangedError{w.file.name, "resized"}
	}
	return err
}

// sequentialSize is the size of a file from where on the kernel is told that it
// will be read to its end, and from where on it is looked at between batches.
const sequentialSize = 4 << 20

// openFile makes the file of an extent the one that is read.
func (w *worker) openFile(ext int) error {
	if err := w.checkFile(); err != nil {
		return err
	}
	w.closeFile()
	want := &w.r.files[w.r.layout.extents[ext].file]
	if want.err != nil {
		return want.err
	}
	f, err := w.r.from.open(want.rel)
	if w.r.strict && errors.Is(err, fs.ErrNotExist) {
		return &ChangedError{w.r.from.name(want.rel), "removed"}
	}
	if err != nil {
		return err
	}
	now, regular, err := f.stat()
	switch {
	case err != nil:
	case !regular:
		err = &fs.PathError{Op: "read", Path: f.name, Err: errors.New("not a regular file")}
	case w.r.strict:
		err = want.unchanged(f.name, now)
	}
	if err != nil {
		f.close()
		return err
	}
	if want.stat.size >= sequentialSize {
		f.sequential()
	}
	w.file, w.open = f, ext
	return nil
}

// checkFile looks whether the open file is still what it was. Small files are
// looked at once more at the end of the run only.
func (w *worker) checkFile() error {
	if w.file == nil || !w.r.strict {
		return nil
	}
	want := &w.r.files[w.r.layout.extents[w.open].file]
	if want.stat.size < sequentialSize {
		return nil
	}
	now, _, err := w.file.stat()
	if err != nil {
		return err
	}
	return want.unchanged(w.file.name, now)
}

// unchanged returns a *ChangedError if a file called name is not what was
// scanned.
func (s *source) unchanged(name string, now fileStat) error {
	if what := s.stat.changed(now); what != "" {
		return &ChangedError{name, what}
	}
	return nil
}

func (w *worker) closeFile() {
	if w.file != nil {
		w.file.close()
		w.file = nil
	}
}

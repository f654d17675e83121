package maker

import (
	"context"
	"errors"

	"spate/merkle"
)

// worker reads and hashes batches of pieces. It is used by one goroutine.
type worker struct {
	r     *run
	buf   []byte
	batch []piece
	errs  []error  // read errors, by index of the piece in the batch
	parts [][]byte // the part of each piece in buf

	files openFiles
	digests
}

func newWorker(r *run, size int) *worker {
	return &worker{r: r, buf: make([]byte, size), files: openFiles{r: r}}
}

// work processes batches until there are no more.
func (w *worker) work(ctx context.Context) error {
	for {
		w.r.mu.Lock()
		fits := w.r.nextBatch(w)
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
			return w.finishPadded(ctx, len(w.padded))
		}
		if fits {
			w.begin(len(w.batch))
			w.feed(w.parts, w.errs)
		}
		if err := w.deliver(ctx); err != nil {
			return err
		}
		if err := w.files.check(); err != nil {
			return err
		}
	}
}

// readAll reads the complete batch.
func (w *worker) readAll(ctx context.Context) error {
	w.files.keep = 1
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

// stream reads and hashes a few large pieces in parts, in turn.
func (w *worker) stream(ctx context.Context) error {
	n := len(w.batch)
	w.files.keep = filesPerPiece * n
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

// read fills part with the bytes of piece p from offset from.
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

// readFile reads len(p) bytes at offset off of a file.
func (w *worker) readFile(ext int, p []byte, off int64) error {
	f, err := w.files.get(ext)
	if err == nil {
		_, err = f.readFull(p, off)
	}
	switch {
	case err != nil && w.r.lenient:
		return &readError{w.r.layout.extents[ext].file, err}
	case errors.Is(err, errShort) && w.r.strict:
		return &ChangedError{f.name, "resized"}
	}
	return err
}

package webseed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
)

// errStalled is the error of a request if the server sends nothing for too long.
var errStalled = errors.New("the server does not send")

// Bounds of the requests for one Range. A server may send less than was asked for.
const (
	maxCuts      = 3   // answers that end too early
	freeRequests = 64  // requests besides one for each shortAnswer bytes
	shortAnswer  = 512 // bytes
)

// Range reads a range of a torrent's byte space from a source, from beginning to end. Only
// one goroutine may use it.
type Range struct {
	k       *Conn
	at, end int64
	length  int64 // of the whole range

	extent   extent // the current file or padding
	left     int64  // bytes of the extent that were not read
	body     io.ReadCloser
	u        *url.URL
	bodyLeft int64 // bytes of the body to read
	more     bool  // the body holds more bytes after these
	got      bool  // the body has delivered a byte
	streams  bool  // the extent is read from the stream of the Conn

	requests, cuts int
}

// Open returns a Range of n bytes from off. It makes no request before the first Fill. The
// caller must close the Range before it opens another one.
func (k *Conn) Open(off, n int64) *Range { return &Range{k: k, at: off, end: off + n, length: n} }

// Close ends the current request, unless it reads a whole file.
func (r *Range) Close() {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
}

// Fill reads the next len(p) bytes of the range, which must have at least len(p) bytes left.
// After an error the Range cannot be used. The bytes come from the right offset, but their
// content is not verified.
func (r *Range) Fill(p []byte) error {
	if int64(len(p)) > r.end-r.at {
		return io.ErrUnexpectedEOF
	}
	k := r.k
	k.watchdog.Reset(k.c.opt.Stall)
	defer k.watchdog.Stop()
	for len(p) > 0 {
		n, err := r.read(p)
		p = p[n:]
		r.at += int64(n)
		if err != nil {
			if cause := context.Cause(k.ctx); errors.Is(cause, errStalled) {
				return r.stalled()
			}
			return err
		}
		if n > 0 && k.patient.Load() {
			k.watchdog.Reset(k.c.opt.Stall)
		}
	}
	return nil
}

// stalled returns the error of a server that sends nothing. It is about the file if the server
// has answered.
func (r *Range) stalled() error {
	if r.u != nil {
		return &FileError{URL: r.u.Redacted(), File: r.extent.file, Reason: "no data", Err: errStalled, Temporary: true}
	}
	return fmt.Errorf("%v: %w", r.k.s, errStalled)
}

// read reads up to len(p) of the next bytes.
func (r *Range) read(p []byte) (int, error) {
	if r.left == 0 {
		r.extent = r.k.s.layout.extent(r.at, r.end-r.at)
		r.left, r.u, r.streams = r.extent.length, nil, false
	}
	if r.extent.file < 0 {
		p = p[:min(int64(len(p)), r.left)]
		clear(p)
		r.left -= int64(len(p))
		return len(p), nil
	}
	if r.body == nil && !r.streams {
		if err := r.ask(); err != nil {
			return 0, err
		}
	}
	if r.streams {
		return r.readStream(p)
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.bodyLeft)])
	r.left -= int64(n)
	r.bodyLeft -= int64(n)
	r.got = r.got || n > 0
	switch {
	case r.bodyLeft == 0:
		return n, r.finish(err)
	case err == nil:
		return n, nil
	}
	r.Close()
	r.cuts++
	if r.got && r.cuts <= maxCuts && r.k.ctx.Err() == nil {
		return n, nil // the rest is requested again
	}
	return n, r.k.cut(r.extent.file, r.u, err)
}

// readStream reads from the stream of the Conn.
func (r *Range) readStream(p []byte) (int, error) {
	s := r.k.stream
	n, err := s.body.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	s.at += int64(n)
	switch {
	case s.at == s.end:
		r.k.closeStream()
	case err != nil:
		r.k.closeStream()
		return n, r.k.cut(r.extent.file, s.u, err)
	}
	return n, nil
}

// ask sends the request for the rest of the extent.
func (r *Range) ask() error {
	k, file := r.k, r.extent.file
	off := r.extent.offset + r.extent.length - r.left
	if _, whole := k.whole[file]; whole {
		if err := k.openStream(file, off); err != nil {
			return err
		}
		r.u, r.streams = k.stream.u, true
		return nil
	}
	r.requests++
	if r.requests > freeRequests+int(r.length/shortAnswer) {
		return &FileError{URL: k.s.String(), File: file, Reason: "its answers are too short"}
	}
	a, err := k.ask(file, off, r.left)
	if err != nil {
		return err
	}
	if a.holds.begin != off || a.holds.end > off+r.left {
		a.body.Close()
		return &FileError{URL: a.url.Redacted(), File: file, Reason: "the server answers a range with the whole file", NoRanges: true}
	}
	r.body, r.u, r.got = a.body, a.url, false
	r.bodyLeft, r.more = a.holds.end-off, a.more
	return nil
}

// finish closes an answer whose bytes were all read. It checks that no more bytes follow. err
// is the error of the last read.
func (r *Range) finish(err error) error {
	var more [1]byte
	n := 0
	for n == 0 && err == nil && !r.more {
		n, err = r.body.Read(more[:])
	}
	r.Close()
	if n > 0 {
		return &FileError{URL: r.u.Redacted(), File: r.extent.file, Reason: "its answer is too long"}
	}
	return nil // all bytes have arrived, so an error of the connection does not matter
}

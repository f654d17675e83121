package webseed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"
)

// errStalled is the error of a request if the server sends nothing for too long.
var errStalled = errors.New("the server does not send")

// Range reads a range of a torrent's byte space from a source, from beginning to end. Only
// one goroutine may use it.
type Range struct {
	c        *Client
	s        *Source
	ctx      context.Context
	cancel   context.CancelCauseFunc
	watchdog *time.Timer

	at, end int64
	u       *url.URL
	body    io.ReadCloser // the answer for the current file; nil between files
	left    int64         // bytes of the current extent that were not read
	exact   bool          // the answer has a Content-Length
}

// Open returns a Range of n bytes from off at a source. It makes no request before the first
// Fill. When ctx is done, Fill fails. The caller must close the Range.
func (c *Client) Open(ctx context.Context, s *Source, off, n int64) *Range {
	r := &Range{c: c, s: s, at: off, end: off + n}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.watchdog = time.AfterFunc(time.Hour, func() { r.cancel(errStalled) })
	r.watchdog.Stop()
	return r
}

// Close ends the current request.
func (r *Range) Close() {
	r.watchdog.Stop()
	if r.body != nil {
		r.body.Close()
	}
	r.cancel(context.Canceled)
}

// Fill reads the next len(p) bytes of the range, which must have at least len(p) bytes left.
// After an error the Range cannot be used. The bytes come from the right offset, but their
// content is not verified.
func (r *Range) Fill(p []byte) error {
	if int64(len(p)) > r.end-r.at {
		return io.ErrUnexpectedEOF
	}
	r.watchdog.Reset(r.c.opt.Stall)
	defer r.watchdog.Stop()
	for len(p) > 0 {
		n, err := r.read(p)
		p = p[n:]
		r.at += int64(n)
		if err != nil {
			if cause := context.Cause(r.ctx); errors.Is(cause, errStalled) {
				return fmt.Errorf("%v: %w", r.s, errStalled)
			}
			return err
		}
	}
	return nil
}

// read reads up to len(p) of the next bytes.
func (r *Range) read(p []byte) (int, error) {
	if r.left == 0 {
		e := r.s.layout.extent(r.at, r.end-r.at)
		r.left = e.length
		if e.file >= 0 {
			if err := r.ask(e); err != nil {
				return 0, err
			}
		}
	}
	p = p[:min(int64(len(p)), r.left)]
	if r.body == nil {
		clear(p)
		r.left -= int64(len(p))
		return len(p), nil
	}
	n, err := r.body.Read(p)
	r.left -= int64(n)
	switch {
	case r.left == 0:
		return n, r.finish(err)
	case err == io.EOF && !r.exact:
		return n, &BrokenError{URL: r.u.Redacted(), Reason: fmt.Sprintf("its answer is %d bytes too short", r.left)}
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		err = explain(r.u, err)
	}
	return n, err
}

// ask sends the request for an extent of a file.
func (r *Range) ask(e extent) (err error) {
	if r.u, err = r.s.URL(e.file); err != nil {
		return &BrokenError{URL: r.s.String(), Reason: "its files have no URL", Err: err}
	}
	resp, err := r.c.get(r.ctx, r.u, e.offset, e.length, r.s.layout.info.Files[e.file].Length)
	if err != nil {
		return err
	}
	r.body, r.exact = resp.Body, resp.ContentLength >= 0
	return nil
}

// finish checks that no more bytes follow in an answer, and closes it. err is the error of
// the last read.
func (r *Range) finish(err error) error {
	var more [1]byte
	n := 0
	for n == 0 && err == nil {
		n, err = r.body.Read(more[:])
	}
	r.body.Close()
	r.body = nil
	if n > 0 {
		return &BrokenError{URL: r.u.Redacted(), Reason: "its answer is too long"}
	}
	return nil // all bytes have arrived, so an error of the connection does not matter
}

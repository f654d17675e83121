package webseed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"
)

// errStalled ends a request whose answer does not come.
var errStalled = errors.New("the server does not send")

// Range is a part of a torrent's byte space that is read from a source, from its
// beginning to its end. It is for one goroutine.
type Range struct {
	c        *Client
	s        *Source
	ctx      context.Context
	cancel   context.CancelCauseFunc
	watchdog *time.Timer

	at, end int64
	u       *url.URL
	body    io.ReadCloser // of the file that is being read; nil between files
	left    int64         // of the extent that is being read
	exact   bool          // the server said how long the answer is
}

// Open prepares to read n bytes from off at a source. Nothing is asked before the
// first Fill; ctx ends everything. The caller closes the Range.
func (c *Client) Open(ctx context.Context, s *Source, off, n int64) *Range {
	r := &Range{c: c, s: s, at: off, end: off + n}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.watchdog = time.AfterFunc(time.Hour, func() { r.cancel(errStalled) })
	r.watchdog.Stop()
	return r
}

// Close gives up what was not read.
func (r *Range) Close() {
	r.watchdog.Stop()
	if r.body != nil {
		r.body.Close()
	}
	r.cancel(context.Canceled)
}

// Fill reads the next len(p) bytes, of which there must be as many left in the
// range. After an error the Range is of no more use. What was read before it
// failed was sent for the right place, but nothing vouches for the content.
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

// read reads some of what comes next.
func (r *Range) read(p []byte) (int, error) {
	if r.left == 0 {
		e := r.s.layout.extent(r.at, r.end-r.at)
		if r.left = e.length; e.file >= 0 {
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

// ask begins to read an extent of a file.
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

// finish ends an answer that was read: nothing may follow. err is that of the
// last read.
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
	return nil // how the connection ended is of no interest any more
}

package webseed

import (
	"context"
	"errors"
	"io"
	"net/url"
	"sync/atomic"
	"time"

	"spate/internal/netguard"
)

// Bounds of the redirects that a Conn remembers.
const (
	mirrorTime = 5 * time.Minute
	maxMirrors = 64
)

// Conn makes the requests to a source one after the other. It remembers where the source
// redirects to. Only one goroutine may use it, except for SetPatient.
type Conn struct {
	c        *Client
	s        *Source
	ctx      context.Context
	cancel   context.CancelCauseFunc
	watchdog *time.Timer

	patient atomic.Bool // see SetPatient

	mirrors map[int]mirror // by file
	whole   map[int]bool   // files that are read without ranges, and whether they were requested
	stream  *stream        // the file that is being read without ranges; may be nil
}

// mirror is the URL to which a source redirected for a file.
type mirror struct {
	url   *url.URL
	reach netguard.Reach
	until time.Time
}

// stream is an answer that holds the rest of a file.
type stream struct {
	file    int
	at, end int64 // offsets in the file of the next byte and of the end
	u       *url.URL
	body    io.ReadCloser
}

// Connect returns a Conn for a source. It makes no request. When ctx is done, reads fail. The
// caller must close the Conn.
func (c *Client) Connect(ctx context.Context, s *Source) *Conn {
	k := &Conn{c: c, s: s, mirrors: map[int]mirror{}, whole: map[int]bool{}}
	k.ctx, k.cancel = context.WithCancelCause(ctx)
	k.watchdog = time.AfterFunc(time.Hour, func() { k.cancel(errStalled) })
	k.watchdog.Stop()
	return k
}

// SetPatient allows a slow server, as long as it sends anything, or ends that. A server may be
// slow if no other source has the data. SetPatient is safe for concurrent use.
func (k *Conn) SetPatient(patient bool) { k.patient.Store(patient) }

// Close ends the current request.
func (k *Conn) Close() {
	k.watchdog.Stop()
	k.closeStream()
	k.cancel(context.Canceled)
}

// ReadWhole makes the Conn read a file from its beginning to its end with one request,
// because the server does not send ranges of it. The ranges of the file must be read in
// ascending order.
func (k *Conn) ReadWhole(file int) { k.whole[file] = false }

func (k *Conn) closeStream() {
	if k.stream != nil {
		k.stream.body.Close()
		k.stream = nil
	}
}

// ask requests a range of a file from the mirror that answered last, or from the source if
// there is none or the mirror fails.
func (k *Conn) ask(file int, off, n int64) (*answer, error) {
	size := k.s.layout.info.Files[file].Length
	if m, ok := k.mirrors[file]; ok {
		if time.Now().Before(m.until) {
			a, err := k.c.get(k.ctx, m.url, m.reach, file, off, n, size)
			if err == nil || k.ctx.Err() != nil {
				return a, err
			}
		}
		delete(k.mirrors, file)
	}
	u, err := k.s.URL(file)
	if err != nil {
		return nil, &FileError{URL: k.s.String(), File: file, Reason: "the file has no URL", Err: err}
	}
	a, err := k.c.get(k.ctx, u, reachOf(u), file, off, n, size)
	if err == nil && a.url.String() != u.String() {
		if len(k.mirrors) == maxMirrors {
			clear(k.mirrors)
		}
		k.mirrors[file] = mirror{a.url, a.reach, time.Now().Add(mirrorTime)}
	}
	return a, err
}

// openStream makes k.stream deliver the bytes of a file from offset off on.
func (k *Conn) openStream(file int, off int64) error {
	if s := k.stream; s != nil && (s.file != file || s.at > off) {
		k.closeStream()
	}
	if k.stream == nil {
		if k.whole[file] {
			return &FileError{URL: k.s.String(), File: file, Reason: "the server sends the whole file, and only once", NoRanges: true, Temporary: true}
		}
		k.whole[file] = true
		size := k.s.layout.info.Files[file].Length
		a, err := k.ask(file, off, size-off)
		if err != nil {
			return err
		}
		k.stream = &stream{file: file, at: a.holds.begin, end: a.holds.end, u: a.url, body: a.body}
	}
	s := k.stream
	buf := make([]byte, 32<<10)
	for s.at < off {
		k.watchdog.Reset(k.c.opt.Stall)
		n, err := s.body.Read(buf[:min(int64(len(buf)), off-s.at)])
		s.at += int64(n)
		if err != nil && s.at < off {
			k.closeStream()
			return k.cut(file, s.u, err)
		}
	}
	return nil
}

// cut returns the error for an answer that ended too early.
func (k *Conn) cut(file int, u *url.URL, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if cause := context.Cause(k.ctx); cause != nil {
		err = cause
	}
	return &FileError{URL: u.Redacted(), File: file, Reason: "the answer ended too early", Err: err, Temporary: true}
}

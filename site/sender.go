package site

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"spate/publish"
)

// A file goes out in steps, between which the sender looks at the file, at the budget
// and at the clock: short ones to slow readers, long ones to fast readers.
const (
	leastStep = 64 << 10
	mostStep  = 1 << 20
	shortTime = 20 * time.Millisecond  // a step that takes less is followed by a longer one
	longTime  = 200 * time.Millisecond // a step that takes more is followed by the shortest
)

// answerTime is for the answer to somebody whose download does not begin.
const answerTime = 10 * time.Second

// errMadeRoom is the cause when a download ends because its place is needed.
var errMadeRoom = errors.New("the reader takes too little, and its place is needed")

// sender passes a file on to the connection in steps, by sendfile where that
// can be: it only hands ReadFrom down. It ends a download that stands still, or
// whose file changes under it, or whose place is needed.
type sender struct {
	http.ResponseWriter
	ctx     context.Context
	cancel  context.CancelCauseFunc
	control *http.ResponseController
	stall   time.Duration
	budget  budget
	place   *place
	sent    *atomic.Int64    // of the release
	all     *atomic.Int64    // of the site
	content *publish.Content // nil for a pad file

	status  int
	started bool  // the header was sent
	total   int64 // of this answer
	step    int64
	err     error

	mu   sync.Mutex // guards over and the deadline
	over bool       // the download has ended, or has to
}

// newSender returns a sender that has nothing to send yet. The caller closes it.
func newSender(w http.ResponseWriter, r *http.Request, s *Site) *sender {
	o := &sender{ResponseWriter: w, control: http.NewResponseController(w), stall: s.opts.Stall, budget: s.budget, all: &s.sentAll, status: http.StatusOK, step: leastStep}
	o.ctx, o.cancel = context.WithCancelCause(r.Context())
	return o
}

// end makes the download end at once. It may be called at any time and from any
// goroutine.
func (o *sender) end() {
	o.cancel(errMadeRoom)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.over = true
		o.control.SetWriteDeadline(time.Unix(1, 0))
	}
}

// close gives the place back. The connection goes on without a deadline.
func (o *sender) close() {
	if o.place != nil {
		o.place.leave()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over || !o.started { // else the connection is of no use any more
		o.control.SetWriteDeadline(time.Time{})
	}
	o.over = true
	o.cancel(nil)
}

// WriteHeader implements [http.ResponseWriter]. The header goes out with the first bytes,
// or by start: until then the answer may still become another.
func (o *sender) WriteHeader(status int) { o.status = status }

// start sends the header, unless it was sent.
func (o *sender) start() {
	if !o.started {
		o.started = true
		o.ResponseWriter.WriteHeader(o.status)
	}
}

// unanswered reports whether the download lost its place before anything was sent. There is
// time for another answer then.
func (o *sender) unanswered() bool {
	if o.started || !errors.Is(o.err, errMadeRoom) {
		return false
	}
	o.control.SetWriteDeadline(time.Now().Add(answerTime))
	return true
}

// ReadFrom implements [io.ReaderFrom]; [http.ServeContent] calls it with an
// [io.LimitedReader] of the file.
func (o *sender) ReadFrom(src io.Reader) (total int64, err error) {
	limited, ok := src.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{o}, src)
	}
	for limited.N > 0 {
		part := io.LimitedReader{R: limited.R, N: min(limited.N, o.step, o.budget.step())}
		asked := part.N
		n, err := o.send(asked, func() (int64, error) { return io.Copy(o.ResponseWriter, &part) })
		total += n
		limited.N -= n
		if err != nil || n < asked {
			return total, err
		}
	}
	return total, nil
}

// Write implements [io.Writer], for what does not come through ReadFrom: the
// parts of an answer to several ranges.
func (o *sender) Write(p []byte) (int, error) {
	n, err := o.send(int64(len(p)), func() (int64, error) {
		n, err := o.ResponseWriter.Write(p)
		return int64(n), err
	})
	return int(n), err
}

// send takes a step of n bytes with write.
func (o *sender) send(n int64, write func() (int64, error)) (sent int64, err error) {
	if o.err = o.check(n); o.err != nil {
		return 0, o.err
	}
	o.start()
	o.place.offer()
	began := time.Now()
	sent, err = write()
	took := time.Since(began)
	o.place.took(sent)
	switch {
	case took > longTime:
		o.step = leastStep
	case took < shortTime:
		o.step = min(2*o.step, mostStep)
	}
	o.budget.giveBack(n - sent)
	o.sent.Add(sent)
	o.all.Add(sent)
	o.total += sent
	o.err = err
	return sent, err
}

// check waits until the budget has room for n bytes, gives the reader time for
// another step, and fails if the place is lost or the file is not what it was.
func (o *sender) check(n int64) error {
	if err := o.budget.wait(o.ctx, n, o.place.suspect()); err != nil {
		return context.Cause(o.ctx)
	}
	if err := o.extend(); err != nil || o.content == nil {
		return err
	}
	return o.content.Check()
}

// extend gives the reader time for another step, unless the download has to end.
func (o *sender) extend() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return errMadeRoom
	}
	o.control.SetWriteDeadline(time.Now().Add(o.stall)) // a writer without deadlines has no connection either
	return nil
}

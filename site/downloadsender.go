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

// A sender sends a file in steps. Between two steps it checks the file, the budget and the
// time. The steps are short for slow readers and long for fast ones.
const (
	leastStep = 64 << 10
	mostStep  = 1 << 20
	shortTime = 20 * time.Millisecond  // a longer step follows one that took less time
	longTime  = 200 * time.Millisecond // the shortest step follows one that took more time
)

// answerTime is the time limit for sending an error instead of a download.
const answerTime = 10 * time.Second

// errEvicted is the cause if another visitor has taken the slot of a download.
var errEvicted = errors.New("the download was too slow, and other visitors need its slot")

// sender sends the data of a direct download in steps. It passes ReadFrom on to the
// connection, which uses sendfile if it can. It ends the download if the client stops
// reading, the file changes, or another visitor takes the slot.
type sender struct {
	http.ResponseWriter
	ctx     context.Context
	cancel  context.CancelCauseFunc
	control *http.ResponseController
	stall   time.Duration
	budget  budget
	slot    *slot
	sent    *atomic.Int64    // bytes sent of the release
	all     *atomic.Int64    // bytes sent by the site
	content *publish.Content // nil for a pad file
	begun   func()           // called before the first step; nil: no call
	passed  func(sent int64) // called with total after each step of a range; nil: no call

	status  int
	started bool  // whether the header was sent
	total   int64 // bytes sent in this response
	step    int64
	err     error

	mu   sync.Mutex // guards over and the deadline
	over bool       // whether the download has ended or must end
}

// newSender returns a sender without content. The caller closes it.
func newSender(w http.ResponseWriter, r *http.Request, s *Site) *sender {
	o := &sender{ResponseWriter: w, control: http.NewResponseController(w), stall: s.opts.Stall, budget: s.budget.forRequest(r, s.opts.Uplink), all: &s.sentAll, status: http.StatusOK, step: leastStep}
	o.ctx, o.cancel = context.WithCancelCause(r.Context())
	return o
}

// end ends the download immediately. Any goroutine may call it at any time.
func (o *sender) end() {
	o.cancel(errEvicted)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.over = true
		o.control.SetWriteDeadline(time.Unix(1, 0))
	}
}

// close frees the slot. It removes the deadline of the connection, which can serve further
// requests.
func (o *sender) close() {
	if o.slot != nil {
		o.slot.leave()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over || !o.started { // otherwise the connection cannot be used again
		o.control.SetWriteDeadline(time.Time{})
	}
	o.over = true
	o.cancel(nil)
}

// WriteHeader implements [http.ResponseWriter]. It only records the status: start sends the
// header before the first bytes, so that an error can replace the response until then.
func (o *sender) WriteHeader(status int) { o.status = status }

// start sends the header if it was not sent yet.
func (o *sender) start() {
	if !o.started {
		o.started = true
		o.ResponseWriter.WriteHeader(o.status)
	}
}

// unanswered reports whether the download lost its slot before anything was sent. It then
// extends the deadline for an error response.
func (o *sender) unanswered() bool {
	if o.started || !errors.Is(o.err, errEvicted) {
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

// Write implements [io.Writer]. It is used for responses with several ranges, which do not
// use ReadFrom.
func (o *sender) Write(p []byte) (int, error) {
	n, err := o.send(int64(len(p)), func() (int64, error) {
		n, err := o.ResponseWriter.Write(p)
		return int64(n), err
	})
	return int(n), err
}

// send sends a step of n bytes with write.
func (o *sender) send(n int64, write func() (int64, error)) (sent int64, err error) {
	if o.begun != nil && o.status < http.StatusMultipleChoices {
		o.begun()
		o.begun = nil
	}
	o.err = o.check(n)
	if o.err != nil {
		return 0, o.err
	}
	o.start()
	o.slot.offer()
	began := time.Now()
	sent, err = write()
	took := time.Since(began)
	o.slot.took(sent)
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
	if o.passed != nil && o.status == http.StatusPartialContent {
		o.passed(o.total)
	}
	o.err = err
	return sent, err
}

// check waits until the budget allows n bytes, and extends the deadline for another step. It
// returns an error if the slot is lost or the data has changed.
func (o *sender) check(n int64) error {
	if err := o.budget.wait(o.ctx, n, o.slot.suspect()); err != nil {
		return context.Cause(o.ctx)
	}
	if err := o.extend(); err != nil || o.content == nil {
		return err
	}
	return o.content.Check()
}

// extend sets the deadline for another step. It returns errEvicted if the download must end.
func (o *sender) extend() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return errEvicted
	}
	o.control.SetWriteDeadline(time.Now().Add(o.stall)) // ignore the error of a writer that does not support deadlines
	return nil
}

package api

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"spate/internal/daemon"
)

// Limits of the answers that are kept for an Idempotency-Key.
const (
	maxKey       = 255 // bytes
	maxAnswers   = 1000
	maxAnswer    = 1 << 20 // bytes of one answer
	maxAllAnswer = 8 << 20 // bytes of all answers
	answerAge    = 24 * time.Hour
)

// answers are the answers to requests with an Idempotency-Key, so that a client can send a request
// again whose answer it did not get, and what the request creates exists once. They are kept in
// memory, and only if the request succeeded.
type answers struct {
	mu    sync.Mutex
	by    map[answerKey]*answer
	order []answerKey // of the finished ones, oldest first
	bytes int
}

// answerKey names a request. Each sender has keys of its own.
type answerKey struct{ who, method, path, key string }

// answer is the answer to a request.
type answer struct {
	request [sha256.Size]byte // hash of the request
	done    bool              // otherwise it is still being made
	at      time.Time         // when it was done
	status  int
	header  http.Header
	body    []byte
	lost    bool // the body was larger than maxAnswer
}

// once returns a handler that executes a request with an Idempotency-Key once, and then repeats its
// answer. most is the limit of the request's body in bytes.
func (s *Server) once(most int64, handle func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		keys := r.Header.Values("Idempotency-Key")
		if len(keys) == 0 {
			return handle(w, r)
		}
		if key := keys[0]; len(keys) > 1 || key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
			return &Error{Code: BadRequest, Message: "an Idempotency-Key is 1 to 255 printable characters of ASCII"}
		}
		body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, most))
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		who := daemon.AccessOf(r.Context())
		k := answerKey{who.ID, r.Method, r.URL.EscapedPath(), keys[0]}
		a, begun, err := s.answers.begin(k, requestHash(r, body), time.Now())
		if err != nil {
			return err
		}
		if !begun {
			return a.repeat(w)
		}
		rec := &recorder{ResponseWriter: w}
		defer func() { s.answers.end(k, a, rec, time.Now()) }()
		err = handle(rec, r)
		if err == nil && rec.status == 0 {
			rec.status = http.StatusOK
		}
		rec.ok = err == nil && rec.status < 300 && !rec.failed
		return err
	}
}

// requestHash returns a hash of what makes a request the same.
func requestHash(r *http.Request, body []byte) [sha256.Size]byte {
	h := sha256.New()
	io.WriteString(h, r.URL.RawQuery+"\n"+r.Header.Get("Content-Type")+"\n")
	h.Write(body)
	return [sha256.Size]byte(h.Sum(nil))
}

// begin returns the answer to a request. begun says that the caller has to make it.
func (s *answers) begin(k answerKey, request [sha256.Size]byte, now time.Time) (a *answer, begun bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	a = s.by[k]
	switch {
	case a == nil:
		if len(s.by)-len(s.order) >= maxAnswers {
			return nil, false, &Error{Code: Busy, Message: "too many requests with an Idempotency-Key run at the same time"}
		}
		a = &answer{request: request}
		if s.by == nil {
			s.by = map[answerKey]*answer{}
		}
		s.by[k] = a
		return a, true, nil
	case a.request != request:
		return nil, false, &Error{Code: KeyReused, Message: "another request had this Idempotency-Key", Hint: "make a new key for each request"}
	case !a.done:
		return nil, false, &Error{Code: InProgress, Message: "the first request with this Idempotency-Key is still being answered", Hint: "send it again later"}
	}
	return a, false, nil
}

// end keeps the answer that a recorder has seen, or forgets it if the request did not succeed.
func (s *answers) end(k answerKey, a *answer, rec *recorder, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !rec.ok {
		delete(s.by, k)
		return
	}
	a.done, a.at, a.status, a.header, a.body, a.lost = true, now, rec.status, rec.Header().Clone(), rec.body, rec.lost
	s.order = append(s.order, k)
	s.bytes += len(a.body)
	s.expire(now)
}

// expire forgets answers that are too old, or too many, or too large together.
func (s *answers) expire(now time.Time) {
	n := 0
	for ; n < len(s.order); n++ {
		a := s.by[s.order[n]]
		if now.Sub(a.at) < answerAge && len(s.order)-n <= maxAnswers && s.bytes <= maxAllAnswer {
			break
		}
		s.bytes -= len(a.body)
		delete(s.by, s.order[n])
	}
	s.order = slices.Delete(s.order, 0, n)
}

// repeat sends the answer again.
func (a *answer) repeat(w http.ResponseWriter) error {
	if a.lost {
		return &Error{Code: Exists, Message: "the request was done, but its answer was too large to be kept"}
	}
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	h.Del("Date")
	h.Set("Idempotency-Replayed", "true")
	w.WriteHeader(a.status)
	w.Write(a.body) // an error means that the client has gone
	return nil
}

// recorder remembers an answer while it is sent. It leaves out the progress of a stream.
type recorder struct {
	http.ResponseWriter
	status int
	body   []byte
	lost   bool
	failed bool // the stream has an error
	ok     bool // the answer is to be kept
}

// The beginnings of the lines of [Event]s: see [lines].
var (
	progressLine = []byte(`{"event":"progress"`)
	errorLine    = []byte(`{"event":"error"`)
)

// WriteHeader implements [http.ResponseWriter].
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements [io.Writer].
func (r *recorder) Write(b []byte) (int, error) {
	switch {
	case bytes.HasPrefix(b, progressLine):
	case len(r.body)+len(b) > maxAnswer:
		r.lost, r.body = true, nil
	case !r.lost:
		r.body = append(r.body, b...)
	}
	r.failed = r.failed || bytes.HasPrefix(b, errorLine)
	return r.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

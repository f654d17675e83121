package classic

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"sync"
	"time"
)

// AccessLog is a log of announces in the format of bttrack: a line for each announce, in the
// common log format of web servers. It is a [slog.Handler] for the access log of package
// trackerserver. It writes each line within the time flush.
type AccessLog struct {
	flush time.Duration

	mu      sync.Mutex // guards the fields below
	buf     *bufio.Writer
	reopen  func() (io.WriteCloser, error)
	to      io.WriteCloser
	pending bool // a call of flushNow is scheduled
	closed  bool
	err     error // the last error of a write
}

// OpenAccessLog opens a log that writes to what open returns. Reopen calls open again.
func OpenAccessLog(open func() (io.WriteCloser, error), flush time.Duration, now time.Time) (*AccessLog, error) {
	to, err := open()
	if err != nil {
		return nil, err
	}
	l := &AccessLog{flush: flush, buf: bufio.NewWriterSize(to, 64<<10), reopen: open, to: to}
	l.head("Started", now)
	return l, l.buf.Flush()
}

// Enabled implements [slog.Handler].
func (l *AccessLog) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements [slog.Handler]. The tracker adds no attributes.
func (l *AccessLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements [slog.Handler]. The tracker adds no groups.
func (l *AccessLog) WithGroup(string) slog.Handler { return l }

// Handle writes the line of one announce.
func (l *AccessLog) Handle(_ context.Context, r slog.Record) error {
	line := accessLine(&r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.buf.WriteString(line) // Flush returns the error
	if !l.pending {
		l.pending = true
		time.AfterFunc(l.flush, l.flushNow)
	}
	return nil
}

func (l *AccessLog) flushNow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = false
	if l.closed {
		return
	}
	if err := l.buf.Flush(); err != nil {
		l.err = err
		l.buf.Reset(l.to) // clears the error, because the disk may have space later
	}
}

// Reopen opens the log again and writes further lines there. If that fails, the log
// continues with the current file.
func (l *AccessLog) Reopen(now time.Time) error {
	to, err := l.reopen()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return to.Close()
	}
	err = l.buf.Flush()
	l.to.Close()
	l.to = to
	l.buf.Reset(to)
	l.head("reopened", now)
	if ferr := l.buf.Flush(); err == nil {
		err = ferr
	}
	return err
}

// head writes a line about the log itself.
func (l *AccessLog) head(what string, now time.Time) {
	fmt.Fprintf(l.buf, "# Log %s: %s\n", what, now.UTC().Format("2006-01-02 15:04 UTC"))
}

// Close writes the buffered lines and returns the last error.
func (l *AccessLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if err := l.buf.Flush(); err != nil {
		l.err = err
	}
	if err := l.to.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}

// accessLine formats a record as the log line of an HTTP request. All values are escaped, so
// that none contains a line break.
func accessLine(r *slog.Record) string {
	at := map[string]string{}
	r.Attrs(func(a slog.Attr) bool {
		at[a.Key] = a.Value.String()
		return true
	})
	from := at["from"]
	if from == "" {
		from = hostOf(at["addr"])
	}
	event := ""
	if e := at["event"]; e != "update" && e != "" {
		event = "&event=" + url.QueryEscape(e)
	}
	user, code := at["user"], 200
	if user == "" {
		user = "-"
	}
	if at["refused"] != "" {
		code = 400
	}
	return fmt.Sprintf("%s - %s [%s] \"GET /announce?info_hash=%s&peer_id=%s&port=%s&uploaded=%s&downloaded=%s&left=%s%s HTTP/1.0\" %d 0 \"-\" %q\n",
		from, url.QueryEscape(user), r.Time.UTC().Format("02/Jan/2006:15:04:05 -0700"),
		at["info_hash"], url.QueryEscape(at["peer_id"]), portOf(at["addr"]), at["uploaded"], at["downloaded"], at["left"], event, code, at["client"])
}

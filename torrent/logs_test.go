package torrent_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// logRecorder keeps the log of a session as text.
type logRecorder struct {
	mu  sync.Mutex
	out bytes.Buffer
}

// logger returns a logger that writes to r.
func (r *logRecorder) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

// Write implements [io.Writer].
func (r *logRecorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

// count returns how often s occurs in the log.
func (r *logRecorder) count(s string) int { return strings.Count(r.String(), s) }

// String returns the whole log.
func (r *logRecorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

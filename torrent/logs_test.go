package torrent_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// recorder keeps what is logged.
type logRecorder struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (r *logRecorder) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

// Write implements [io.Writer].
func (r *logRecorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

// count returns how many times s was said.
func (r *logRecorder) count(s string) int { return strings.Count(r.String(), s) }

func (r *logRecorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

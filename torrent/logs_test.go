package torrent_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// recorder keeps what is logged.
type recorder struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (r *recorder) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

// Write implements [io.Writer].
func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

// count returns how many times s was said.
func (r *recorder) count(s string) int { return strings.Count(r.String(), s) }

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

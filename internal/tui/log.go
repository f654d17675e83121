package tui

import (
	"strings"
	"sync"
)

// logLines is the number of lines that a [Log] keeps.
const logLines = 1000

// Log keeps the last lines that are written to it. It is safe for concurrent use.
type Log struct {
	mu    sync.Mutex
	lines []string
}

// Write appends complete lines.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.SplitSeq(strings.TrimRight(string(p), "\n"), "\n") {
		l.lines = append(l.lines, line)
	}
	if n := len(l.lines) - logLines; n > 0 {
		l.lines = append(l.lines[:0], l.lines[n:]...)
	}
	return len(p), nil
}

// Lines returns a copy of the lines.
func (l *Log) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

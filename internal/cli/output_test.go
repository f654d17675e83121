package cli

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"

	"spate/internal/fault"
)

// TestExitCodes checks the exit codes of errors.
func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{fault.Usagef("x"), 2},
		{fs.ErrNotExist, 3},
		{fault.New(fault.BadData, "", "x"), 4},
		{context.DeadlineExceeded, 5},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, 6},
		{fault.New(fault.Interrupted, "", "x"), 7},
		{&net.OpError{Op: "write", Err: syscall.ENOSPC}, 9},
		{fault.WithHint(fs.ErrExist, "h"), 13},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("exitCode(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

// TestSignals checks that a second signal ends a verb that does not react to the first one.
func TestSignals(t *testing.T) {
	signals := make(chan os.Signal, 2)
	var out bytes.Buffer
	signals <- syscall.SIGTERM
	block := make(chan struct{})
	defer close(block)
	// A standard output that blocks makes the verb hang.
	env := Env{Args: []string{"version"}, Stdout: blockingWriter{block}, Stderr: &out, Signals: signals}
	signals <- os.Interrupt
	if code := Main(env); code != codeKilled {
		t.Errorf("exit code %d after two signals", code)
	}
}

type blockingWriter struct{ c chan struct{} }

func (w blockingWriter) Write(p []byte) (int, error) { <-w.c; return len(p), nil }

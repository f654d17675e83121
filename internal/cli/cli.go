// Package cli contains the verbs of the program spate: their flags, their JSON fields, and
// the exit codes that scripts rely on.
//
// A verb is one file with a function "func (a *app) xxxCmd() *cobra.Command", which
// [app.verbs] lists. The verb parses its flags into a struct, calls the packages that do the
// work, prints results and messages with the methods of [term.Terminal], and returns an
// error of package fault, which [exitCode] maps to an exit code. version.go is the smallest
// example.
package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Env contains everything that the program takes from its surroundings.
type Env struct {
	Name           string   // base name of the program's file
	Args           []string // without the program's name
	Environ        []string // KEY=value; if a key is repeated, the last value is used
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Now            func() time.Time // nil: time.Now
	Signals        <-chan os.Signal // the first signal stops gracefully, the second at once; nil: no signals
	// OutlivesHangup makes the program ignore SIGHUP, as under nohup(1).
	OutlivesHangup bool
}

// System returns the surroundings of this process. It starts to catch the signals that stop
// a program.
func System() Env {
	signals := make(chan os.Signal, 2)
	outlives := signal.Ignored(syscall.SIGHUP) // signal.Notify changes this
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	return Env{
		Name: strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"), Args: os.Args[1:], Environ: os.Environ(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals, OutlivesHangup: outlives,
	}
}

// sameSignal is the time after a SIGTERM in which another SIGTERM counts as the same one,
// because timeout(1) sends it both to the process and to its group.
const sameSignal = 50 * time.Millisecond

// Main runs the program and returns its exit code. After a second signal Main returns while the
// verb may still run, so the caller must exit.
func Main(env Env) int {
	if env.Now == nil {
		env.Now = time.Now
	}
	a := newApp(env)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- a.execute(ctx) }()
	for stopping := (time.Time{}); ; {
		select {
		case err := <-done:
			a.ClearBar()
			return a.report(err)
		case s := <-env.Signals:
			if reopen := a.hangup.Load(); reopen != nil && s == syscall.SIGHUP {
				(*reopen)()
				continue
			}
			if s == syscall.SIGHUP && env.OutlivesHangup {
				continue
			}
			now := time.Now()
			if !stopping.IsZero() {
				if s == syscall.SIGTERM && now.Sub(stopping) < sameSignal {
					continue
				}
				a.ClearBar()
				return a.killedCode()
			}
			stopping = now
			cancel(&interruptError{signal: s})
			if a.started.Load() { // a verb is running
				a.Notef("stopping; press Ctrl-C again to stop at once")
			}
		}
	}
}

// interruptError is the cause of the context that the first signal cancels.
type interruptError struct{ signal os.Signal }

func (e *interruptError) Error() string { return "interrupted" }

// Is makes an interruption match [context.Canceled].
func (e *interruptError) Is(target error) bool { return target == context.Canceled }

// Package cli is the program spate: a tree of verbs over the packages of this
// module, with the flags, JSON fields and exit codes that scripts rely on.
//
// A verb is one file with a constructor "func (a *app) xxxCmd() *cobra.Command"
// that is listed in [app.verbs]. It parses its flags into a struct of its own,
// writes results with [app.printf] or [app.printJSON], talks to the person with
// [app.notef], [app.warnf] and [app.newProgress], and returns an error whose exit
// code is told by [exitCode] or carried by [*Error]. version.go is the smallest
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

// Env is everything that the program takes from its surroundings.
type Env struct {
	Name           string   // what the program was called as, without directories
	Args           []string // without the program's name
	Environ        []string // KEY=value; the last of two wins
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Now            func() time.Time // nil: time.Now
	Signals        <-chan os.Signal // the first stops gracefully, the second at once; nil: none
	// OutlivesHangup: SIGHUP stops nothing, as nohup(1) wants it.
	OutlivesHangup bool
}

// System returns the surroundings of this process, and starts to catch the
// signals that stop a program.
func System() Env {
	signals := make(chan os.Signal, 2)
	outlives := signal.Ignored(syscall.SIGHUP) // Notify changes that
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	return Env{
		Name: strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"), Args: os.Args[1:], Environ: os.Environ(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals, OutlivesHangup: outlives,
	}
}

// sameSignal is how close to the first a second SIGTERM counts as the same:
// timeout(1) sends it to the process and to its group. Nobody types so fast.
const sameSignal = 50 * time.Millisecond

// Main runs the program and returns its exit code. After a second signal it
// returns while the verb may still run: the caller is expected to exit.
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
			if a.started.Load() { // the flags are read
				a.Notef("stopping; once more to stop at once")
			}
		}
	}
}

// interruptError is the cause of the cancelled context after a first signal.
type interruptError struct{ signal os.Signal }

func (e *interruptError) Error() string { return "interrupted" }

// Is makes an interruption look like what the packages return for it.
func (e *interruptError) Is(target error) bool { return target == context.Canceled }

package cli

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// serviceState is the state directory in packaging/systemd/spate.service.
const serviceState = "/var/lib/spate"

// System returns the surroundings of this process. It starts to catch the signals that stop
// a program.
func System() Env {
	signals := make(chan os.Signal, 2)
	outlives := signal.Ignored(syscall.SIGHUP) // read it before Notify changes it
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	return Env{
		Name: strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"), Args: os.Args[1:], Environ: os.Environ(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals, OutlivesHangup: outlives, ServiceState: serviceState,
	}
}

// sameSignal is the time after a SIGTERM in which another SIGTERM counts as the same one,
// because timeout(1) sends it both to the process and to its group.
const sameSignal = 50 * time.Millisecond

// Main runs the program and returns its exit code. After a second signal it returns while
// the verb may still run, so the caller must exit.
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
			if a.started.Load() { // a verb runs
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

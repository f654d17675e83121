// Package term writes what a run of the program shows to its user: results on standard
// output; notes, warnings, logs and progress on standard error; and full screens. It
// escapes text from outside.
package term

import (
	"io"
	"log/slog"
	"strings"
	"time"
)

// Options holds the streams and the environment of a [Terminal]. All fields but Environ are
// required.
type Options struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string // KEY=value; if a key is repeated, the last value is used
	Now            func() time.Time
}

// Terminal is the interface of a run to its user. Its methods are safe for concurrent use. Set
// its fields before the first use.
type Terminal struct {
	Options
	JSON    bool // print results as JSON
	Quiet   bool // show no notes and no progress
	Verbose int  // level of the log: 0 warnings, 1 information, 2 all messages
	Log     *slog.Logger

	env     map[string]string
	console *console
	level   slog.LevelVar
}

// New returns a terminal.
func New(opt Options) *Terminal {
	t := &Terminal{Options: opt, env: map[string]string{}}
	for _, kv := range opt.Environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			t.env[k] = v
		}
	}
	t.console = newConsole(opt.Stderr, t.env["TERM"])
	t.Log = slog.New(newLogHandler(t.console, &t.level))
	return t
}

// Getenv returns the value of an environment variable, or "".
func (t *Terminal) Getenv(name string) string { return t.env[name] }

// LookupEnv returns the value of an environment variable and whether it is set.
func (t *Terminal) LookupEnv(name string) (value string, ok bool) {
	value, ok = t.env[name]
	return value, ok
}

// SetLevel applies Quiet and Verbose to the log.
func (t *Terminal) SetLevel() {
	switch {
	case t.Quiet:
		t.level.Set(slog.LevelError)
	case t.Verbose == 0:
		t.level.Set(slog.LevelWarn)
	case t.Verbose == 1:
		t.level.Set(slog.LevelInfo)
	default:
		t.level.Set(slog.LevelDebug)
	}
}

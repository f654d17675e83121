package daemon

import (
	"log/slog"
	"time"
)

// testEnv returns an Env that discards all output.
func testEnv() *Env {
	ignore := func(string, ...any) {}
	return &Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Getenv: func(string) string { return "" }, Notef: ignore, Warnf: ignore}
}

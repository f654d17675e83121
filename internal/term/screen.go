package term

import (
	"context"
	"os"
	"time"

	xterm "golang.org/x/term"

	"spate/internal/tui"
)

// HasScreen reports whether a full screen is possible: standard input and output are a terminal
// that can move its cursor.
func (t *Terminal) HasScreen() bool {
	terminal := func(v any) bool {
		f, ok := v.(*os.File)
		return ok && xterm.IsTerminal(int(f.Fd()))
	}
	if name := t.env["TERM"]; name == "dumb" || name == "" && t.env["WT_SESSION"] == "" && os.PathSeparator == '/' {
		return false
	}
	return terminal(t.Stdin) && terminal(t.Stdout)
}

// Screen shows the torrents of src until the user quits, which is not an error, or ctx ends. It
// reads src at intervals of every; 0 is the default of package tui. Lines for standard error go
// to the log view of the screen, and results are written once the screen is closed.
func (t *Terminal) Screen(ctx context.Context, title string, src tui.Source, every time.Duration) error {
	log := &tui.Log{}
	t.console.redirect(log)
	err := tui.Run(ctx, src, tui.Options{
		Title: title, Input: t.Stdin, Output: t.Stdout, Environ: t.Environ, Every: every, Log: log, Now: t.Now,
	})
	t.console.redirect(nil)
	if _, werr := t.Stdout.Write(t.console.takeKept()); err == nil {
		err = werr
	}
	return err
}

package term

import (
	"context"
	"io"
	"os"

	xterm "golang.org/x/term"

	"spate/internal/fault"
)

// StdoutIsTerminal reports whether standard output is a terminal.
func (t *Terminal) StdoutIsTerminal() bool {
	f, ok := t.Stdout.(*os.File)
	return ok && xterm.IsTerminal(int(f.Fd()))
}

// StdoutWidth returns the number of columns of the terminal on standard output, or 0 if standard
// output is no terminal.
func (t *Terminal) StdoutWidth() int {
	f, ok := t.Stdout.(*os.File)
	if !ok {
		return 0
	}
	w, _, err := xterm.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return w
}

// AskPassword writes a prompt and reads a line without echo. It returns an error with the
// setting "password-file" if standard input is not a terminal.
func (t *Terminal) AskPassword(ctx context.Context, prompt string) (string, error) {
	in, ok := t.Stdin.(*os.File)
	if !ok || !xterm.IsTerminal(int(in.Fd())) {
		return "", fault.WithSetting(fault.Usagef("a password is needed, but there is no terminal to ask for it"), "password-file")
	}
	before, err := xterm.GetState(int(in.Fd()))
	if err != nil {
		return "", err
	}
	io.WriteString(t.console, prompt)
	defer io.WriteString(t.console, "\n")
	type typed struct {
		line []byte
		err  error
	}
	done := make(chan typed, 1)
	go func() {
		line, err := xterm.ReadPassword(int(in.Fd()))
		done <- typed{line, err}
	}()
	select {
	case p := <-done:
		return string(p.line), p.err
	case <-ctx.Done():
		xterm.Restore(int(in.Fd()), before)
		return "", context.Cause(ctx)
	}
}

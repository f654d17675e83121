package term

import (
	"bufio"
	"context"
	"io"
	"os"
	"strings"

	xterm "golang.org/x/term"
)

// CanAsk reports whether standard input and standard error are a terminal, so that the user can
// answer a question.
func (t *Terminal) CanAsk() bool {
	f, ok := t.Stdin.(*os.File)
	return ok && xterm.IsTerminal(int(f.Fd())) && t.console.tty != nil
}

// Confirm writes a question and reports whether the user answers yes. Any other answer, and the end
// of the input, mean no.
func (t *Terminal) Confirm(ctx context.Context, question string) (bool, error) {
	io.WriteString(t.console, question+" [y/N] ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(t.Stdin).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		line = strings.ToLower(strings.TrimSpace(line))
		return line == "y" || line == "yes", nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

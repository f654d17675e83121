package term

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"

	"spate/internal/termsafe"
)

// Printf writes a result to standard output. It escapes all control characters but newlines and
// tabs: pass names from outside through [termsafe.Line].
func (t *Terminal) Printf(format string, args ...any) error {
	return t.Print(termsafe.Text(fmt.Sprintf(format, args...)))
}

// Print writes a result to standard output unchanged. The caller escapes it.
func (t *Terminal) Print(text string) error {
	t.console.clearBar() // standard output and standard error may be the same terminal
	if t.console.keep(text) {
		return nil
	}
	_, err := io.WriteString(t.Stdout, text)
	return err
}

// PrintJSON writes v as one line of JSON to standard output.
func (t *Terminal) PrintJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	t.console.clearBar()
	_, err := t.Stdout.Write(escapeJSON(b.Bytes()))
	return err
}

// escapeJSON replaces the unsafe characters that encoding/json does not escape by \u escapes
// (RFC 8259, section 7). The value stays the same.
func escapeJSON(line []byte) []byte {
	if bytes.IndexFunc(line, func(r rune) bool { return r != '\n' && termsafe.Unsafe(r) }) < 0 {
		return line
	}
	var out []byte
	for rest := line; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == '\n' || !termsafe.Unsafe(r):
			out = append(out, rest[:n]...)
		case r <= 0xffff:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
		rest = rest[n:]
	}
	return out
}

// Notef writes a note to standard error, unless Quiet is set.
func (t *Terminal) Notef(format string, args ...any) {
	if !t.Quiet {
		t.console.line(termsafe.Line(fmt.Sprintf(format, args...)))
	}
}

// Warnf writes a warning to standard error: an operation has failed, and the program continues.
func (t *Terminal) Warnf(format string, args ...any) {
	t.console.line("spate: " + termsafe.Line(fmt.Sprintf(format, args...)))
}

// Line writes a line to standard error unchanged. The caller escapes it.
func (t *Terminal) Line(s string) { t.console.line(s) }

// Stderr returns a writer for whole lines or a prompt on standard error.
func (t *Terminal) Stderr() io.Writer { return t.console }

// SetBar replaces the bar at the bottom of the terminal by s. It does nothing without a
// terminal or with Quiet.
func (t *Terminal) SetBar(s string) {
	if !t.Quiet {
		t.console.setBar(s)
	}
}

// ClearBar removes the bar.
func (t *Terminal) ClearBar() { t.console.clearBar() }

// HasBar reports whether standard error is a terminal, which can show a bar.
func (t *Terminal) HasBar() bool { return t.console.tty != nil }

// OutputFiles returns the state of standard output and standard error if they are regular
// files. The run writes to these files, so they cannot be data that it reads.
func (t *Terminal) OutputFiles() (list []fs.FileInfo) {
	for _, w := range []io.Writer{t.Stdout, t.Options.Stderr} {
		if f, ok := w.(*os.File); ok {
			if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() {
				list = append(list, fi)
			}
		}
	}
	return list
}

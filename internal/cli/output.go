package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// printf writes a result to standard output. What comes from outside is made
// harmless, but a newline in it stays: pass names through [escape].
func (a *app) printf(format string, args ...any) error {
	a.console.clearBar() // they may be one terminal
	text := escapeText(fmt.Sprintf(format, args...))
	if a.console.keep(text) {
		return nil
	}
	_, err := io.WriteString(a.env.Stdout, text)
	return err
}

// printJSON writes v as one line of JSON to standard output: the result of a
// verb under --json, or one event of a stream.
func (a *app) printJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	a.console.clearBar()
	_, err := a.env.Stdout.Write(escapeJSON(b.Bytes()))
	return err
}

// escapeJSON writes the unsafe runes that encoding/json lets through as JSON's \u
// escapes (RFC 8259, section 7): the same value, and safe on a terminal.
func escapeJSON(line []byte) []byte {
	var out []byte
	for rest := line; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == '\n' || !unsafeRune(r):
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

// notef tells the person something that is no result, unless -q.
func (a *app) notef(format string, args ...any) {
	if !a.quiet {
		a.console.line(escape(fmt.Sprintf(format, args...)))
	}
}

// warnf tells the person of something that is wrong but does not stop the verb.
func (a *app) warnf(format string, args ...any) {
	a.console.line("spate: " + escape(fmt.Sprintf(format, args...)))
}

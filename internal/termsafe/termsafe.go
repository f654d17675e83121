// Package termsafe makes text from outside safe to show in a terminal: names of files
// and torrents, client names of peers, messages of trackers.
package termsafe

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"spate/internal/invisible"
)

// Line escapes all characters of s that could move the cursor, reorder the text or end
// the line, such as \x1b and \u202e, and all invisible ones, except those that join the
// parts of an emoji or of a word. Backslashes stay as they are.
func Line(s string) string {
	if plain(s, "") {
		return s
	}
	return escapeBut(s, "")
}

// Text is like [Line] but keeps newlines and tabs. Use it for text that this program
// has laid out.
func Text(s string) string {
	if plain(s, "\n\t") {
		return s
	}
	return escapeBut(s, "\n\t")
}

func plain(s, keep string) bool {
	var shown invisible.Filter
	for i, r := range s {
		if !shown.Keep(r) && !strings.ContainsRune(keep, r) || hasNoMeaning(r) || r == utf8.RuneError && badByte(s[i:]) {
			return false
		}
	}
	return true
}

func escapeBut(s, keep string) string {
	var b strings.Builder
	var shown invisible.Filter
	for i, r := range s {
		visible := shown.Keep(r) && !hasNoMeaning(r)
		switch {
		case r == utf8.RuneError && badByte(s[i:]):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case visible || strings.ContainsRune(keep, r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

func badByte(s string) bool {
	_, n := utf8.DecodeRuneInString(s)
	return n == 1
}

// Unsafe reports whether r alone is a control, bidirectional, invisible, joining or
// private-use character, or a separator that some terminals treat as the end of a line.
func Unsafe(r rune) bool { return invisible.Of(r) != invisible.Visible || hasNoMeaning(r) }

// hasNoMeaning reports whether each font shows another character for r, or none.
func hasNoMeaning(r rune) bool { return r >= 0xd800 && unicode.In(r, unicode.Co, unicode.Cs) }

// Clip shortens s to about n bytes. It cuts in the middle, because both ends of a message
// are informative.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n/2], "") + " … " + strings.ToValidUTF8(s[len(s)-n/2:], "")
}

package cli

import "spate/internal/harmless"

// escape makes a name from outside one harmless run of text.
func escape(s string) string { return harmless.Line(s) }

// escapeText is escape for text that we lay out ourselves: newlines and tabs
// stay.
func escapeText(s string) string { return harmless.Text(s) }

func unsafeRune(r rune) bool { return harmless.Unsafe(r) }

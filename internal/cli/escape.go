package cli

import "spate/internal/termsafe"

// escape makes a name from outside one harmless run of text.
func escape(s string) string { return termsafe.Line(s) }

// escapeText is escape for text that we lay out ourselves: newlines and tabs
// stay.
func escapeText(s string) string { return termsafe.Text(s) }

func unsafeRune(r rune) bool { return termsafe.Unsafe(r) }

package wire

import (
	"strings"
	"time"
	"unicode"
)

// maxText bounds, in bytes, a message from a tracker that is kept.
const maxText = 512

// defaultInterval stands for an interval that a tracker leaves out or gives as
// zero or less.
const defaultInterval = 30 * time.Minute

// maxInterval bounds what a tracker can make its clients wait.
const maxInterval = 24 * time.Hour

// seconds is n seconds, not below 0 and not above a day.
func seconds(n int64) time.Duration {
	return time.Duration(max(0, min(n, int64(maxInterval/time.Second)))) * time.Second
}

// CleanText makes text from outside harmless to show: valid UTF-8, bounded,
// without control characters, formats that hide or reorder text, and without
// surrounding space.
func CleanText(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			if unicode.IsSpace(r) {
				return ' '
			}
			return '.'
		}
		return r
	}, strings.ToValidUTF8(s, "."))
	return strings.TrimSpace(s)
}

package wire

import (
	"strings"
	"time"
	"unicode"
)

// maxText is the largest length in bytes of a message from a tracker; the rest is cut
// off.
const maxText = 512

// defaultInterval replaces an interval that a tracker omits, or that is not positive.
const defaultInterval = 30 * time.Minute

// maxInterval limits how long a tracker can make its clients wait.
const maxInterval = 24 * time.Hour

// seconds converts n to a duration from 0 to maxInterval.
func seconds(n int64) time.Duration {
	return time.Duration(max(0, min(n, int64(maxInterval/time.Second)))) * time.Second
}

// CleanText makes text from outside safe to show. It cuts s to maxText bytes, removes
// surrounding space, and replaces invalid UTF-8 and characters that do not print, which
// include those that hide or reorder text.
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

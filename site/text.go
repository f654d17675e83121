package site

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"spate/internal/invisible"
)

// display makes a name safe to display. It replaces control characters, and characters that
// are invisible or reorder text, by visible ones. It also limits the number of accents on a
// letter. It does not escape HTML.
func display(s string) string {
	var b strings.Builder
	var shown invisible.Filter
	marks := 0
	for _, c := range s {
		visible := shown.Keep(c) && !unshowable(c)
		if unicode.Is(unicode.Mn, c) || unicode.Is(unicode.Me, c) {
			marks++
			if marks > 5 {
				continue
			}
		} else {
			marks = 0
		}
		switch {
		case c < 0x20:
			b.WriteRune(0x2400 + c) // ␀ to ␟
		case c == 0x7f:
			b.WriteRune('␡')
		case !visible:
			fmt.Fprintf(&b, "‹U+%04X›", c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// unshowable reports whether a browser shows no certain character for c.
func unshowable(c rune) bool { return c == utf8.RuneError || unicode.Is(unicode.Co, c) }

// clean replaces all characters of a name that display does not show unchanged by
// underscores.
func clean(name string) string {
	var shown invisible.Filter
	return strings.Map(func(c rune) rune {
		if !shown.Keep(c) || unshowable(c) {
			return '_'
		}
		return c
	}, name)
}

// disposition returns the value of the Content-Disposition header for which a browser saves
// a file with that name (RFC 6266). It contains the name in ASCII for old browsers, and the
// complete name.
func disposition(name string) string {
	whole := strings.NewReplacer("/", "_", `\`, "_").Replace(clean(name))
	plain := strings.Map(func(c rune) rune {
		if c > 0x7e || c == '"' || c == '%' {
			return '_'
		}
		return c
	}, whole)
	v := `attachment; filename="` + plain + `"`
	if plain != whole {
		v += "; filename*=UTF-8''" + percent(whole)
	}
	return v
}

// percent percent-encodes s, except for the attribute characters of RFC 5987.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// quote returns s as one word for a POSIX shell. It replaces control characters and
// invisible ones, because users paste the line into a terminal.
func quote(s string) string {
	plain := s != "" && s[0] != '-' && !strings.ContainsFunc(s, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._/:%+=,@", c))
	})
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(clean(s), "'", `'\''`) + "'"
}

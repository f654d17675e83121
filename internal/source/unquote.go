package source

import (
	"os"
	"strings"
)

// quotes are the pairs of characters that people and programs put around a link.
var quotes = [...][2]string{{"<", ">"}, {"\"", "\""}, {"'", "'"}, {"`", "`"}, {"“", "”"}, {"‘", "’"}, {"«", "»"}}

// Unquote removes the blanks, line ends and quotes around s, which was probably pasted.
func Unquote(s string) string {
	for {
		before := s
		s = strings.TrimSpace(s)
		for _, q := range quotes {
			if inner, ok := strings.CutPrefix(s, q[0]); ok && len(inner) >= len(q[1]) && strings.HasSuffix(inner, q[1]) {
				s = strings.TrimSuffix(inner, q[1])
			}
		}
		if s == before || s == "" {
			return s
		}
	}
}

// UnquoteArg is like [Unquote] for an argument that may be the path of a file: it returns arg
// unchanged if there is such a file.
func UnquoteArg(arg string) string {
	clean := Unquote(arg)
	if clean == arg {
		return arg
	}
	if _, err := os.Lstat(arg); err == nil {
		return arg
	}
	return clean
}

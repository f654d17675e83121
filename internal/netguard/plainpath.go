package netguard

import "strings"

// PlainPath reports whether all servers interpret the escaped path of a URL in the same
// way, so that no path can evade a rule for the start of the path. It returns false for
// segments that consist of dots, and for characters that some server converts to such a
// segment or to a slash: percent-encoding, backslashes, semicolons, control characters and
// characters outside ASCII. An empty path is plain.
func PlainPath(escaped string) bool {
	if escaped == "" {
		return true
	}
	if escaped[0] != '/' {
		return false
	}
	for segment := range strings.SplitSeq(escaped[1:], "/") {
		if segment != "" && strings.Trim(segment, ".") == "" || strings.ContainsFunc(segment, notPlain) {
			return false
		}
	}
	return true
}

// notPlain reports whether servers may interpret r in different ways. It returns false for
// the characters that RFC 3986, 3.3 allows in a segment without encoding, except the
// semicolon.
func notPlain(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-._~!$&'()*+,=:@", r)
}

package netguard

import "strings"

// PlainPath reports whether every server reads an escaped path of a URL as it is
// written, so that a rule about its first part holds for the whole path. It refuses
// segments of dots alone, and whatever servers are known to turn into such a segment
// or into a slash: percent-encoding, backslashes, semicolons with what follows them,
// control characters and everything outside ASCII. An empty path is plain.
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

// notPlain reports whether r has more than one reading in a path. The others are
// what RFC 3986, 3.3 allows in a segment without encoding, except the semicolon.
func notPlain(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-._~!$&'()*+,=:@", r)
}

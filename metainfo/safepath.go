package metainfo

import (
	"runtime"
	"strings"
	"unicode/utf8"

	"spate/internal/invisible"
)

const (
	maxNameLen  = 255 // bytes of one path element on all common file systems
	maxExtLen   = 16  // bytes of an extension, including its dot, that shorten keeps
	replacement = '_'
)

// unchanged reports whether policy n keeps a path element whose characters are all
// plain.
func unchanged(part string, n Names) bool {
	return n == NamesSafe && runtime.GOOS != "windows" && part != "" && len(part) <= maxNameLen && part != "." && part != ".." &&
		(len(part) < 2 || part[1] != ':') && !isDevice(part)
}

// cleanName returns the safe form of a path element under policy n. It returns "" for
// elements that cannot be the name of a file, such as "..". If nothing has to change it
// returns part itself.
func cleanName(part string, n Names) string {
	if runtime.GOOS == "windows" && n != NamesNative {
		n = NamesWindows
	}
	if part == "" || part == "." || part == ".." {
		return ""
	}
	if n == NamesNative {
		part = replaceNative(part)
		return shorten(part)
	}
	if !plain(part) || n == NamesWindows {
		part = replaceUnsafe(part, n == NamesWindows)
	}
	if len(part) >= 2 && part[1] == ':' && isLetter(part[0]) {
		part = part[:1] + string(replacement) + part[2:]
	}
	if isDevice(part) {
		part = string(replacement) + part
	}
	part = shorten(part)
	if n == NamesWindows {
		if t := strings.TrimRight(part, ". "); t != part {
			part = t + strings.Repeat(string(replacement), len(part)-len(t))
		}
	}
	return part
}

// plain reports whether all policies except NamesWindows keep all characters of s. This
// is the case for almost all names.
func plain(s string) bool {
	odd := byte(0)
	for i := range len(s) {
		odd |= unsafeBytes[s[i]]
	}
	return odd == 0
}

// unsafeBytes is true for each byte that makes a name not plain.
var unsafeBytes = func() (t [256]byte) {
	for c := range t {
		if c >= utf8.RuneSelf || kindOf(rune(c)) != foldSame {
			t[c] = 1
		}
	}
	return t
}()

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// replaceNative replaces the characters that no file name on this system may contain.
func replaceNative(s string) string {
	windows := runtime.GOOS == "windows"
	bad := func(c byte) bool {
		return c == 0 || c == '/' || windows && (c < 0x20 || strings.IndexByte(`\<>:"|?*`, c) >= 0)
	}
	for i := range len(s) {
		if bad(s[i]) {
			b := []byte(s)
			for k := range b {
				if bad(b[k]) {
					b[k] = replacement
				}
			}
			return string(b)
		}
	}
	return s
}

// replaceUnsafe replaces unsafe characters and invalid UTF-8.
func replaceUnsafe(s string, windows bool) string {
	var buf [maxNameLen]byte
	b := buf[:0]
	done := 0 // number of bytes of s that are copied to b or replaced
	var shown invisible.Filter
	for i, size := 0, 0; i < len(s); i += size {
		r := rune(s[i])
		size = 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		invalid := r == utf8.RuneError && size == 1
		if !shown.Keep(r) || isSeparator(r) || windows && forbiddenOnWindows(r) || invalid {
			b = append(append(b, s[done:i]...), replacement)
			done = i + size
		}
	}
	if done == 0 {
		return s
	}
	return string(append(b, s[done:]...))
}

func isSeparator(r rune) bool { return r == '/' || r == '\\' }

func forbiddenOnWindows(r rune) bool {
	return r < utf8.RuneSelf && strings.IndexByte(`<>:"|?*`, byte(r)) >= 0
}

// kindOf returns how the key of a name treats r, apart from its case and composition.
// cleanName always replaces characters of kind foldUnsafe, and replaces those of kind
// foldJoiner if they have no effect on the character before.
func kindOf(r rune) foldEntry {
	class := invisible.Of(r)
	switch {
	case class == invisible.Unsafe, isSeparator(r):
		return foldUnsafe
	case class != invisible.Visible:
		return foldJoiner
	}
	return foldSame
}

// isDevice reports whether s is the name of a device on Windows, with any extension.
func isDevice(s string) bool {
	if len(s) < 3 || strings.IndexByte("cnapl", s[0]|0x20) < 0 {
		return false
	}
	stem, _, _ := strings.Cut(s, ".")
	stem = strings.TrimRight(stem, " ")
	port := ""
	switch len(stem) {
	case 3:
		return isOneOf(stem, "CON", "PRN", "AUX", "NUL")
	case 4, 5: // COM1, or COM and a superscript digit, which has two bytes
		stem, port = stem[:3], stem[3:]
		return isOneOf(stem, "COM", "LPT") && (len(port) == 1 && port[0]-'0' <= 9 || isOneOf(port, "¹", "²", "³"))
	case 6, 7:
		return isOneOf(stem, "CONIN$", "CONOUT$")
	}
	return false
}

func isOneOf(s string, list ...string) bool {
	for _, t := range list {
		if strings.EqualFold(s, t) {
			return true
		}
	}
	return false
}

// shorten cuts s to at most maxNameLen bytes without splitting a character. It keeps a
// short extension.
func shorten(s string) string {
	if len(s) <= maxNameLen {
		return s
	}
	stem, ext := splitExt(s)
	return cut(stem, maxNameLen-len(ext)) + ext
}

// splitExt splits off an extension of at most maxExtLen bytes.
func splitExt(s string) (stem, ext string) {
	if k := strings.LastIndexByte(s, '.'); k > 0 && len(s)-k <= maxExtLen {
		return s[:k], s[k:]
	}
	return s, ""
}

// cut returns at most n bytes of s without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for k := n; k > n-utf8.UTFMax && k > 0; k-- {
		if utf8.RuneStart(s[k]) {
			return s[:k]
		}
	}
	return s[:n] // invalid UTF-8
}

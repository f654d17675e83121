package source

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"unicode/utf8"

	"spate/internal/fault"
	"spate/internal/termsafe"
	"spate/internal/torrentfile"
	"spate/internal/units"
)

// hasScheme reports whether s begins with a scheme, in upper or lower case, and a colon.
func hasScheme(s, scheme string) bool {
	before, _, ok := strings.Cut(s, ":")
	return ok && strings.EqualFold(before, scheme)
}

// lineBreak is a line break in a link, with the blanks that a mail program adds.
var lineBreak = regexp.MustCompile(`[ \t]*[\r\n]+[ \t]*|\t`)

// isLinkScheme reports whether s begins with the scheme of a magnet link or an http(s) URL.
func isLinkScheme(s string) bool {
	return hasScheme(s, "magnet") || hasScheme(s, "http") || hasScheme(s, "https")
}

// linkIn returns s without line breaks if it is a magnet link or an http(s) URL, otherwise "".
// Several links on a line each are an error.
func linkIn(s string) (string, error) {
	if !isLinkScheme(s) {
		return "", nil
	}
	n := 0
	for line := range strings.Lines(s) {
		if isLinkScheme(Unquote(line)) {
			n++
		}
	}
	if n > 1 {
		return "", fault.UsageHint("write each as an argument", "%s: one SOURCE is needed, but these are %s", termsafe.Clip(s, 70), units.Plural(n, "link"))
	}
	return lineBreak.ReplaceAllString(s, ""), nil
}

// maxLink is the maximum size of a file that holds a link, in bytes.
const maxLink = 64 << 10

// linkInText returns the magnet link, the http(s) URL or the info-hash that is all of b, or "".
func linkInText(b []byte) (string, error) {
	if len(b) > maxLink || torrentfile.LooksLikeTorrent(b) || !utf8.Valid(b) {
		return "", nil
	}
	s := Unquote(strings.TrimPrefix(string(b), "\ufeff"))
	if magnetOfHash(s) != "" {
		return s, nil
	}
	return linkIn(s)
}

// FilePath returns the path of a file in an argument: the path in a file: URL, or arg itself. A
// URL of a file on another machine is a usage error.
func FilePath(arg string) (string, error) {
	if !hasScheme(arg, "file") {
		return arg, nil
	}
	if _, err := os.Lstat(arg); err == nil {
		return arg, nil
	}
	bad := func(why string) (string, error) {
		return "", fault.UsageHint("write file:///PATH, or the path itself", "%s: %s", arg, why)
	}
	u, err := url.Parse(arg)
	if err != nil {
		return bad("the URL is not valid")
	}
	path := u.Path
	windows := runtime.GOOS == "windows"
	switch {
	case u.Opaque != "" || path == "" || strings.Contains(path, "\x00"):
		return bad("the URL has no path")
	case u.Host != "" && !strings.EqualFold(u.Host, "localhost") && windows:
		path = "//" + u.Host + path
	case u.Host != "" && !strings.EqualFold(u.Host, "localhost"):
		return bad("the file is on another machine")
	case windows && len(path) > 2 && path[2] == ':':
		path = path[1:] // /C:/dir
	}
	return filepath.FromSlash(path), nil
}

// LocalPath returns the path in arg, a path or a file: URL, for a verb that takes no other kind
// of SOURCE. It ignores blanks and quotes around arg. takes begins the error about another
// kind, such as "spate edit changes a .torrent file", and hint says what to do.
func LocalPath(arg, takes, hint string) (string, error) {
	arg = UnquoteArg(arg)
	if _, err := os.Lstat(arg); err == nil {
		return arg, nil
	}
	not := ""
	switch {
	case arg == "-":
		not = "standard input"
	case hasScheme(arg, "file"):
	case IsLink(arg):
		not = "a link or an info-hash: " + termsafe.Clip(arg, 70)
	}
	if not != "" {
		return "", fault.UsageHint(hint, "%s, not %s", takes, not)
	}
	return FilePath(arg)
}

// DataPath returns the path of the file or directory in arg, for a verb that makes torrents.
func DataPath(verb, arg string) (string, error) {
	clean := UnquoteArg(arg)
	if !isURL(clean) && !hasScheme(clean, "magnet") {
		return arg, nil
	}
	return LocalPath(clean, verb+" takes a file or a directory", "spate get downloads the data of a link")
}

// isURL reports whether s begins with the scheme of a URL and two slashes, or with file:.
func isURL(s string) bool {
	_, rest, _ := strings.Cut(s, ":")
	return strings.HasPrefix(rest, "//") || hasScheme(s, "file")
}

// IsLink reports whether arg is a URL, a magnet link or an info-hash.
func IsLink(arg string) bool {
	_, rest, _ := strings.Cut(arg, ":")
	return hasScheme(arg, "magnet") && rest != "" || isURL(arg) || magnetOfHash(arg) != ""
}

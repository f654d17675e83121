package weburl

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// ASCIIURL returns the URL s with A-labels instead of U-labels in its host (RFC 5890), because
// many clients resolve only names in ASCII. The rest of s stays as it is, byte for byte. It
// returns an error if s has no host, or a host that nobody can resolve or only this machine (an
// IPv6 zone). Everything that writes a URL of a user into a torrent or a link calls it.
func ASCIIURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return "", errors.New("it is not a URL with a host")
	case strings.HasPrefix(u.Host, ":"):
		return "", errors.New("it has no host")
	}
	host, err := asciiHost(u.Hostname(), strings.HasPrefix(u.Host, "["))
	if err != nil || !hasUnicode(u.Host) {
		return s, err
	}
	scheme, rest, _ := strings.Cut(s, "//")
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	user := authority[:strings.LastIndexByte(authority, '@')+1]
	if port := strings.LastIndexByte(authority, ':'); port >= len(user) {
		host += authority[port:]
	}
	return scheme + "//" + user + host + path, nil
}

// ASCIIOrSame returns [ASCIIURL] of s, or s if that fails. It is for URLs of existing torrents
// and links, which are kept even if nobody can use them.
func ASCIIOrSame(s string) string {
	if ascii, err := ASCIIURL(s); err == nil {
		return ascii
	}
	return s
}

// ASCIITiers returns a copy of tiers of tracker URLs with [ASCIIOrSame] of each URL.
func ASCIITiers(tiers [][]string) (out [][]string) {
	for _, tier := range tiers {
		var ascii []string
		for _, s := range tier {
			ascii = append(ascii, ASCIIOrSame(s))
		}
		out = append(out, ascii)
	}
	return out
}

// ASCIIHostPort is like [ASCIIURL] for an address HOST:PORT.
func ASCIIHostPort(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return "", errors.New("it is not HOST:PORT")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("the port %q is not between 1 and 65535", port)
	}
	ascii, err := asciiHost(host, strings.HasPrefix(s, "["))
	if err != nil || !hasUnicode(host) {
		return s, err
	}
	return ascii + ":" + port, nil
}

// asciiHost returns the name with A-labels instead of U-labels, or an error if it is neither a
// domain name nor an address that other machines can use.
func asciiHost(name string, bracketed bool) (string, error) {
	if _, err := hostName(name, bracketed); err != nil || bracketed || !hasUnicode(name) {
		return name, err
	}
	return ASCIIName(name)
}

func hasUnicode(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c > unicode.MaxASCII })
}

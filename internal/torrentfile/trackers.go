package torrentfile

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"spate/internal/fault"
	"spate/internal/units"
	"spate/internal/weburl"
	"spate/metainfo"
)

// ParseTiers parses tracker URLs: each value is a tier, in which commas separate the URLs. It
// returns them in the form of [TrackerURL]. Errors contain what, the name of the values, such as
// "--announce".
func ParseTiers(what string, values []string) ([][]string, error) {
	var all [][]string
	for _, v := range values {
		var tier []string
		for _, u := range strings.Split(v, ",") {
			if u = strings.TrimSpace(u); u == "" {
				return nil, fault.UsageHint("write the URLs of a tier with single commas between them", "%s %q has an empty URL", what, v)
			}
			u, err := TrackerURL(what, u)
			if err != nil {
				return nil, err
			}
			tier = append(tier, u)
		}
		all = append(all, tier)
	}
	return all, nil
}

// Tiers returns tiers with each URL in the form of [TrackerURL].
func Tiers(what string, tiers [][]string) (_ [][]string, err error) {
	out := make([][]string, len(tiers))
	for i, tier := range tiers {
		for _, s := range tier {
			if s, err = TrackerURL(what, s); err != nil {
				return nil, err
			}
			out[i] = append(out[i], s)
		}
	}
	return out, nil
}

// TrackerURL returns the URL s of a tracker in the form of [URL].
func TrackerURL(what, s string) (string, error) {
	return URL(what, s, "http", "https", "udp", "ws", "wss")
}

// Self is the value of a web seed that stands for the URL of the publisher itself.
const Self = "self"

// WebSeedsOrSelf is like [WebSeeds], but keeps [Self].
func WebSeedsOrSelf(what string, list []string) (out []string, err error) {
	for _, s := range list {
		urls := []string{Self}
		if s != Self {
			if urls, err = WebSeeds(what, []string{s}); err != nil {
				return nil, err
			}
		}
		out = append(out, urls...)
	}
	return out, nil
}

// WebSeeds returns the URLs of web seeds in the form of [URL]. It returns an error for [Self].
func WebSeeds(what string, list []string) (out []string, err error) {
	for _, s := range list {
		if s == Self {
			return nil, fault.UsageHint("write the URL that has the data", "%s self is only for spate publish and spate serve, which have a URL of their own", what)
		}
		if s, err = URL(what, s, "http", "https", "ftp"); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// HostPorts returns the addresses HOST:PORT in the form of [weburl.ASCIIHostPort].
func HostPorts(what string, list []string) (out []string, err error) {
	for _, s := range list {
		ascii, err := weburl.ASCIIHostPort(s)
		if err != nil {
			return nil, fault.UsageHint("write HOST:PORT, such as peer.example.org:6881 or [2001:db8::1]:6881", "%s %s: %w", what, s, err)
		}
		out = append(out, ascii)
	}
	return out, nil
}

// URL returns s as a torrent or a link contains it, which is the form of [weburl.ASCIIURL]. It
// returns an error if s is not a URL with a host and one of the schemes. The error contains
// what, the name of the value, such as "--web-seed".
func URL(what, s string, schemes ...string) (string, error) {
	if err := checkURL(what, s, schemes); err != nil {
		return "", err
	}
	ascii, err := weburl.ASCIIURL(s)
	if err != nil {
		return "", fault.UsageHint("write the host as a domain name or an IP address that other machines can reach", "%s %s: %w", what, s, err)
	}
	return ascii, nil
}

// checkURL returns a usage error if s is not a URL with a host and one of the schemes.
func checkURL(what, s string, schemes []string) error {
	u, err := url.Parse(s)
	switch {
	case len(s) > metainfo.MaxURL:
		return fault.UsageHint(fmt.Sprintf("clients ignore a URL of more than %s", units.Plural(metainfo.MaxURL, "byte")), "%s has a URL of %s", what, units.Plural(len(s), "byte"))
	case err != nil || u.Hostname() == "" || !slices.Contains(schemes, strings.ToLower(u.Scheme)):
		return fault.UsageHint(fmt.Sprintf("write a URL that begins with %s:// and has a host", strings.Join(schemes, "://, ")), "%s %s is not a valid URL", what, s)
	case strings.ContainsFunc(s, unicode.IsSpace):
		return fault.UsageHint("write a blank in a URL as %20", "%s %s has a blank", what, s)
	case u.Port() != "" || strings.HasSuffix(u.Host, ":"):
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
			return fault.UsageHint("ports are numbers from 1 to 65535", "%s %s has an invalid port", what, s)
		}
	case strings.EqualFold(u.Scheme, "udp"):
		return fault.UsageHint("write udp://HOST:PORT", "%s %s has no port, and udp has no default port", what, s)
	}
	return nil
}

// CheckText returns an error if clients would cut off the end of a text in a .torrent. The error
// contains what, the name of the value, such as "--comment".
func CheckText(what, s string) error {
	if len(s) <= metainfo.MaxText {
		return nil
	}
	return fault.UsageHint(fmt.Sprintf("clients read only %s", units.Plural(metainfo.MaxText, "byte")), "%s has %s", what, units.Plural(len(s), "byte"))
}

package torrentfile

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"spate/internal/fault"
	"spate/metainfo"
)

// ParseTiers parses tracker URLs: each value is a tier, in which commas separate the URLs.
// Errors contain what, the name of the values, such as "--announce".
func ParseTiers(what string, values []string) ([][]string, error) {
	var all [][]string
	for _, v := range values {
		var tier []string
		for _, u := range strings.Split(v, ",") {
			if u = strings.TrimSpace(u); u == "" {
				return nil, fault.UsageHint("write the URLs of a tier with single commas between them", "%s %q has an empty URL", what, v)
			}
			if err := CheckTracker(what, u); err != nil {
				return nil, err
			}
			tier = append(tier, u)
		}
		all = append(all, tier)
	}
	return all, nil
}

// CheckTracker returns an error if s is not the URL of a tracker.
func CheckTracker(what, s string) error {
	return CheckURL(what, s, "http", "https", "udp", "ws", "wss")
}

// CheckURL returns an error if s is not a URL with a host and one of the schemes. The error
// contains what, the name of the value, such as "--web-seed".
func CheckURL(what, s string, schemes ...string) error {
	u, err := url.Parse(s)
	switch {
	case len(s) > metainfo.MaxURL:
		return fault.UsageHint(fmt.Sprintf("clients ignore a URL of more than %d bytes", metainfo.MaxURL), "%s has a URL of %d bytes", what, len(s))
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
	return fault.UsageHint(fmt.Sprintf("clients read only %d bytes", metainfo.MaxText), "%s has %d bytes", what, len(s))
}

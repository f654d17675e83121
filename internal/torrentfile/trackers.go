package torrentfile

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"spate/internal/fault"
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
	if err != nil || u.Host == "" || !slices.Contains(schemes, strings.ToLower(u.Scheme)) {
		return fault.UsageHint(fmt.Sprintf("write a URL that begins with %s:// and has a host", strings.Join(schemes, "://, ")), "%s %s is not a valid URL", what, s)
	}
	return nil
}

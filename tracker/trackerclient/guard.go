package trackerclient

import (
	"errors"
	"net/url"
	"strings"

	"spate/internal/netguard"
)

// ErrForbiddenAddress is the cause of every [AddressError]: the URL of a tracker leads
// to an address that is not allowed.
var ErrForbiddenAddress = netguard.ErrForbidden

// AddressError is returned for an address that the client refuses to connect to.
type AddressError = netguard.AddressError

// reachOf returns which addresses a request may connect to for a URL from a torrent or
// from a redirect.
func reachOf(u *url.URL) netguard.Reach {
	if trackerPath(u.EscapedPath()) || u.Scheme == "udp" && (u.Path == "" || u.Path == "/") {
		return netguard.ToMachine
	}
	return netguard.ToPrivate
}

// trackerPath reports whether a tracker on this machine may be contacted at an escaped
// path. Other paths are refused so that a torrent cannot make the client send requests
// to other services. A path that servers may read in several ways is refused too.
func trackerPath(path string) bool {
	if !netguard.PlainPath(path) {
		return false
	}
	for _, p := range [...]string{"/announce", "/scrape"} {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

// explainAddress returns the [*AddressError] in the chain of err, or nil if there is
// none. An error about this machine states the rule of [trackerPath].
func explainAddress(err error) error {
	var e *AddressError
	if !errors.As(err, &e) {
		return nil
	}
	if netguard.KindOf(e.Addr) == netguard.Loopback {
		return &AddressError{Addr: e.Addr, Reason: "trackers on this machine are contacted only at the path /announce, and not after a redirect from another machine"}
	}
	return e
}

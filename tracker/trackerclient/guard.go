package trackerclient

import (
	"errors"
	"net/url"
	"strings"

	"spate/internal/netguard"
)

// ErrForbiddenAddress is the cause of every [AddressError]: a tracker's URL leads to
// an address that is not asked.
var ErrForbiddenAddress = netguard.ErrForbidden

// AddressError says which address was refused and why.
type AddressError = netguard.AddressError

// reachOf returns how far the request of a URL from a torrent, or from a tracker that
// redirects, may go.
func reachOf(u *url.URL) netguard.Reach {
	if trackerPath(u.EscapedPath()) || u.Scheme == "udp" && (u.Path == "" || u.Path == "/") {
		return netguard.ToMachine
	}
	return netguard.ToPrivate
}

// trackerPath reports whether an escaped path is one at which a tracker on this machine
// may be asked, so that a torrent cannot make us poke at other services there. What
// servers may read as another path is not.
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

// explainAddress makes err the [*AddressError] in its chain, nil if there is none. One
// about this machine tells the rule of [trackerPath].
func explainAddress(err error) error {
	var e *AddressError
	if !errors.As(err, &e) {
		return nil
	}
	if netguard.KindOf(e.Addr) == netguard.Loopback {
		return &AddressError{Addr: e.Addr, Reason: "a tracker on this machine is only asked at the path /announce, and never because another tracker said so"}
	}
	return e
}

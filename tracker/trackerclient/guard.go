package trackerclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"spate/internal/netguard"
)

// reach is the range of addresses that a request may connect to. A redirect or a host
// name must not lead a request from a public address to a local one.
type reach netguard.Reach

const (
	reachPublic = reach(netguard.Public)  // public addresses only
	reachLAN    = reach(netguard.LAN)     // also private networks
	reachAll    = reach(netguard.Machine) // also this machine
	reachCount  = reachAll + 1
)

// ErrForbiddenAddress is wrapped by [AddressError].
var ErrForbiddenAddress = errors.New("address is not allowed")

// AddressError is returned for an address that the client refuses to connect to.
type AddressError struct {
	Addr   netip.Addr
	Reason string
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%v: %v: %s", e.Addr, ErrForbiddenAddress, e.Reason)
}

// Unwrap makes errors.Is(err, ErrForbiddenAddress) hold.
func (e *AddressError) Unwrap() error { return ErrForbiddenAddress }

// reachOf returns the smallest reach that contains a, or an error if none does.
func reachOf(a netip.Addr) (reach, error) {
	r, err := netguard.Of(a)
	return reach(r), addressError(err)
}

// check returns an error unless a is within r.
func (r reach) check(a netip.Addr) error {
	need, err := reachOf(a)
	if err == nil && need == reachAll && r != reachAll {
		return &AddressError{a, "trackers on this machine are contacted only at the paths /announce and /scrape, and not after a redirect from another machine"}
	}
	if err != nil {
		return err
	}
	return addressError(netguard.Reach(r).Check(a))
}

// addressError converts an error of package netguard to one of this package.
func addressError(err error) error {
	var e *netguard.AddressError
	if errors.As(err, &e) {
		return &AddressError{e.Addr, e.Reason}
	}
	return err
}

// trackerPath reports whether a tracker on this machine may be contacted at path. Other
// paths are refused so that a torrent cannot make the client send requests to other
// services.
func trackerPath(path string) bool {
	for _, p := range [...]string{"/announce", "/scrape"} {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

// control is a [net.Dialer.ControlContext] function that enforces r. It gets the
// address that is connected to, after name resolution.
func (r reach) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dialled address %q: %w", address, err)
	}
	return r.check(ap.Addr())
}

// checkLiteral enforces r if address, which a custom dial function gets, is an IP
// address. The custom function is responsible for host names.
func (r reach) checkLiteral(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return r.check(a)
	}
	return nil
}

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

// reach says how far from the public internet a request may go. What starts at a
// public address must not be led to a local one by a redirect or a name.
type reach netguard.Reach

const (
	reachPublic = reach(netguard.Public)  // public addresses only
	reachLAN    = reach(netguard.LAN)     // and private networks
	reachAll    = reach(netguard.Machine) // and this machine
	reachCount  = reachAll + 1
)

// ErrForbiddenAddress is the error for an address that a tracker's URL must not
// lead to: see [AddressError].
var ErrForbiddenAddress = errors.New("address is not allowed")

// AddressError says which address was refused and why.
type AddressError struct {
	Addr   netip.Addr
	Reason string
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%v: %v: %s", e.Addr, ErrForbiddenAddress, e.Reason)
}

// Unwrap makes errors.Is(err, ErrForbiddenAddress) hold.
func (e *AddressError) Unwrap() error { return ErrForbiddenAddress }

// reachOf returns the least reach that contains a, or an error when none does.
func reachOf(a netip.Addr) (reach, error) {
	r, err := netguard.Of(a)
	return reach(r), addressError(err)
}

// check returns an error unless a lies within r.
func (r reach) check(a netip.Addr) error {
	need, err := reachOf(a)
	if err == nil && need == reachAll && r != reachAll {
		return &AddressError{a, "a tracker on this machine is only asked at the path /announce, and never because another tracker said so"}
	}
	if err != nil {
		return err
	}
	return addressError(netguard.Reach(r).Check(a))
}

// addressError makes the guard's error this package's.
func addressError(err error) error {
	var e *netguard.AddressError
	if errors.As(err, &e) {
		return &AddressError{e.Addr, e.Reason}
	}
	return err
}

// trackerPath reports whether path is one at which a tracker on this machine may
// be asked, so that a torrent cannot make us poke at other services there.
func trackerPath(path string) bool {
	for _, p := range [...]string{"/announce", "/scrape"} {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

// control is a [net.Dialer.Control] that keeps to r: it sees the address that is
// really dialled, after any name was resolved.
func (r reach) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dialled address %q: %w", address, err)
	}
	return r.check(ap.Addr())
}

// checkLiteral keeps to r for an address that a caller's own dial function will
// be given: names in it are that function's to resolve and to judge.
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

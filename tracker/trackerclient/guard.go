package trackerclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// reach says how far from the public internet a request may go. What starts at a
// public address must not be led to a local one by a redirect or a name.
type reach uint8

const (
	reachPublic reach = iota // public addresses only
	reachLAN                 // and private networks
	reachAll                 // and this machine
	reachCount
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

// carrierNAT is shared by carriers and their customers (RFC 6598): as local as
// a private network.
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// metadataAddrs are where clouds hand credentials to whoever asks from inside;
// the IPv4 one that most use is link-local and refused as such.
var metadataAddrs = [...]netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("168.63.129.16"),
}

// nat64 carries IPv4 addresses inside IPv6 ones (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// sixToFour does so too (RFC 3056).
var sixToFour = netip.MustParsePrefix("2002::/16")

// embedded returns the IPv4 address that a carries in one of the ways that
// routers unpack, or a itself.
func embedded(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

// reachOf returns the least reach that contains a, or an error when none does.
func reachOf(a netip.Addr) (reach, error) {
	a = embedded(a)
	for _, m := range metadataAddrs {
		if a == m {
			return 0, &AddressError{a, "it is a cloud's metadata service"}
		}
	}
	switch {
	case !a.IsValid() || a.IsUnspecified() || a.Is4() && a.As4()[0] == 0:
		return 0, &AddressError{a, "it is not the address of a machine"}
	case a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return 0, &AddressError{a, "it is not the address of one machine"}
	case a.IsLinkLocalUnicast() && a.Is4():
		return 0, &AddressError{a, "it is link-local, where clouds keep their metadata service"}
	case a.IsLoopback():
		return reachAll, nil
	case a.IsPrivate() || a.IsLinkLocalUnicast() || carrierNAT.Contains(a):
		return reachLAN, nil
	}
	return reachPublic, nil
}

// check returns an error unless a lies within r.
func (r reach) check(a netip.Addr) error {
	need, err := reachOf(a)
	switch {
	case err != nil:
		return err
	case need <= r:
		return nil
	case need == reachAll:
		return &AddressError{a, "a tracker on this machine is only asked at the path /announce, and never because another tracker said so"}
	}
	return &AddressError{a, "a public address redirected to a local one"}
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

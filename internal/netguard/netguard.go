// Package netguard says where requests may go that somebody else asked for:
// whoever wrote a .torrent chose the URLs of its trackers and web seeds, and
// whoever runs one of those chose where it redirects to.
package netguard

import (
	"errors"
	"fmt"
	"net/netip"
)

// Reach says how near to this machine a request may go.
type Reach uint8

// From the strictest to the most liberal; each contains those before it.
const (
	Public  Reach = iota // public addresses only
	LAN                  // and private networks
	Machine              // and this machine
)

// ErrForbidden is the error for an address that a URL must not lead to: see
// [AddressError].
var ErrForbidden = errors.New("address is not allowed")

// AddressError says which address was refused and why.
type AddressError struct {
	Addr   netip.Addr
	Reason string
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%v: %v: %s", e.Addr, ErrForbidden, e.Reason)
}

// Unwrap makes errors.Is(err, ErrForbidden) hold.
func (e *AddressError) Unwrap() error { return ErrForbidden }

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

// Of returns the strictest Reach that contains a, or an [*AddressError] when none
// does: no request is ever sent to the metadata service of a cloud, nor to what
// is not the address of one machine.
func Of(a netip.Addr) (Reach, error) {
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
		return Machine, nil
	case a.IsPrivate() || a.IsLinkLocalUnicast() || carrierNAT.Contains(a):
		return LAN, nil
	}
	return Public, nil
}

// Check returns an [*AddressError] unless a lies within r.
func (r Reach) Check(a netip.Addr) error {
	need, err := Of(a)
	switch {
	case err != nil:
		return err
	case need <= r:
		return nil
	case need == Machine:
		return &AddressError{a, "it is this machine, which nobody else may have us ask"}
	}
	return &AddressError{a, "a public address led to a local one"}
}

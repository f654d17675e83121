// Package netguard decides which addresses requests may go to when somebody else
// chose their URL: the author of a .torrent, a magnet link or a page, or a server
// that answered with a redirect.
//
// Addresses have a [Kind] (kind.go holds the table), a request has a [Reach], and a
// [Dialer] refuses what lies outside of it before it sends a packet. A [Client] asks
// web servers through such a dialer and follows redirects only as far as the
// connection that answered allows.
package netguard

import (
	"errors"
	"fmt"
	"net/netip"
)

// Reach is a set of kinds of addresses that a request may go to.
type Reach uint8

// The sets that callers begin with. [Metadata] and [Nowhere] are in none of them.
const (
	// ToPublic allows public addresses.
	ToPublic Reach = 1 << Public
	// ToPrivate allows private networks too.
	ToPrivate = ToPublic | 1<<Private
	// ToMachine allows this machine too.
	ToMachine = ToPrivate | 1<<Loopback
	// ToChosen is for a URL that the user typed: it also allows link-local addresses
	// and the unspecified one.
	ToChosen = ToMachine | 1<<LinkLocal | 1<<Unspecified
)

// From returns the addresses that the server at a may lead to by a redirect or a
// link: nothing nearer to this machine than itself. A server whose address is not
// known counts as public.
func From(a netip.Addr) Reach {
	switch KindOf(a) {
	case Private:
		return ToPrivate
	case LinkLocal:
		return ToPrivate | 1<<LinkLocal
	case Loopback:
		return ToChosen
	}
	return ToPublic
}

// Check returns an [*AddressError] unless r allows a.
func (r Reach) Check(a netip.Addr) error {
	kind, what := classify(a)
	switch {
	case kind == Metadata || kind == Nowhere:
		return &AddressError{a, "it is " + what}
	case r&(1<<kind) == 0:
		return &AddressError{a, "it is " + what + ", which this URL may not lead to"}
	}
	return nil
}

// ErrForbidden is the cause of every [*AddressError].
var ErrForbidden = errors.New("address is not allowed")

// AddressError says which address a request was kept from, and why.
type AddressError struct {
	Addr   netip.Addr
	Reason string
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%v: %v: %s", e.Addr, ErrForbidden, e.Reason)
}

// Unwrap makes errors.Is(err, ErrForbidden) hold.
func (e *AddressError) Unwrap() error { return ErrForbidden }

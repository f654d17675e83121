// Package netguard makes connections to URLs from untrusted sources: the author of a
// .torrent, a magnet link or a page, or a server that sent a redirect. It prevents such a
// URL from reaching services of this machine or of the local network.
//
// Each address has a [Kind] (addresskind.go contains the table), and each request a [Reach], the
// set of kinds that it may go to. A [Dialer] checks the address before it sends the first
// packet. A [Client] sends HTTP requests through a dialer, and narrows the reach of each
// redirect to that of the server that sent it.
package netguard

import (
	"errors"
	"fmt"
	"net/netip"
)

// Reach is a set of kinds of addresses that a request may go to.
type Reach uint8

// The reaches that callers start from. None contains [Metadata] and [Nowhere].
const (
	// ToPublic allows public addresses.
	ToPublic Reach = 1 << Public
	// ToPrivate allows public addresses and private networks.
	ToPrivate = ToPublic | 1<<Private
	// ToMachine allows public addresses, private networks and this machine.
	ToMachine = ToPrivate | 1<<Loopback
	// ToChosen is the reach of a URL that the user typed. It also allows link-local
	// addresses and the unspecified address.
	ToChosen = ToMachine | 1<<LinkLocal | 1<<Unspecified
)

// From returns the reach of a redirect or a link that the server at address a sent. The
// redirect may not lead nearer to this machine than a is. An invalid a is treated as
// public.
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

// Check returns an [*AddressError] if r does not allow a.
func (r Reach) Check(a netip.Addr) error {
	kind, description := classify(a)
	switch {
	case kind == Metadata || kind == Nowhere:
		return &AddressError{a, "it is " + description}
	case r&(1<<kind) == 0:
		return &AddressError{a, "it is " + description + ", which this URL may not reach"}
	}
	return nil
}

// ErrForbidden is the cause of every [*AddressError].
var ErrForbidden = errors.New("address is not allowed")

// AddressError reports an address that a request may not go to.
type AddressError struct {
	Addr   netip.Addr
	Reason string // the reason, such as "it is a multicast address"
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%v: %v: %s", e.Addr, ErrForbidden, e.Reason)
}

// Unwrap returns [ErrForbidden].
func (e *AddressError) Unwrap() error { return ErrForbidden }

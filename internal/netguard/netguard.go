// Package netguard makes connections to URLs from untrusted sources: the author of a
// .torrent, a magnet link or a page, or a server that sent a redirect. It prevents such a
// URL from reaching services of this machine or of the local network.
//
// Each address has a [Kind] (addresskind.go contains the table), and each request a [Reach], the
// set of kinds that it may go to. A [Dialer] checks the address before it sends the first
// packet. A [Client] sends HTTP requests through a dialer, and narrows the reach of each
// redirect to that of the server that sent it. own.go finds the addresses of this machine's
// interfaces, port.go lists the ports of other services.
package netguard

import (
	"errors"
	"fmt"
	"net/netip"
)

// Reach is a set of kinds of addresses that a request may go to.
type Reach uint16

// Permissions in a reach beside the kinds of addresses.
const (
	// toOwn allows the addresses of this machine's interfaces, if their kind is allowed.
	toOwn Reach = 1 << (15 - iota)
	// anyPort allows the ports of other services.
	anyPort
)

// The reaches that callers start from. None contains [Metadata] and [Nowhere].
const (
	// ToPublic allows public addresses, among them those of this machine's interfaces.
	ToPublic Reach = 1<<Public | toOwn
	// ToPrivate allows public addresses and private networks.
	ToPrivate = ToPublic | 1<<Private
	// ToMachine allows public addresses, private networks and this machine.
	ToMachine = ToPrivate | 1<<Loopback
	// ToChosen is the reach of a URL that the user typed. It also allows link-local
	// addresses, the unspecified address and the ports of all services.
	ToChosen = ToMachine | 1<<LinkLocal | 1<<Unspecified | anyPort
)

// From returns the reach that the server at address a can give to a redirect, a link or the
// address of a peer. These may not lead nearer to this machine than a is. An invalid a is
// treated as public. The reach of a request is the intersection with its former reach.
func From(a netip.Addr) Reach {
	const public = 1 << Public
	switch KindOf(a) {
	case Private:
		return public | 1<<Private
	case LinkLocal:
		return public | 1<<Private | 1<<LinkLocal
	case Loopback:
		return ToChosen
	}
	return public
}

// Check returns an [*AddressError] if r does not allow a.
func (r Reach) Check(a netip.Addr) error {
	kind, description := classify(a)
	switch {
	case kind == Metadata || kind == Nowhere:
		return &AddressError{Addr: a, Reason: "it is " + description}
	case r&(1<<kind) == 0:
		return &AddressError{Addr: a, Reason: "it is " + description + ", which this URL may not reach"}
	}
	return nil
}

// ErrForbidden is the cause of every [*AddressError].
var ErrForbidden = errors.New("address is not allowed")

// AddressError reports an address that a request may not go to.
type AddressError struct {
	Addr   netip.Addr
	Host   string // the host of the URL, if it is not an address and was not resolved
	Reason string // the reason, such as "it is a multicast address"
}

func (e *AddressError) Error() string {
	host := e.Host
	if e.Addr.IsValid() {
		host = e.Addr.String()
	}
	return fmt.Sprintf("%s: %v: %s", host, ErrForbidden, e.Reason)
}

// Unwrap returns [ErrForbidden].
func (e *AddressError) Unwrap() error { return ErrForbidden }

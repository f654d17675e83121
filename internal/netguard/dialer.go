package netguard

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Dialer connects within a reach. The zero value uses package net. It does not change
// after its first use.
type Dialer struct {
	// Dial takes the place of package net when it is not nil. It is given "IP:PORT",
	// after the name was resolved, and the connection counts as one to that IP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// DialsNames has Dial resolve names itself and answer for where they lead. A
	// connection to a name then counts as one to a public address.
	DialsNames bool
	// LocalAddr is the address that connections come from; not valid: any. Dial
	// ignores it.
	LocalAddr netip.Addr
	// OnlyLoopback keeps to this machine: other addresses are refused, and names other
	// than localhost are not looked up.
	OnlyLoopback bool
	// Resolver looks names up; nil: [net.DefaultResolver].
	Resolver *net.Resolver
	// Timeout bounds the connect: in all, or with Dial to each address of a name. 0: no
	// bound.
	Timeout time.Duration
}

// maxAddrs is the number of addresses of one name that are tried with a Dial of the
// caller's.
const maxAddrs = 4

// DialContext connects to address "host:port" within a reach. network is "tcp" or
// "udp", with a 4 or 6 behind it to confine it to a family. No packet goes to an
// address that is refused, and the error is then an [*AddressError] in a
// [*net.OpError].
func (d *Dialer) DialContext(ctx context.Context, within Reach, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	_, err = netip.ParseAddr(host)
	name := err != nil
	if name && d.OnlyLoopback && !strings.EqualFold(host, "localhost") {
		return nil, fmt.Errorf("%s: bound to %v, which asks no name server", host, d.LocalAddr)
	}
	switch {
	case d.Dial == nil:
		return d.standard(within, network).DialContext(ctx, network, address)
	case name && d.DialsNames:
		conn, err := d.Dial(ctx, network, address)
		return reached(conn, netip.Addr{}, err)
	}
	return d.dialAddrs(ctx, within, network, address)
}

// standard returns the dialer of package net that keeps to a reach: its Control sees each
// address that is dialled, after the name was resolved.
func (d *Dialer) standard(within Reach, network string) *net.Dialer {
	nd := &net.Dialer{
		Timeout: d.Timeout, Resolver: d.Resolver,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("dialled address %q: %w", address, err)
			}
			return d.check(within, ap.Addr())
		},
	}
	if a := d.LocalAddr; a.IsValid() {
		if strings.HasPrefix(network, "udp") {
			nd.LocalAddr = &net.UDPAddr{IP: a.AsSlice(), Zone: a.Zone()}
		} else {
			nd.LocalAddr = &net.TCPAddr{IP: a.AsSlice(), Zone: a.Zone()}
		}
	}
	return nd
}

// check returns an [*AddressError] unless a may be dialled.
func (d *Dialer) check(within Reach, a netip.Addr) error {
	if d.OnlyLoopback && !a.Unmap().IsLoopback() {
		return &AddressError{a, "bound to a loopback address"}
	}
	return within.Check(a)
}

// dialAddrs has Dial connect to the first address of a host that is allowed and
// answers. The error of an address that does not answer counts before that of one
// that is not allowed.
func (d *Dialer) dialAddrs(ctx context.Context, within Reach, network, address string) (net.Conn, error) {
	host, port, _ := net.SplitHostPort(address)
	addrs, err := d.resolve(ctx, network, host)
	if err != nil {
		return nil, err
	}
	var refused, failed error
	for _, a := range addrs {
		a = a.Unmap()
		if err := d.check(within, a); err != nil {
			refused = &net.OpError{Op: "dial", Net: network, Err: err}
			continue
		}
		dctx, cancel := ctx, context.CancelFunc(func() {})
		if d.Timeout > 0 {
			dctx, cancel = context.WithTimeout(ctx, d.Timeout)
		}
		conn, err := d.Dial(dctx, network, net.JoinHostPort(a.String(), port))
		cancel()
		if err == nil {
			return reached(conn, a, nil)
		}
		failed = err
		if ctx.Err() != nil {
			break
		}
	}
	if failed != nil {
		return nil, failed
	}
	return nil, refused
}

// resolve returns the addresses of a host, at least one and at most maxAddrs.
func (d *Dialer) resolve(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	family := "ip" + network[len("tcp"):]
	if a := d.LocalAddr; a.IsValid() {
		family = "ip6"
		if a.Unmap().Is4() {
			family = "ip4"
		}
	}
	r := d.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	addrs, err := r.LookupNetIP(ctx, family, host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs[:min(len(addrs), maxAddrs)], nil
}

// dialled is a connection of the caller's Dial with the address that it was asked
// for: what such a connection tells of its other end may be a proxy.
type dialled struct {
	net.Conn
	at netip.Addr // not valid: a name
}

func reached(conn net.Conn, at netip.Addr, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return &dialled{conn, at}, nil
}

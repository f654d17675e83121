package netguard

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"spate/internal/proxy"
)

// Dialer connects to addresses within a reach. The zero value uses package net. Do not
// change a Dialer after its first use.
type Dialer struct {
	// Dial makes the connections if it is not nil; otherwise package net does. Dialer
	// resolves names and passes "IP:PORT" to Dial. The connection is then treated as one to
	// that IP, even if Dial connects to a proxy.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// DialsNames passes names to Dial unresolved. Dial must then check their addresses. A
	// connection to a name is treated as one to a public address.
	DialsNames bool
	// LocalAddr is the local address of connections that package net makes. The zero Addr
	// lets the system choose.
	LocalAddr netip.Addr
	// OnlyLoopback refuses addresses outside loopback and names for which [LocalHost] is
	// false.
	OnlyLoopback bool
	// Resolver resolves names. Nil means [net.DefaultResolver].
	Resolver *net.Resolver
	// Timeout bounds the time of DialContext without Dial, or of each call of Dial. 0 means
	// no bound. Connections through a proxy have the bound of package proxy.
	Timeout time.Duration
	// Proxy chooses the proxies of connections. Nil means that all are direct. A connection through a
	// proxy resolves no names here and ignores Dial, OnlyLoopback and Resolver; LocalAddr is then the local
	// address of the connection to the proxy.
	Proxy proxy.Chooser

	interfaces func() ([]net.Addr, error) // replaces net.InterfaceAddrs in tests
}

// maxAddrs bounds the addresses of one name that dialAddrs tries.
const maxAddrs = 4

// DialContext connects to address "host:port" within a reach. network is "tcp" or "udp",
// followed by 4 or 6 to allow only that family. If all addresses are refused, DialContext
// sends no packet and returns an [*AddressError] in a [*net.OpError]. It asks Proxy for the proxy of a
// URL with the scheme "tcp" or "udp".
func (d *Dialer) DialContext(ctx context.Context, within Reach, network, address string) (net.Conn, error) {
	via, err := d.via(&url.URL{Scheme: network[:len("tcp")], Host: address})
	switch {
	case err != nil:
		return nil, err
	case via != nil:
		return d.dialVia(ctx, via, within, network, address)
	}
	return d.dialDirect(ctx, within, network, address)
}

// dialDirect is DialContext without a proxy.
func (d *Dialer) dialDirect(ctx context.Context, within Reach, network, address string) (net.Conn, error) {
	host, port, err := splitHostPort(address)
	if err != nil {
		return nil, err
	}
	if err = CheckHost(host); err == nil {
		err = within.checkPort(network, host, port)
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	_, err = netip.ParseAddr(host)
	name := err != nil
	if name && d.OnlyLoopback && !LocalHost(host) {
		return nil, fmt.Errorf("%s: cannot resolve names while bound to %v", host, d.LocalAddr)
	}
	if name && LocalHost(host) {
		host = "localhost" // resolvers ask other machines for localhost. and names below localhost
	}
	switch {
	case d.Dial == nil:
		return d.standard(within, network).DialContext(ctx, network, net.JoinHostPort(host, strconv.Itoa(int(port))))
	case name && d.DialsNames:
		conn, err := d.Dial(ctx, network, address)
		return reached(conn, netip.Addr{}, err)
	}
	return d.dialAddrs(ctx, within, network, host, port)
}

// splitHostPort splits "host:port".
func splitHostPort(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, &net.AddrError{Err: "invalid port", Addr: address}
	}
	return host, uint16(n), nil
}

// standard returns a dialer of package net for a reach. Its ControlContext checks each
// address after the name is resolved and before the first packet.
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

// CheckAddr returns an [*AddressError] if the dialer must not send a packet to an address within a
// reach, for callers that send from a socket of their own.
func (d *Dialer) CheckAddr(within Reach, to netip.AddrPort) error {
	if err := within.checkPort("udp", to.Addr().String(), to.Port()); err != nil {
		return err
	}
	return d.check(within, to.Addr())
}

// check returns an [*AddressError] if a is not allowed.
func (d *Dialer) check(within Reach, a netip.Addr) error {
	if d.OnlyLoopback && !a.Unmap().IsLoopback() {
		return &AddressError{Addr: a, Reason: "bound to a loopback address"}
	}
	if err := within.Check(a); err != nil {
		return err
	}
	switch d.placeOf(a) {
	case broadcast:
		return &AddressError{Addr: a, Reason: "it is the broadcast address of a network of this machine"}
	case own:
		if within&toOwn == 0 {
			return &AddressError{Addr: a, Reason: "it is an address of this machine, which this URL may not reach"}
		}
	}
	return nil
}

// dialAddrs resolves the host and calls Dial for each allowed address until one call
// succeeds. If none does, it returns the error of a failed call, or the error of a refused
// address if there was no call.
func (d *Dialer) dialAddrs(ctx context.Context, within Reach, network, host string, port uint16) (net.Conn, error) {
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
		conn, err := d.Dial(dctx, network, netip.AddrPortFrom(a, port).String())
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

// resolve returns one to maxAddrs addresses of a host.
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

// dialled is a connection of Dialer.Dial with the address that was passed to Dial, because
// RemoteAddr of the connection may return a proxy.
type dialled struct {
	net.Conn
	at netip.Addr // not valid if Dial resolved the name
}

// reached returns conn with its address, or err.
func reached(conn net.Conn, at netip.Addr, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return &dialled{conn, at}, nil
}

package netguard

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"spate/internal/proxy"
)

// localZones are the ends of names that mean a host of the local network: RFC 6762, 8375, and those that
// home routers use.
var localZones = []string{"local", "localdomain", "home.arpa", "internal", "lan", "home", "corp", "intranet", "private"}

// localName reports whether a name of a host means this machine or a host of the local network. A proxy would
// look for it in its own network.
func localName(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return LocalHost(host) || !strings.Contains(name, ".") || slices.ContainsFunc(localZones, func(zone string) bool { return strings.HasSuffix(name, "."+zone) })
}

// via returns the proxy for connections to a URL, or nil.
func (d *Dialer) via(u *url.URL) (*url.URL, error) {
	if d.Proxy == nil {
		return nil, nil
	}
	return d.Proxy(u)
}

// checkProxied returns an [*AddressError] if a request within a reach may not go to a host through a proxy. It
// judges what the URL says and resolves no name: the proxy does, and public names that lead to private
// addresses are its business. Local names are refused unless the user typed the URL.
func checkProxied(within Reach, network, host string, port uint16) error {
	if err := CheckHost(host); err != nil {
		return err
	}
	if err := within.checkPort(network, host, port); err != nil {
		return err
	}
	a, err := netip.ParseAddr(host)
	switch {
	case err == nil:
		return within.Check(a)
	case localName(host) && within&anyPort == 0:
		return &AddressError{Host: host, Reason: "it is a local name, which this URL may not name to a proxy"}
	}
	return nil
}

// dialVia connects to address through a proxy.
func (d *Dialer) dialVia(ctx context.Context, via *url.URL, within Reach, network, address string) (net.Conn, error) {
	if strings.HasPrefix(network, "udp") {
		return nil, &proxy.Error{Proxy: proxy.Show(via), Kind: proxy.NoWay, To: address, Err: proxy.ErrUDP}
	}
	host, port, err := splitHostPort(address)
	if err != nil {
		return nil, err
	}
	if err := checkProxied(within, network, host, port); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	conn, err := proxy.Dial(ctx, via, d.LocalAddr, address)
	if err != nil {
		return nil, err
	}
	return reached(conn, literal(host), nil)
}

// DialURL connects to address, the host of u, within a reach, through the proxy for u if there is one.
func (d *Dialer) DialURL(ctx context.Context, within Reach, u *url.URL, network, address string) (net.Conn, error) {
	via, err := d.via(u)
	switch {
	case err != nil:
		return nil, err
	case via != nil:
		return d.dialVia(ctx, via, within, network, address)
	}
	return d.dialDirect(ctx, within, network, address)
}

// literal returns the address that host is, or the zero Addr for a name.
func literal(host string) netip.Addr {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// forwards reports whether the proxy gets a request itself, instead of a tunnel to the host: an HTTP proxy
// may refuse to make tunnels to the port of plain HTTP.
func forwards(via, u *url.URL) bool { return via != nil && via.Scheme == "http" && u.Scheme == "http" }

// throughProxy makes the requests of a transport go through a proxy.
func (c *Client) throughProxy(t *http.Transport, within Reach, via *url.URL, forward bool) {
	if !forward {
		t.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
			return asWeb(c.opt.Dialer.dialVia(ctx, via, within, c.opt.Network, address))
		}
		return
	}
	t.Proxy = http.ProxyURL(via)
	t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := proxy.Connect(ctx, via, c.opt.Dialer.LocalAddr)
		if err != nil {
			return nil, err
		}
		return &webConn{Conn: conn}, nil
	}
}

// asWeb wraps a connection, or returns err.
func asWeb(conn net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return &webConn{Conn: conn}, nil
}

// urlPort returns the port of a URL.
func urlPort(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// checkForwarded is [checkProxied] for a request that a proxy gets itself.
func checkForwarded(within Reach, u *url.URL) error {
	_, port, err := splitHostPort(net.JoinHostPort(u.Hostname(), urlPort(u)))
	if err == nil {
		err = checkProxied(within, "tcp", u.Hostname(), port)
	}
	if err != nil {
		return &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	return nil
}

// refusedByProxy returns the error for an answer that a proxy gave in place of the server, or nil.
func refusedByProxy(via *url.URL, resp *http.Response) error {
	if resp.StatusCode != http.StatusProxyAuthRequired {
		return nil
	}
	resp.Body.Close()
	return proxy.Refused(via)
}

package proxy

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// Chooser returns the proxy for connections to a URL, or nil for a direct connection. The schemes are
// those of URLs, and tcp and udp for connections that belong to none. It is safe for concurrent use.
// A nil Chooser means that all connections are direct.
type Chooser = func(to *url.URL) (via *url.URL, err error)

// Outgoing says which connections of the process go through which proxy. A nil *Outgoing means that all
// connections are direct.
type Outgoing struct {
	all *url.URL
	web Chooser
}

// All returns an Outgoing for which every connection goes through the proxy at via, or does not exist.
func All(via *url.URL) *Outgoing { return &Outgoing{all: via} }

// Environment returns an Outgoing for which requests to web servers go through the proxies that the
// variables http_proxy, https_proxy, all_proxy and no_proxy name, in lower or upper case. Other connections are
// direct, and so are those to this machine. It returns nil if the variables name none.
func Environment(getenv func(string) string) *Outgoing {
	get := func(name string) string {
		if v := strings.TrimSpace(getenv(name)); v != "" {
			return v
		}
		return strings.TrimSpace(getenv(strings.ToUpper(name)))
	}
	all := get("all_proxy")
	c := httpproxy.Config{HTTPProxy: cmp.Or(get("http_proxy"), all), HTTPSProxy: cmp.Or(get("https_proxy"), all), NoProxy: get("no_proxy")}
	if c.HTTPProxy == "" && c.HTTPSProxy == "" || c.NoProxy == "*" {
		return nil
	}
	type result struct {
		via *url.URL
		err error
	}
	found := map[string]result{}
	for scheme, value := range map[string]*string{"http": &c.HTTPProxy, "https": &c.HTTPSProxy} {
		if *value == "" {
			continue
		}
		if !Is(*value) {
			*value = "http://" + *value
		}
		via, err := Parse(*value)
		if err != nil {
			err = fmt.Errorf("the proxy for %s of the environment cannot be used: %w", scheme, err)
		}
		found[scheme] = result{via, err}
		*value = "http://proxy.invalid" // httpproxy decides only whether a proxy is used
	}
	choose := c.ProxyFunc()
	return &Outgoing{web: func(to *url.URL) (*url.URL, error) {
		u := *to
		switch u.Scheme {
		case "ws":
			u.Scheme = "http"
		case "wss":
			u.Scheme = "https"
		}
		if via, err := choose(&u); via == nil || err != nil {
			return nil, err
		}
		r := found[u.Scheme]
		return r.via, r.err
	}}
}

// Only returns the proxy through which everything goes, or nil.
func (o *Outgoing) Only() *url.URL {
	if o == nil {
		return nil
	}
	return o.all
}

// Chooser returns the proxies for connections, or nil if all are direct.
func (o *Outgoing) Chooser() Chooser {
	switch {
	case o == nil:
		return nil
	case o.all != nil:
		return func(*url.URL) (*url.URL, error) { return o.all, nil }
	}
	return o.web
}

// Transport returns a transport of net/http whose connections go as o says. It is for URLs that
// the user or the program chose.
func (o *Outgoing) Transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = o.ForRequest
	return t
}

// ForRequest returns the proxy for a request, as the field Proxy of http.Transport does.
func (o *Outgoing) ForRequest(r *http.Request) (*url.URL, error) {
	choose := o.Chooser()
	if choose == nil {
		return nil, nil
	}
	return choose(r.URL)
}

// NoNames returns a resolver that asks no name server. It knows the names in the hosts file of the
// system only.
func NoNames() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, ErrNames }}
}

// Peers makes the connections to peers through one proxy. It implements torrent.Network. It never
// listens.
type Peers struct {
	Via   *url.URL
	Local netip.Addr // the local address of connections to the proxy; not valid: any
}

// Listen returns an error, because nobody can connect through the proxy.
func (p Peers) Listen(_ context.Context, network, address string) (net.Listener, error) {
	return nil, &Error{Proxy: Show(p.Via), Kind: NoWay, To: address, Err: fmt.Errorf("incoming connections (%s) do not come through the proxy", network)}
}

// DialContext connects to a peer.
func (p Peers) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var cause error
	switch {
	case !strings.HasPrefix(network, "tcp"):
		cause = ErrUDP
	case p.Via.Scheme == "http":
		cause = ErrPeers
	}
	if cause != nil {
		return nil, &Error{Proxy: Show(p.Via), Kind: NoWay, To: address, Err: cause}
	}
	nc, err := Dial(ctx, p.Via, p.Local, address)
	if err != nil {
		return nil, err
	}
	return nc, nil
}

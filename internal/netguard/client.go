package netguard

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"sync"
)

// Client sends GET requests to web servers within a reach and follows their redirects.
// It is safe for concurrent use.
//
// Client follows a redirect to an http or https URL, but not from https to http. The reach
// of the next request is narrowed by [From] of the connection's address. Client sends the
// user name and password of a URL only to the host of that URL, and uses no proxies.
type Client struct {
	opt ClientOptions

	mu         sync.Mutex
	transports map[Reach]*http.Transport // guarded by mu
}

// maxRedirectBody is the longest body of a redirect that Get reads so that the connection
// can be used again. Get closes the connection if the body is longer.
const maxRedirectBody = 2 << 10

// ClientOptions are the settings of a [Client]. The zero value is usable.
type ClientOptions struct {
	// Dialer makes the connections.
	Dialer Dialer
	// Network is "tcp", "tcp4" or "tcp6". The empty string means "tcp".
	Network string
	// Transport returns a new transport with limits and TLS settings. Client calls it once
	// for each reach, and replaces the dial functions and the proxy. Nil means the defaults
	// of package http.
	Transport func() *http.Transport
	// MaxRedirects bounds the redirects of one request.
	MaxRedirects int
	// Within limits the reach of a redirect by its URL. Nil means no limit beyond that of
	// the server that sent the redirect.
	Within func(next *url.URL) Reach
}

// NewClient returns a client. Close it after use.
func NewClient(opt ClientOptions) *Client {
	if opt.Network == "" {
		opt.Network = "tcp"
	}
	if opt.Transport == nil {
		opt.Transport = func() *http.Transport { return &http.Transport{} }
	}
	return &Client{opt: opt, transports: map[Reach]*http.Transport{}}
}

// Close closes the idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}

// transport returns the transport for requests with that reach. Each reach has its own
// transport, so that a request never uses a connection to an address outside its reach.
func (c *Client) transport(within Reach) *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.transports[within]
	if t == nil {
		t = c.opt.Transport()
		t.Proxy, t.DialTLSContext = nil, nil
		t.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
			return c.opt.Dialer.DialContext(ctx, within, c.opt.Network, address)
		}
		c.transports[within] = t
	}
	return t
}

// Answer is the response after all redirects.
type Answer struct {
	*http.Response
	// Reach is the reach of links in the response.
	Reach Reach
}

// RedirectError reports a redirect that was not followed.
type RedirectError struct {
	Status int
	Reason string
}

func (e *RedirectError) Error() string { return e.Reason }

// Get sends req, a GET request, within a reach and follows redirects. It takes credentials
// from the URL and ignores an Authorization header. The caller closes the body of the
// answer. Every error is a [*url.Error] with the failed URL without its password. Its cause
// is an [*AddressError], a [*RedirectError], or an error of the connection.
func (c *Client) Get(req *http.Request, within Reach) (*Answer, error) {
	for hop := 0; ; hop++ {
		resp, at, err := c.roundTrip(req, within)
		if err != nil {
			return nil, failed(req.URL, err)
		}
		within &= From(at)
		next, err := location(resp, req.URL)
		if err == nil && next == nil {
			return &Answer{resp, within}, nil
		}
		if n := resp.ContentLength; n >= 0 && n <= maxRedirectBody {
			io.Copy(io.Discard, resp.Body)
		}
		resp.Body.Close()
		if err == nil && hop == c.opt.MaxRedirects {
			err = &RedirectError{resp.StatusCode, fmt.Sprintf("more than %d redirects", hop)}
		}
		if err != nil {
			return nil, failed(req.URL, err)
		}
		if c.opt.Within != nil {
			within &= c.opt.Within(next)
		}
		req = req.Clone(req.Context())
		req.URL, req.Host = next, ""
	}
}

// failed returns the error of Get for the URL u.
func failed(u *url.URL, err error) error {
	return &url.Error{Op: "Get", URL: u.Redacted(), Err: err}
}

// roundTrip sends one request and returns the response and the server's address. The address
// is not valid if [Dialer.Dial] resolved the name.
func (c *Client) roundTrip(req *http.Request, within Reach) (*http.Response, netip.Addr, error) {
	if err := checkURL(req.URL); err != nil {
		return nil, netip.Addr{}, err
	}
	var at netip.Addr
	req = req.Clone(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { at = remoteAddr(info.Conn) }, // a retry overwrites the address
	}))
	req.Header.Del("Authorization")
	if u := req.URL.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	resp, err := c.transport(within).RoundTrip(req)
	return resp, at, err
}

// remoteAddr returns the server's address of a connection that package http got from a
// [Dialer], with or without TLS.
func remoteAddr(conn net.Conn) netip.Addr {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if d, ok := conn.(*dialled); ok {
		return d.at
	}
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

var errNotHTTP = errors.New("not an http or https URL of a host")

// checkURL returns an error if u is not an http or https URL with a host.
func checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errNotHTTP
	}
	return nil
}

// location returns the URL that resp redirects to, or nil if resp is not a redirect. It
// keeps the user name and password only if the new URL has the same scheme and host.
func location(resp *http.Response, from *url.URL) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	refuse := func(reason string) (*url.URL, error) {
		return nil, &RedirectError{resp.StatusCode, reason}
	}
	text := resp.Header.Get("Location")
	if text == "" {
		return refuse("redirect without a Location")
	}
	next, err := from.Parse(text)
	switch {
	case err != nil:
		return refuse("redirect to an invalid URL")
	case checkURL(next) != nil:
		return refuse("redirect to a URL that is " + errNotHTTP.Error())
	case from.Scheme == "https" && next.Scheme == "http":
		return refuse("redirect from https to http")
	}
	next.User, next.Fragment, next.RawFragment = nil, "", ""
	if next.Scheme == from.Scheme && next.Host == from.Host {
		next.User = from.User
	}
	return next, nil
}

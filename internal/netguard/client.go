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
// A redirect is followed to http and https, not from https to http, and only as far as
// [From] allows for the address of the connection that it came over. Names and
// passwords of a URL are sent to its own host only. Proxies are not used.
type Client struct {
	opt ClientOptions

	mu         sync.Mutex
	transports map[Reach]*http.Transport // guarded by mu
}

// maxRedirectBody bounds the body of a redirect that is read, so that its connection can
// be used again; for a longer one the connection is closed.
const maxRedirectBody = 2 << 10

// ClientOptions are the settings of a [Client]. The zero value is good.
type ClientOptions struct {
	// Dialer makes the connections.
	Dialer Dialer
	// Network is "tcp", "tcp4" or "tcp6"; "": "tcp".
	Network string
	// Transport makes a transport with the limits and the TLS settings, several times;
	// its dial functions and its proxy do not count. Nil: those of package http.
	Transport func() *http.Transport
	// MaxRedirects bounds the redirects of one request.
	MaxRedirects int
	// Within returns how far a redirect to next may lead for what next says; nil: as
	// far as the server that sent it.
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

// Close closes the connections that are not in use.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}

// transport returns the transport of requests that may go as far as within. Each
// reach has its own, so that a connection that one request was allowed to make is
// never used by another to which it would be forbidden.
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

// Answer is the answer to the last of a chain of requests: it is not a redirect.
type Answer struct {
	*http.Response
	// Reach is how far the links of this answer may lead.
	Reach Reach
}

// RedirectError says why a redirect was not followed.
type RedirectError struct {
	Status int
	Reason string
}

func (e *RedirectError) Error() string { return e.Reason }

// Get sends req, a GET request without credentials of its own, to a server within a
// reach, and follows redirects. The caller closes the body. Every error is a
// [*url.Error] with the URL that failed, without its password; its cause is an
// [*AddressError], a [*RedirectError], or what went wrong with the connection.
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
			err = &RedirectError{resp.StatusCode, fmt.Sprintf("redirected more than %d times", hop)}
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

func failed(u *url.URL, err error) error {
	return &url.Error{Op: "Get", URL: u.Redacted(), Err: err}
}

// roundTrip asks once, and returns the answer and the address of the connection that
// it came over; a name that a Dial of the caller's resolved has none.
func (c *Client) roundTrip(req *http.Request, within Reach) (*http.Response, netip.Addr, error) {
	if err := checkURL(req.URL); err != nil {
		return nil, netip.Addr{}, err
	}
	var at netip.Addr
	req = req.Clone(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { at = remoteAddr(info.Conn) }, // the last one counts
	}))
	req.Header.Del("Authorization")
	if u := req.URL.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	resp, err := c.transport(within).RoundTrip(req)
	return resp, at, err
}

// remoteAddr returns the address of the other end of a connection that a [Dialer]
// made, as it is used by package http.
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

func checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errNotHTTP
	}
	return nil
}

// location returns where resp sends the request on, nil if it does not. The name and
// the password stay behind unless the next URL is of the same origin.
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
		return refuse("redirected to nowhere")
	}
	next, err := from.Parse(text)
	switch {
	case err != nil:
		return refuse("redirected to what is not a URL")
	case checkURL(next) != nil:
		return refuse("redirected to what is " + errNotHTTP.Error())
	case from.Scheme == "https" && next.Scheme == "http":
		return refuse("redirected from https to http")
	}
	next.User, next.Fragment, next.RawFragment = nil, "", ""
	if next.Scheme == from.Scheme && next.Host == from.Host {
		next.User = from.User
	}
	return next, nil
}

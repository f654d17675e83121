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
	"sync/atomic"
	"syscall"
	"time"

	"spate/internal/sockerr"
	"spate/internal/units"
)

// Client sends GET and HEAD requests to web servers within a reach and follows their redirects.
// It is safe for concurrent use.
//
// Client follows up to [MaxRedirects] redirects to http and https URLs. It follows one from
// https to http only if ClientOptions.Checked is set. The reach of the next request is
// narrowed by [From] of the connection's address. A redirect keeps the headers of the
// request, such as Range. Client sends the user name and password of a URL only to the host
// of that URL. The dialer's Proxy chooses the proxy of each request; HTTP proxies get requests for http URLs
// themselves.
type Client struct {
	opt ClientOptions

	mu         sync.Mutex
	transports map[route]*http.Transport // guarded by mu
}

// route is what requests have in common that may use one connection.
type route struct {
	within  Reach
	via     string // the URL of the proxy; "": none
	forward bool   // see forwards
}

// MaxRedirects bounds the redirects of one request.
const MaxRedirects = 8

// maxRedirectWait is the longest time that Get waits before a redirect because the server
// asks for it with Retry-After.
const maxRedirectWait = 10 * time.Second

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
	// for each reach and proxy, and replaces the dial functions and the proxy. Nil means the defaults
	// of package http.
	Transport func() *http.Transport
	// Checked says that a hash, which does not come from the server, checks all data. Redirects
	// from https to http are then followed.
	Checked bool
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
	return &Client{opt: opt, transports: map[route]*http.Transport{}}
}

// Close closes the idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}

// transport returns the transport for requests with that reach, through the proxy at via if it is not nil. Each
// reach has its own transport, so that a request never uses a connection to an address outside its reach.
func (c *Client) transport(within Reach, via *url.URL, forward bool) *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := route{within: within, forward: forward}
	if via != nil {
		key.via = via.String()
	}
	t := c.transports[key]
	if t == nil {
		t = c.opt.Transport()
		t.Proxy, t.DialTLSContext = nil, nil
		if via != nil {
			c.throughProxy(t, within, via, forward)
		} else {
			t.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
				return asWeb(c.opt.Dialer.dialDirect(ctx, within, c.opt.Network, address))
			}
		}
		c.transports[key] = t
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
	// Magnet is the magnet link that the server redirects to, or "".
	Magnet string
	// Reach is the reach of links in Magnet.
	Reach Reach
	// RetryAfter is how long the server asks the client to wait before it follows the
	// redirect, if this is too long to wait for. Otherwise it is 0.
	RetryAfter time.Duration
}

// ConnectError reports that no connection to the server could be made: its name has no
// address, or the TCP connection or the TLS handshake failed.
type ConnectError struct{ Err error }

func (e *ConnectError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ConnectError) Unwrap() error { return e.Err }

func (e *RedirectError) Error() string { return e.Reason }

// Get sends req, a GET or HEAD request, within a reach and follows redirects. It takes credentials
// from the URL and ignores an Authorization header. The caller closes the body of the
// answer. Every error is a [*url.Error] with the failed URL without its password. Its
// cause is a [*ConnectError], which may contain an [*AddressError], a [*RedirectError], or
// an error of the connection. It is [io.EOF] or [io.ErrUnexpectedEOF] if the server ended the
// connection before or inside the header of its answer.
func (c *Client) Get(req *http.Request, within Reach) (*Answer, error) {
	seen := map[string]bool{}
	for hop := 0; ; hop++ {
		seen[req.URL.String()] = true
		resp, at, err := c.roundTrip(req, within)
		if err != nil {
			return nil, failed(req.URL, err)
		}
		within &= c.opt.Dialer.from(at)
		next, err := c.location(resp, req.URL)
		if err == nil && next == nil {
			return &Answer{resp, within}, nil
		}
		if n := resp.ContentLength; n >= 0 && n <= maxRedirectBody {
			io.Copy(io.Discard, resp.Body)
		}
		resp.Body.Close()
		var refused *RedirectError
		switch {
		case errors.As(err, &refused):
			refused.Reach = within
		case err != nil:
		case seen[next.String()]:
			err = &RedirectError{Status: resp.StatusCode, Reason: "the redirects lead in a circle"}
		case hop == MaxRedirects:
			err = &RedirectError{Status: resp.StatusCode, Reason: fmt.Sprintf("more than %s", units.Plural(hop, "redirect"))}
		default:
			err = waitForRedirect(req.Context(), resp)
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

// waitForRedirect waits as long as a redirect asks for with Retry-After (RFC 9110, 10.2.3).
func waitForRedirect(ctx context.Context, resp *http.Response) error {
	wait := RetryAfter(resp.Header, time.Now())
	if wait > maxRedirectWait {
		return &RedirectError{Status: resp.StatusCode, Reason: fmt.Sprintf("the server asks to wait %v before the redirect is followed", wait), RetryAfter: wait}
	}
	return Sleep(ctx, wait)
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
	via, err := c.opt.Dialer.via(req.URL)
	if err != nil {
		return nil, netip.Addr{}, &ConnectError{err}
	}
	forward := forwards(via, req.URL)
	if forward {
		if err := checkForwarded(within, req.URL); err != nil {
			return nil, netip.Addr{}, &ConnectError{err}
		}
	}
	var at netip.Addr
	var conn net.Conn
	req = req.Clone(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { conn, at = info.Conn, remoteAddr(info.Conn) }, // a retry overwrites them
	}))
	req.Header.Del("Authorization")
	if u := req.URL.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	resp, err := c.transport(within, via, forward).RoundTrip(req)
	if forward {
		at = literal(req.URL.Hostname()) // the connection is that to the proxy, and serves several hosts
		if err == nil {
			if err = refusedByProxy(via, resp); err != nil {
				return nil, at, &ConnectError{err}
			}
		}
	}
	switch {
	case err != nil && conn == nil:
		err = &ConnectError{err}
	case err != nil && !errors.Is(err, io.EOF) && endedByServer(conn):
		err = fmt.Errorf("the connection ended inside the header of the answer: %w", io.ErrUnexpectedEOF)
	}
	return resp, at, err
}

// webConn is a connection to a web server. It records whether the server has ended it, because
// package http reports a header whose last line is cut as a malformed one.
type webConn struct {
	net.Conn
	ended atomic.Bool
}

// Read reads from the connection.
func (c *webConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || sockerr.Is(err, syscall.ECONNRESET) {
		c.ended.Store(true)
	}
	return n, err
}

// endedByServer reports whether the server has ended conn, and package http has read up to the
// end. A server that ends TLS with its alert has said that it sent everything, so that this does
// not count.
func endedByServer(conn net.Conn) bool {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	w, ok := conn.(*webConn)
	return ok && w.ended.Load()
}

// remoteAddr returns the server's address of a connection that package http got from a
// [Dialer], with or without TLS.
func remoteAddr(conn net.Conn) netip.Addr {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if w, ok := conn.(*webConn); ok {
		conn = w.Conn
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
func (c *Client) location(resp *http.Response, from *url.URL) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	refuse := func(reason string) (*url.URL, error) {
		return nil, &RedirectError{Status: resp.StatusCode, Reason: reason}
	}
	text := resp.Header.Get("Location")
	if text == "" {
		return refuse("redirect without a Location")
	}
	next, err := from.Parse(text)
	switch {
	case err != nil:
		return refuse("redirect to an invalid URL")
	case next.Scheme == "magnet":
		return nil, &RedirectError{Status: resp.StatusCode, Reason: "redirect to a magnet link", Magnet: text}
	case next.Scheme != "http" && next.Scheme != "https":
		return refuse(fmt.Sprintf("redirect to %.20s:, which is neither http nor https", next.Scheme))
	case next.Hostname() == "":
		return refuse("redirect to a URL without a host")
	case from.Scheme == "https" && next.Scheme == "http" && !c.opt.Checked:
		return refuse("redirect from https to http")
	}
	next.User, next.Fragment, next.RawFragment = nil, "", ""
	if next.Scheme == from.Scheme && next.Host == from.Host {
		next.User = from.User
	}
	return next, nil
}

package webseed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"spate/internal/netguard"
)

// Limits of the conversation with a server.
const (
	dialTimeout    = 10 * time.Second
	tlsTimeout     = 10 * time.Second
	idleTimeout    = 30 * time.Second // of a connection between two requests
	maxHeaderBytes = 64 << 10
	maxAddrs       = 4 // of one name that are tried
	maxRetryAfter  = 24 * time.Hour
	// DefaultStall is the longest time that a server may take for one [Range.Fill].
	DefaultStall = 30 * time.Second
)

// Options are the settings of a [Client]. The zero value is good.
type Options struct {
	// Dial connects to an address "ip:port"; nil: package net.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Bind is the local address that Dial uses, if there is one: only addresses
	// of its family are asked, and only this machine if it is a loopback address.
	Bind netip.Addr
	// UserAgent is sent with every request.
	UserAgent string
	// TLS is used for https; nil: the defaults of crypto/tls.
	TLS *tls.Config
	// Stall is the longest time for one [Range.Fill], 0: DefaultStall.
	Stall time.Duration
}

// Client asks web servers. It is safe for concurrent use.
//
// Where it may go: the address that is dialled is looked at, not the name. The
// metadata services of clouds and what is no machine's address are never asked.
// Hosts of private networks and this machine are asked only without a query, so
// that a torrent cannot have us press buttons there. One redirect is followed: to
// http or https, not from https to http, not nearer to this machine than the
// server that sent it, and without the credentials of another host.
type Client struct {
	opt Options
	// One for each reach: a connection that one request was allowed to make is
	// never used by another that was not.
	transports [netguard.Machine + 1]*http.Transport
}

// NewClient returns a client. Close it after use.
func NewClient(opt Options) *Client {
	if opt.Dial == nil {
		opt.Dial = (&net.Dialer{}).DialContext
	}
	if opt.Stall <= 0 {
		opt.Stall = DefaultStall
	}
	c := &Client{opt: opt}
	for r := range c.transports {
		c.transports[r] = &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return c.dial(ctx, netguard.Reach(r), network, address)
			},
			TLSClientConfig:        opt.TLS.Clone(),
			TLSHandshakeTimeout:    tlsTimeout,
			IdleConnTimeout:        idleTimeout,
			MaxIdleConnsPerHost:    4,
			MaxIdleConns:           32,
			MaxResponseHeaderBytes: maxHeaderBytes,
			DisableCompression:     true,
		}
	}
	return c
}

// Close closes the connections that are not in use.
func (c *Client) Close() {
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}

// dial connects to a host within a reach, at the first of its addresses that
// answers.
func (c *Client) dial(ctx context.Context, within netguard.Reach, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := c.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var refused, failed error
	for _, a := range addrs {
		a = a.Unmap()
		if refused = c.mayDial(within, a); refused != nil {
			continue
		}
		dctx, cancel := context.WithTimeout(ctx, dialTimeout)
		conn, err := c.opt.Dial(dctx, network, net.JoinHostPort(a.String(), port))
		cancel()
		if err == nil {
			return conn, nil
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
func (c *Client) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if c.opt.Bind.IsLoopback() && !strings.EqualFold(host, "localhost") {
		return nil, fmt.Errorf("%s: bound to %v, which asks no name server", host, c.opt.Bind)
	}
	network := "ip"
	switch {
	case !c.opt.Bind.IsValid():
	case c.opt.Bind.Is4():
		network = "ip4"
	default:
		network = "ip6"
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs[:min(len(addrs), maxAddrs)], nil
}

// mayDial says why a connection to a may not be made.
func (c *Client) mayDial(within netguard.Reach, a netip.Addr) error {
	if c.opt.Bind.IsLoopback() && !a.IsLoopback() {
		return &netguard.AddressError{Addr: a, Reason: "bound to a loopback address"}
	}
	return within.Check(a)
}

// get asks for n bytes from off of a file of that size and returns an answer that
// promises exactly these.
func (c *Client) get(ctx context.Context, u *url.URL, off, n, size int64) (*http.Response, error) {
	within := netguard.Machine
	if u.RawQuery != "" || u.ForceQuery {
		within = netguard.Public
	}
	for redirected := false; ; redirected = true {
		resp, at, err := c.roundTrip(ctx, within, u, off, n)
		if err != nil {
			return nil, explain(u, err)
		}
		next, err := location(resp, u)
		if next == nil && err == nil {
			err = checkAnswer(resp, off, n, size)
		}
		if next != nil && redirected {
			err = errors.New("it redirects again")
		}
		if err == nil && next == nil {
			return resp, nil
		}
		resp.Body.Close()
		if err != nil {
			return nil, refusal(u, resp, err)
		}
		if within, err = netguard.Of(at); err != nil {
			within = netguard.Public
		}
		u = next
	}
}

// roundTrip asks once and returns the answer and the address that it came from.
func (c *Client) roundTrip(ctx context.Context, within netguard.Reach, u *url.URL, off, n int64) (*http.Response, netip.Addr, error) {
	var at netip.Addr
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if ap, err := netip.ParseAddrPort(info.Conn.RemoteAddr().String()); err == nil {
			at = ap.Addr().Unmap()
		}
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, at, err
	}
	req.Header.Set("Range", "bytes="+strconv.FormatInt(off, 10)+"-"+strconv.FormatInt(off+n-1, 10))
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", c.opt.UserAgent)
	if u.User != nil {
		password, _ := u.User.Password()
		req.SetBasicAuth(u.User.Username(), password)
	}
	resp, err := c.transports[within].RoundTrip(req)
	return resp, at, err
}

// location returns where resp sends the request on, nil where it does not.
func location(resp *http.Response, from *url.URL) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	text := resp.Header.Get("Location")
	if text == "" {
		return nil, errors.New("it redirects to nowhere")
	}
	next, err := from.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it redirects to what is no URL")
	case next.Scheme != "http" && next.Scheme != "https" || next.Hostname() == "":
		return nil, errors.New("it redirects to what is no http or https URL")
	case from.Scheme == "https" && next.Scheme == "http":
		return nil, errors.New("it redirects from https to http")
	}
	next.User, next.Fragment, next.RawFragment = nil, "", ""
	if next.Scheme == from.Scheme && next.Host == from.Host {
		next.User = from.User
	}
	return next, nil
}

// explain makes the error of a request that was not answered.
func explain(u *url.URL, err error) error {
	if errors.Is(err, netguard.ErrForbidden) {
		return &BrokenError{URL: u.Redacted(), Reason: "it may not be asked", Err: err}
	}
	return fmt.Errorf("%s: %w", u.Redacted(), err)
}

// refusal makes the error of an answer that is not what was asked for.
func refusal(u *url.URL, resp *http.Response, err error) error {
	switch code := resp.StatusCode; {
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		return &BusyError{URL: u.Redacted(), Status: resp.Status, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	return &BrokenError{URL: u.Redacted(), Reason: err.Error()}
}

// retryAfter reads the header of that name (RFC 9110, 10.2.3): seconds or a date.
// What cannot be read is 0.
func retryAfter(v string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		d = at.Sub(now)
	}
	return max(0, min(d, maxRetryAfter))
}

// checkAnswer says why an answer does not promise the n bytes from off of a file
// of that size.
func checkAnswer(resp *http.Response, off, n, size int64) error {
	switch {
	case resp.StatusCode == http.StatusPartialContent:
	case resp.StatusCode == http.StatusOK && off == 0 && n == size:
		// All of the file was asked for: that is all of it.
	case resp.StatusCode == http.StatusOK:
		return errors.New("it answers a range with the whole file")
	default:
		return fmt.Errorf("it answers %s", resp.Status)
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return fmt.Errorf("it encodes the data as %.20q", e)
	}
	if resp.StatusCode == http.StatusPartialContent {
		if err := checkRange(resp.Header.Get("Content-Range"), off, n, size); err != nil {
			return err
		}
	}
	if resp.ContentLength >= 0 && resp.ContentLength != n {
		return fmt.Errorf("it sends %d bytes of %d", resp.ContentLength, n)
	}
	return nil
}

// checkRange holds a Content-Range (RFC 9110, 14.4) against what was asked for.
func checkRange(v string, off, n, size int64) error {
	asked := fmt.Sprintf("bytes %d-%d/", off, off+n-1)
	total, ok := strings.CutPrefix(v, asked)
	switch {
	case !ok:
		return fmt.Errorf("asked for %q it sends the range %.60q", asked, v)
	case total != "*" && total != strconv.FormatInt(size, 10):
		return fmt.Errorf("its file is %.20s bytes long, not %d", total, size)
	}
	return nil
}

package trackerclient

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// maxRedirects limits the redirects of one request.
const maxRedirects = 5

// transport returns a transport for requests over f that may connect to addresses
// within r. Each reach has its own connections, so that a request never uses a
// connection to an address that it may not connect to.
func (c *Client) transport(f family, r reach) *http.Transport {
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return c.dial(ctx, r, f.of(network), address)
		},
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		TLSHandshakeTimeout:    20 * time.Second,
	}
	if c.opts.TLS != nil {
		t.TLSClientConfig = c.opts.TLS.Clone()
	}
	return t
}

func (c *Client) announceHTTP(ctx context.Context, f family, u *url.URL, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	body, status, err := c.get(ctx, f, withQuery(u, wire.AppendAnnounceQuery(nil, req)))
	if err != nil {
		return nil, err
	}
	resp, err := wire.ParseAnnounceAnswer(body)
	return resp, c.responseError(u, status, err)
}

func (c *Client) scrapeHTTP(ctx context.Context, f family, u *url.URL, hashes []spate.InfoHash) ([]tracker.ScrapeEntry, error) {
	su, err := scrapeURL(u)
	if err != nil {
		return nil, err
	}
	body, status, err := c.get(ctx, f, withQuery(su, wire.AppendScrapeQuery(nil, hashes)))
	if err != nil {
		return nil, err
	}
	out, err := wire.ParseScrapeAnswer(body)
	return out, c.responseError(u, status, err)
}

// responseError returns the error for a response. A refusal by the tracker is valid
// with any HTTP status; otherwise the status must be 200.
func (c *Client) responseError(u *url.URL, status int, err error) error {
	var failure *tracker.FailureError
	switch {
	case errors.As(err, &failure):
		return failure
	case status != http.StatusOK:
		return &AnswerError{URL: origin(u), Status: status}
	case err != nil:
		return &AnswerError{URL: origin(u), Status: status, Err: err}
	}
	return nil
}

// withQuery returns u with more appended to its query. It keeps the existing query,
// which may be a passkey.
func withQuery(u *url.URL, more []byte) *url.URL {
	v := *u
	if v.RawQuery != "" {
		v.RawQuery += "&"
	}
	v.RawQuery += string(more)
	return &v
}

// scrapeURL returns the scrape URL for an announce URL (BEP 48). The last part of the
// path must start with "announce".
func scrapeURL(u *url.URL) (*url.URL, error) {
	path := u.EscapedPath()
	i := strings.LastIndexByte(path, '/')
	if i < 0 || !strings.HasPrefix(path[i+1:], "announce") {
		return nil, &URLError{URL: origin(u), Reason: "the tracker does not support scrape: the last part of the path does not start with \"announce\""}
	}
	v := *u
	path = path[:i+1] + "scrape" + path[i+1+len("announce"):]
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return nil, &URLError{URL: origin(u), Reason: "the path is malformed"}
	}
	v.Path, v.RawPath = decoded, path
	return &v, nil
}

// get requests u, follows allowed redirects and returns the decompressed body of the
// last response. A body of more than [wire.MaxAnswer] bytes is an error.
func (c *Client) get(ctx context.Context, f family, u *url.URL) (body []byte, status int, err error) {
	within := firstReach(u)
	for range maxRedirects + 1 {
		resp, at, err := c.roundTrip(ctx, f, within, u)
		if err != nil {
			return nil, 0, err
		}
		next, err := location(resp, u)
		if next == nil && err == nil {
			defer resp.Body.Close()
			body, err = readAnswer(resp.Body, u, resp.StatusCode)
			return body, resp.StatusCode, err
		}
		resp.Body.Close()
		if err != nil {
			return nil, 0, err
		}
		within, u = redirectReach(at, next), next
	}
	return nil, 0, &AnswerError{URL: origin(u), Err: errors.New("too many redirects")}
}

// redirectReach returns which addresses a redirect to next may lead to. at is the
// address that sent the redirect; if it is unknown it counts as public. Only this
// machine may redirect to this machine, and only a private network to a private
// network.
func redirectReach(at netip.Addr, next *url.URL) reach {
	got, err := reachOf(at)
	switch {
	case err != nil:
		return reachPublic
	case got == reachAll:
		return firstReach(next)
	}
	return got
}

// roundTrip sends one request. It returns the response and the address that sent it, or
// the unspecified address if a custom dial function does not tell.
func (c *Client) roundTrip(ctx context.Context, f family, within reach, u *url.URL) (*http.Response, netip.Addr, error) {
	at := netip.IPv6Unspecified()
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if ap, err := netip.ParseAddrPort(info.Conn.RemoteAddr().String()); err == nil {
			at = ap.Addr().Unmap()
		}
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, at, &URLError{URL: origin(u), Reason: "it cannot be requested"}
	}
	req.Header.Set("User-Agent", c.opts.UserAgent)
	if u.User != nil {
		password, _ := u.User.Password()
		req.SetBasicAuth(u.User.Username(), password)
	}
	resp, err := c.http[f][within].RoundTrip(req)
	return resp, at, err
}

// location returns the target of a redirect, or nil if resp is not a redirect. The user
// name and password of a URL are not sent to other hosts.
func location(resp *http.Response, from *url.URL) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	fail := func(reason string) error {
		return &AnswerError{URL: origin(from), Status: resp.StatusCode, Err: errors.New(reason)}
	}
	text := resp.Header.Get("Location")
	if text == "" {
		return nil, fail("redirect without a location")
	}
	next, err := from.Parse(text)
	if err != nil {
		return nil, fail("redirect to a malformed URL")
	}
	switch {
	case next.Scheme == from.Scheme:
	case next.Scheme == "https" && from.Scheme == "http":
	default:
		return nil, fail("redirect to another scheme")
	}
	if err := checkURL(next); err != nil {
		return nil, fail("redirect to a URL without a host")
	}
	next.User, next.Fragment = nil, ""
	if next.Scheme == from.Scheme && next.Host == from.Host {
		next.User = from.User
	}
	return next, nil
}

func readAnswer(r io.Reader, u *url.URL, status int) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, wire.MaxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > wire.MaxAnswer {
		return nil, &AnswerError{URL: origin(u), Status: status, Err: errors.New("the response is longer than 1 MiB")}
	}
	return body, nil
}

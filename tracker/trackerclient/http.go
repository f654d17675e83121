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

// maxRedirects bounds how often a tracker may send a request on.
const maxRedirects = 5

// transport makes the transport of requests over f that may go as far as r.
// Connections are kept apart by reach, so that one that was allowed for one
// request is never used by another to which it would be forbidden.
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
	return resp, c.judge(u, status, err)
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
	return out, c.judge(u, status, err)
}

// judge makes the error of an answer that was read: a refusal stays one whatever
// the status, anything else needs a good status.
func (c *Client) judge(u *url.URL, status int, err error) error {
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

// withQuery returns u with more appended to its query: what stands there already
// may be a passkey.
func withQuery(u *url.URL, more []byte) *url.URL {
	v := *u
	if v.RawQuery != "" {
		v.RawQuery += "&"
	}
	v.RawQuery += string(more)
	return &v
}

// scrapeURL makes the scrape URL of an announce URL (BEP 48): the last part of
// its path must begin with "announce".
func scrapeURL(u *url.URL) (*url.URL, error) {
	path := u.EscapedPath()
	i := strings.LastIndexByte(path, '/')
	if i < 0 || !strings.HasPrefix(path[i+1:], "announce") {
		return nil, &URLError{URL: origin(u), Reason: "the tracker has no scrape: the last part of its path does not begin with \"announce\""}
	}
	v := *u
	path = path[:i+1] + "scrape" + path[i+1+len("announce"):]
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return nil, &URLError{URL: origin(u), Reason: "its path cannot be read"}
	}
	v.Path, v.RawPath = decoded, path
	return &v, nil
}

// get fetches u, follows redirects within the rules, and returns at most
// [wire.MaxAnswer] bytes of the last answer, decompressed.
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

// redirectReach is how far a redirect from the address at to next may go: what
// was asked in public stays there, and only this machine leads to this machine.
// An address that is not known counts as public.
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

// roundTrip asks once and returns the answer and the address it came from, the
// unspecified one when a dial function of the caller's does not tell.
func (c *Client) roundTrip(ctx context.Context, f family, within reach, u *url.URL) (*http.Response, netip.Addr, error) {
	at := netip.IPv6Unspecified()
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if ap, err := netip.ParseAddrPort(info.Conn.RemoteAddr().String()); err == nil {
			at = ap.Addr().Unmap()
		}
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, at, &URLError{URL: origin(u), Reason: "it cannot be asked"}
	}
	req.Header.Set("User-Agent", c.opts.UserAgent)
	if u.User != nil {
		password, _ := u.User.Password()
		req.SetBasicAuth(u.User.Username(), password)
	}
	resp, err := c.http[f][within].RoundTrip(req)
	return resp, at, err
}

// location returns where resp sends the request on, nil where it does not. Names
// and passwords stay behind.
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
		return nil, fail("a redirect to nowhere")
	}
	next, err := from.Parse(text)
	if err != nil {
		return nil, fail("a redirect that cannot be read")
	}
	switch {
	case next.Scheme == from.Scheme:
	case next.Scheme == "https" && from.Scheme == "http":
	default:
		return nil, fail("a redirect to another scheme")
	}
	if err := checkURL(next); err != nil {
		return nil, fail("a redirect to a URL without a host")
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
		return nil, &AnswerError{URL: origin(u), Status: status, Err: errors.New("longer than 1 MiB")}
	}
	return body, nil
}

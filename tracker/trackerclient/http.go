package trackerclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"spate"
	"spate/internal/netguard"
	"spate/tracker"
	"spate/tracker/wire"
)

// httpClient returns the client for requests over one address family.
func (c *Client) httpClient(f family) *netguard.Client {
	return netguard.NewClient(netguard.ClientOptions{
		Dialer: c.dialer, Network: f.of("tcp"), Transport: c.transport, Within: reachOf,
	})
}

// transport returns a transport without a dial function, which netguard adds.
func (c *Client) transport() *http.Transport {
	t := &http.Transport{
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
	got, err := c.get(ctx, f, withQuery(u, wire.AppendAnnounceQuery(nil, req)))
	if err != nil {
		return nil, err
	}
	resp, err := wire.ParseAnnounceAnswer(got.body)
	return resp, got.check(u, err)
}

func (c *Client) scrapeHTTP(ctx context.Context, f family, u *url.URL, hashes []spate.InfoHash) ([]tracker.ScrapeEntry, error) {
	su, err := scrapeURL(u)
	if err != nil {
		return nil, err
	}
	got, err := c.get(ctx, f, withQuery(su, wire.AppendScrapeQuery(nil, hashes)))
	if err != nil {
		return nil, err
	}
	out, err := wire.ParseScrapeAnswer(got.body)
	return out, got.check(u, err)
}

// answer is the last response to a request.
type answer struct {
	body   []byte
	status int
	wait   time.Duration // Retry-After
}

// check returns the error for a response whose body was parsed with err. A refusal by the
// tracker is valid with any HTTP status; otherwise the status must be 200.
func (a *answer) check(u *url.URL, err error) error {
	var failure *tracker.FailureError
	switch {
	case errors.As(err, &failure):
		failure.RetryIn = max(failure.RetryIn, a.wait)
		return failure
	case a.status != http.StatusOK:
		return &AnswerError{URL: origin(u), Status: a.status, Wait: a.wait}
	case err != nil:
		return &AnswerError{URL: origin(u), Status: a.status, Err: err}
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

// get requests u, follows allowed redirects and returns the last response with its
// decompressed body. A body of more than [wire.MaxAnswer] bytes is an error.
func (c *Client) get(ctx context.Context, f family, u *url.URL) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, &URLError{URL: origin(u), Reason: "it cannot be requested"}
	}
	req.Header.Set("User-Agent", c.opts.UserAgent)
	resp, err := c.http[f].Get(req, reachOf(u))
	var redirect *netguard.RedirectError
	if errors.As(err, &redirect) {
		return nil, &AnswerError{URL: origin(u), Status: redirect.Status, Err: redirect, Wait: redirect.RetryAfter}
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := readAnswer(resp.Body, u, resp.StatusCode)
	if resp.StatusCode != http.StatusOK {
		err = nil // the status and Retry-After say more than a body that ends early
	}
	return &answer{body, resp.StatusCode, netguard.RetryAfter(resp.Header, time.Now())}, err
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

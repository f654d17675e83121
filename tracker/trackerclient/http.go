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

// maxRedirects bounds how often a tracker may send a request on.
const maxRedirects = 5

// httpClient makes the client of requests over one family.
func (c *Client) httpClient(f family) *netguard.Client {
	return netguard.NewClient(netguard.ClientOptions{
		Dialer: c.dialer, Network: f.of("tcp"), Transport: c.transport, MaxRedirects: maxRedirects, Within: reachOf,
	})
}

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
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, 0, &URLError{URL: origin(u), Reason: "it cannot be asked"}
	}
	req.Header.Set("User-Agent", c.opts.UserAgent)
	resp, err := c.http[f].Get(req, reachOf(u))
	var redirect *netguard.RedirectError
	if errors.As(err, &redirect) {
		return nil, 0, &AnswerError{URL: origin(u), Status: redirect.Status, Err: redirect}
	}
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err = readAnswer(resp.Body, u, resp.StatusCode)
	return body, resp.StatusCode, err
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

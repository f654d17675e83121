package webseed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	maxRetryAfter  = 24 * time.Hour
	// DefaultStall is the longest time that a server may take for one [Range.Fill].
	DefaultStall = 30 * time.Second
)

// Options are the settings of a [Client]. The zero value is good.
type Options struct {
	// Dial connects to an address "ip:port"; nil: package net.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolver looks names up; nil: [net.DefaultResolver].
	Resolver *net.Resolver
	// Bind is the local address of connections, if there is one: only addresses of
	// its family are asked, and only this machine if it is a loopback address.
	Bind netip.Addr
	// UserAgent is sent with every request.
	UserAgent string
	// TLS is used for https; nil: the defaults of crypto/tls.
	TLS *tls.Config
	// Stall is the longest time for one [Range.Fill], 0: DefaultStall.
	Stall time.Duration
}

// maxRedirects is the number of redirects that are followed.
const maxRedirects = 1

// Client asks web servers. It is safe for concurrent use.
//
// Where it may go: the address that is dialled is looked at, not the name. The
// metadata services of clouds, link-local addresses and what is no machine's address
// are never asked. Hosts of private networks and this machine are asked only without a
// query, so that a torrent cannot have us press buttons there. One redirect is
// followed: to http or https, not from https to http, not nearer to this machine than
// the server that sent it, and without the credentials of another host.
type Client struct {
	opt  Options
	http *netguard.Client
}

// NewClient returns a client. Close it after use.
func NewClient(opt Options) *Client {
	if opt.Stall <= 0 {
		opt.Stall = DefaultStall
	}
	return &Client{opt: opt, http: netguard.NewClient(netguard.ClientOptions{
		Dialer: netguard.Dialer{
			Dial: opt.Dial, LocalAddr: opt.Bind, OnlyLoopback: opt.Bind.IsLoopback(), Resolver: opt.Resolver, Timeout: dialTimeout,
		},
		Transport: opt.transport, MaxRedirects: maxRedirects,
	})}
}

func (o *Options) transport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:        o.TLS.Clone(),
		TLSHandshakeTimeout:    tlsTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    4,
		MaxIdleConns:           32,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
	}
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.http.Close() }

// get asks for n bytes from off of a file of that size and returns an answer that
// promises exactly these.
func (c *Client) get(ctx context.Context, u *url.URL, off, n, size int64) (*http.Response, error) {
	within := netguard.ToMachine
	if u.RawQuery != "" || u.ForceQuery {
		within = netguard.ToPublic
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, explain(u, err)
	}
	req.Header.Set("Range", "bytes="+strconv.FormatInt(off, 10)+"-"+strconv.FormatInt(off+n-1, 10))
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", c.opt.UserAgent)
	answer, err := c.http.Get(req, within)
	if err != nil {
		return nil, explain(u, err)
	}
	resp := answer.Response
	if err := checkAnswer(resp, off, n, size); err != nil {
		resp.Body.Close()
		return nil, refusal(resp.Request.URL, resp, err)
	}
	return resp, nil
}

// explain makes the error of a request for u that was not answered: the URL in it is
// the one that failed.
func explain(u *url.URL, err error) error {
	at := u.Redacted()
	var failed *url.Error
	if errors.As(err, &failed) {
		at, err = failed.URL, failed.Err
	}
	var forbidden *netguard.AddressError
	var redirect *netguard.RedirectError
	switch {
	case errors.As(err, &forbidden):
		return &BrokenError{URL: at, Reason: "it may not be asked", Err: forbidden}
	case errors.As(err, &redirect):
		return &BrokenError{URL: at, Reason: redirect.Reason}
	}
	return fmt.Errorf("%s: %w", at, err)
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

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

// Limits of the connections to servers.
const (
	dialTimeout    = 10 * time.Second
	tlsTimeout     = 10 * time.Second
	idleTimeout    = 30 * time.Second // how long a connection stays open between two requests
	maxHeaderBytes = 64 << 10
	maxRetryAfter  = 24 * time.Hour
	// DefaultStall is the default of Options.Stall.
	DefaultStall = 30 * time.Second
)

// Options configure a [Client]. The zero value is valid.
type Options struct {
	// Dial connects to an address "ip:port"; nil selects package net.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolver resolves host names; nil selects [net.DefaultResolver].
	Resolver *net.Resolver
	// Bind is the local address of connections, if it is valid. The client connects only
	// to addresses of its family, and only to this machine if it is a loopback address.
	Bind netip.Addr
	// UserAgent is sent with every request.
	UserAgent string
	// TLS is for https; nil selects the defaults of crypto/tls.
	TLS *tls.Config
	// Stall is the longest time for one [Range.Fill]; 0 selects DefaultStall.
	Stall time.Duration
}

// Client makes requests to web servers. It is safe for concurrent use.
//
// It checks the address that it connects to, not the host name. It never connects to the
// metadata services of clouds, to link-local addresses or to addresses that no machine has.
// It connects to hosts of private networks and to this machine only for a URL without a
// query, so that a torrent cannot trigger actions there. It follows one redirect: to http
// or https, but not from https to http, not to a network that is nearer to this machine
// than the server, and without the credentials of another host.
type Client struct {
	opt  Options
	http *netguard.Client
}

// NewClient returns a client. The caller must close it.
func NewClient(opt Options) *Client {
	if opt.Stall <= 0 {
		opt.Stall = DefaultStall
	}
	return &Client{opt: opt, http: netguard.NewClient(netguard.ClientOptions{
		Dialer: netguard.Dialer{
			Dial: opt.Dial, LocalAddr: opt.Bind, OnlyLoopback: opt.Bind.IsLoopback(), Resolver: opt.Resolver, Timeout: dialTimeout,
		},
		Transport: opt.transport, Checked: true,
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

// Close closes idle connections.
func (c *Client) Close() { c.http.Close() }

// get requests the n bytes at offset off of a file of size bytes. It returns an answer only
// if the header says that it holds exactly these bytes.
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

// explain returns the error for a request for u that got no answer. The error names the URL
// that failed, which may be the target of a redirect.
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

// refusal returns the error for an answer that does not hold the requested bytes.
func refusal(u *url.URL, resp *http.Response, err error) error {
	switch code := resp.StatusCode; {
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		return &BusyError{URL: u.Redacted(), Status: resp.Status, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	return &BrokenError{URL: u.Redacted(), Reason: err.Error()}
}

// retryAfter parses a Retry-After header (RFC 9110, 10.2.3), which is seconds or a date. It
// returns 0 if the header is malformed.
func retryAfter(v string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		d = at.Sub(now)
	}
	return max(0, min(d, maxRetryAfter))
}

// checkAnswer returns an error unless the header of the answer says that it holds the n
// bytes at offset off of a file of size bytes.
func checkAnswer(resp *http.Response, off, n, size int64) error {
	switch {
	case resp.StatusCode == http.StatusPartialContent:
	case resp.StatusCode == http.StatusOK && off == 0 && n == size:
		// The whole file was requested, and this is the whole file.
	case resp.StatusCode == http.StatusOK:
		return errors.New("the server answers a range with the whole file")
	default:
		return fmt.Errorf("the server answers %s", resp.Status)
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return fmt.Errorf("the server encodes the data as %.20q", e)
	}
	if resp.StatusCode == http.StatusPartialContent {
		if err := checkRange(resp.Header.Get("Content-Range"), off, n, size); err != nil {
			return err
		}
	}
	if resp.ContentLength >= 0 && resp.ContentLength != n {
		return fmt.Errorf("the server sends %d bytes of %d", resp.ContentLength, n)
	}
	return nil
}

// checkRange compares a Content-Range header (RFC 9110, 14.4) with the request.
func checkRange(v string, off, n, size int64) error {
	asked := fmt.Sprintf("bytes %d-%d/", off, off+n-1)
	total, ok := strings.CutPrefix(v, asked)
	switch {
	case !ok:
		return fmt.Errorf("the server sends the range %.60q instead of %q", v, asked)
	case total != "*" && total != strconv.FormatInt(size, 10):
		return fmt.Errorf("the file of the server is %.20s bytes long, not %d", total, size)
	}
	return nil
}

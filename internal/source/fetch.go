package source

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"spate"
	"spate/internal/fault"
	"spate/internal/netguard"
	"spate/internal/proxy"
	"spate/internal/sockerr"
	"spate/internal/units"
)

// Limits of a fetch over HTTP.
const (
	fetchTimeout  = 2 * time.Minute
	headerTimeout = 30 * time.Second
	dialTimeout   = 10 * time.Second
)

// fetcher makes the requests of one source. Only one goroutine may use it.
//
// The user has given the URL of the first request, so this request may go to this machine and
// to private networks. The later URLs come from servers: a redirect, a link of a page or a
// signature. They must not lead to a more private network than that of the connection that sent
// them.
type fetcher struct {
	client *netguard.Client
	within netguard.Reach // networks that the next request may go to
	retry  netguard.Backoff
	once   bool // do not ask again after a failure
	notef  func(format string, args ...any)
}

// Repetitions of a request whose failure can soon pass: the server is busy or failed, or the
// connection ended before the whole answer came.
const (
	maxRepeats = 3
	maxPause   = time.Minute // a server that asks for a longer pause is not asked again
)

var fetchRetry = netguard.Backoff{First: time.Second, Last: 8 * time.Second}

// temporaryError is an error that can soon pass.
type temporaryError struct {
	err  error
	wait time.Duration // what the server asks clients to wait
}

func (e *temporaryError) Error() string { return e.err.Error() }
func (e *temporaryError) Unwrap() error { return e.err }

// ask requests u and reads the answer with read, which closes the body. It asks again after a
// failure that can soon pass, and says so.
func (f *fetcher) ask(ctx context.Context, u *url.URL, read func(*http.Response) error) error {
	within := f.within
	for n := 0; ; n++ {
		f.within = within
		resp, err := f.get(ctx, u)
		if err == nil {
			err = read(resp)
		}
		var temporary *temporaryError
		if !errors.As(err, &temporary) || ctx.Err() != nil {
			return err
		}
		if f.once || n == maxRepeats || temporary.wait > maxPause {
			return temporary.err
		}
		pause := f.retry.Pause(n, temporary.wait)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause {
			return temporary.err
		}
		if f.notef != nil {
			f.notef("%v; asking again in %s", temporary.err, units.Duration(pause.Round(time.Second)))
		}
		if err := netguard.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// askSmall requests u and returns the answer. An answer of more than most bytes is an error that
// wraps [http.MaxBytesError].
func (f *fetcher) askSmall(ctx context.Context, u *url.URL, most int64) (b []byte, err error) {
	err = f.ask(ctx, u, func(resp *http.Response) (err error) {
		defer resp.Body.Close()
		b, err = io.ReadAll(http.MaxBytesReader(nil, resp.Body, most))
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			return fault.New(fault.BadData, "", "%s: %w", u.Redacted(), err)
		case err != nil: // the connection ended: another answer may be complete
			return cut(u, err)
		}
		return nil
	})
	return b, err
}

// cut returns the error about an answer that ended early.
func cut(u *url.URL, err error) error {
	return &temporaryError{err: fault.New(fault.Network, "", "%s: the answer ended early: %w", u.Redacted(), err)}
}

// damaged returns the error about an answer whose body cannot be read: it ended early, or is not
// encoded as it says.
func damaged(u *url.URL, err error) error {
	if errors.Is(err, gzip.ErrHeader) {
		return fault.New(fault.Network, "", "%s: the answer is not encoded as it says: %w", u.Redacted(), err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || sockerr.Is(err, syscall.ECONNRESET) {
		return cut(u, err)
	}
	return &temporaryError{err: fault.New(fault.Network, "", "%s: the answer is damaged: %w", u.Redacted(), err)}
}

// newFetcher returns a fetcher. The caller closes its client.
func (r *Resolver) newFetcher() *fetcher {
	return &fetcher{within: netguard.ToChosen, retry: cmp.Or(r.retry, fetchRetry), notef: r.Notef, client: netguard.NewClient(netguard.ClientOptions{
		Dialer:    netguard.Dialer{LocalAddr: r.Bind, Resolver: r.Names, Timeout: dialTimeout, Proxy: r.Proxy},
		Transport: fetchTransport,
	})}
}

// fetchTransport returns a transport with the limits of a fetch.
func fetchTransport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: headerTimeout, MaxResponseHeaderBytes: 64 << 10,
	}
}

// get requests u once. The caller closes the body. A status other than 200 is an error.
func (f *fetcher) get(ctx context.Context, u *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fault.Usagef("%w", err)
	}
	req.Header.Set("User-Agent", "spate/"+spate.Version)
	req.Header.Set("Accept", "application/x-bittorrent, text/html;q=0.9, */*;q=0.5")
	answer, err := f.client.Get(req, f.within)
	if err != nil {
		return nil, explainFetch(err)
	}
	f.within = answer.Reach
	resp := answer.Response
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		code := fault.Network
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
			code = fault.NotFound
		}
		hint := ""
		if resp.StatusCode == http.StatusUnauthorized {
			hint = "write the name and the password in the URL: " + u.Scheme + "://NAME:PASSWORD@" + u.Host + "/..."
		}
		err := fault.New(code, hint, "%s: the server answered %s", u.Redacted(), resp.Status)
		if netguard.Temporary(resp.StatusCode) {
			wait := netguard.RetryAfter(resp.Header, time.Now())
			if wait > maxPause {
				err = fault.New(code, "try again in "+units.Duration(wait), "%s: the server answered %s", u.Redacted(), resp.Status)
			}
			return nil, &temporaryError{err: err, wait: wait}
		}
		return nil, err
	}
	return resp, nil
}

// explainFetch adds a code and a hint to an error of a fetch.
func explainFetch(err error) error {
	var dns *net.DNSError
	var u *url.Error
	var forbidden *netguard.AddressError
	target := ""
	if errors.As(err, &u) {
		target, err = u.URL, u.Err
	}
	hint := ""
	if down := proxy.Failed(err); down != nil {
		return fault.New(fault.Network, "start the proxy or correct its URL; nothing is sent without it", "%s: %w", target, down)
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &temporaryError{err: fault.New(fault.Network, "", "%s: the server closed the connection inside the header of its answer", target)}
	case errors.Is(err, io.EOF), sockerr.Is(err, syscall.ECONNRESET):
		return &temporaryError{err: fault.New(fault.Network, "", "%s: the server closed the connection without an answer", target)}
	case errors.As(err, &forbidden) && !forbidden.Addr.IsValid():
		err, hint = forbidden, "give a host name, or an address in its usual form such as 192.0.2.1, and the port of a web server"
	case errors.As(err, &forbidden):
		err, hint = forbidden, "if you trust the address, download the .torrent by other means and give the file"
	case sockerr.Is(err, syscall.ECONNREFUSED):
		hint = "nothing listens there: check that the publisher runs, and check the port"
	case errors.As(err, &dns):
		hint = "check the host's name and your connection"
	case sockerr.Is(err, syscall.EINVAL), sockerr.Is(err, syscall.EADDRNOTAVAIL), sockerr.Is(err, syscall.ENETUNREACH):
		hint = "the address cannot be reached from here; check the local address and your connection"
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if why, ok := strings.CutPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken: "); ok {
		return fault.New(fault.Network, "check the port of the URL, and whether it begins with http or https", "%s: the answer is not valid HTTP: %s%w", target, why, fault.Quiet(err))
	}
	return fault.New(fault.Network, hint, "%s: %w", target, err)
}

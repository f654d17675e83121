package source

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"spate"
	"spate/internal/fault"
	"spate/internal/netguard"
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
}

// newFetcher returns a fetcher. The caller closes its client. The fetcher does not use proxies,
// because connections to peers do not use them either.
func (r *Resolver) newFetcher() *fetcher {
	return &fetcher{within: netguard.ToChosen, client: netguard.NewClient(netguard.ClientOptions{
		Dialer:    netguard.Dialer{LocalAddr: r.Bind, Resolver: r.Names, Timeout: dialTimeout},
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

// get requests u. The caller closes the body. A status other than 200 is an error.
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
		return nil, fault.New(code, "", "%s: the server answered %s", u.Redacted(), resp.Status)
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
	switch {
	case errors.As(err, &forbidden):
		err, hint = forbidden, "if you trust the address, download the .torrent by other means and give the file"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "nothing listens there: check that the publisher runs, and check the port"
	case errors.As(err, &dns):
		hint = "check the host's name and your connection"
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.ENETUNREACH):
		hint = "the address cannot be reached from here; check the local address and your connection"
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fault.New(fault.Network, hint, "%s: %w", target, err)
}

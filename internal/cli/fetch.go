package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"spate"
)

// Limits of a fetch over HTTP.
const (
	fetchTimeout  = 2 * time.Minute
	headerTimeout = 30 * time.Second
	dialTimeout   = 10 * time.Second
	maxHops       = 8
)

// scope says how near to this machine an address is. A redirect or a link may
// lead outwards, never inwards: a page of the Internet has no say over what is
// asked of hosts in the house.
type scope int

const (
	scopePublic scope = iota
	scopePrivate
	scopeLoopback
)

// scopeOf classifies a, an IPv4-mapped address as what it stands for.
func scopeOf(a netip.Addr) scope {
	a = a.Unmap()
	switch {
	case a.IsLoopback(), a.IsUnspecified():
		return scopeLoopback
	case a.IsPrivate(), a.IsLinkLocalUnicast(), a.IsMulticast(), cgnat.Contains(a),
		nat64.Contains(a) && scopeOf(netip.AddrFrom4([4]byte(a.AsSlice()[12:]))) != scopePublic:
		return scopePrivate
	}
	return scopePublic
}

var (
	cgnat = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	nat64 = netip.MustParsePrefix("64:ff9b::/96")  // RFC 6052
)

// metadataAddr reports the addresses at which clouds hand out credentials.
func metadataAddr(a netip.Addr) bool {
	switch a.Unmap() {
	case netip.AddrFrom4([4]byte{169, 254, 169, 254}), netip.AddrFrom4([4]byte{100, 100, 100, 200}),
		netip.MustParseAddr("fd00:ec2::254"):
		return true
	}
	return false
}

var errInward = errors.New("the address leads from outside to a host of the local network")

// fetcher makes the requests of one SOURCE. It is for one goroutine.
type fetcher struct {
	client  *http.Client
	reached scope // of the last connection
	limit   scope // the nearest scope that may still be dialled
	hops    int
}

// newFetcher returns a fetcher whose connections come from bind when it is
// valid. Proxies are not used: what follows is not HTTP either.
func newFetcher(bind netip.Addr) *fetcher {
	f := &fetcher{limit: scopeLoopback}
	dialer := &net.Dialer{Timeout: dialTimeout, ControlContext: f.control}
	if bind.IsValid() {
		dialer.LocalAddr = &net.TCPAddr{IP: bind.AsSlice(), Zone: bind.Zone()}
	}
	f.client = &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, DisableKeepAlives: true, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: headerTimeout, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			// The next hop may not be nearer than the one that answered last.
			f.limit = min(f.limit, f.reached)
			if f.hops++; f.hops > maxHops {
				return fmt.Errorf("stopped after %d redirects", maxHops)
			}
			if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
				return fmt.Errorf("refused a redirect to %s://", req.URL.Scheme)
			}
			if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme == "http" {
				return errors.New("refused a redirect from https to http")
			}
			return nil
		},
	}
	return f
}

// control sees each address before it is dialled.
func (f *fetcher) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	s := scopeOf(ap.Addr())
	if s > f.limit || metadataAddr(ap.Addr()) {
		return fmt.Errorf("%s: %w", address, errInward)
	}
	f.reached = s
	return nil
}

// get asks for u, which was reached from the answer before when there was one.
// The caller closes the body; an answer other than 200 is an error.
func (f *fetcher) get(ctx context.Context, u *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, usagef("%w", err)
	}
	req.Header.Set("User-Agent", "spate/"+spate.Version)
	req.Header.Set("Accept", "application/x-bittorrent, text/html;q=0.9, */*;q=0.5")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, f.explain(err)
	}
	f.limit = min(f.limit, f.reached)
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		code := CodeNetwork
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
			code = CodeNotFound
		}
		return nil, fail(code, "", "%s: the server answered %s", u.Redacted(), resp.Status)
	}
	return resp, nil
}

// explain makes the errors of net/http say what to do.
func (f *fetcher) explain(err error) error {
	var dns *net.DNSError
	var u *url.Error
	target := ""
	if errors.As(err, &u) {
		target, err = u.URL, u.Err
	}
	hint := ""
	switch {
	case errors.Is(err, errInward):
		hint = "fetch the .torrent yourself if you trust it, and give the file"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "nothing listens there: is the publisher running, and is the port right?"
	case errors.As(err, &dns):
		hint = "check the host's name and your connection"
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.ENETUNREACH):
		hint = "the address cannot be reached from here; check --bind and your connection"
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fail(CodeNetwork, hint, "%s: %w", target, err)
}

// Package trackerclient asks trackers: announces and scrapes over HTTP, HTTPS
// (BEP 3, 7, 23, 31, 48) and UDP (BEP 15, 41), and the announce list of a
// torrent with its tiers (BEP 12).
//
// A tracker's URL comes from a torrent, which anybody may have written, so a
// client keeps to rules that a browser would: see [Client].
package trackerclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"spate"
	"spate/internal/netguard"
	"spate/tracker"
)

// Defaults of [Options].
const (
	DefaultTimeout    = time.Minute
	DefaultUDPTimeout = 15 * time.Second // BEP 15; doubled with each try
	DefaultConcurrent = 50
)

// udpTries is the number of packets after which BEP 15 gives up: the last waits
// for 15 s x 2^8.
const udpTries = 9

// Options are the settings of a [Client]. The zero value is good.
type Options struct {
	// Dial opens connections, "tcp" and "udp" with a 4 or 6 behind it where the
	// family matters; nil: package net. A function of the caller's own resolves
	// names itself and answers for where they lead.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolver looks names up; nil: [net.DefaultResolver]. Dial ignores it.
	Resolver *net.Resolver
	// LocalAddr is the address that connections come from; not valid: any. A
	// tracker is then only asked over that address's family. Dial ignores it.
	LocalAddr netip.Addr
	// UserAgent is sent over HTTP; "": the name and version of this module.
	UserAgent string
	// TLS is cloned for https; its InsecureSkipVerify must not be set.
	TLS *tls.Config
	// Timeout bounds one announce or scrape with all its retries and redirects,
	// 0: [DefaultTimeout]; a context may end it earlier.
	Timeout time.Duration
	// UDPTimeout is the wait for the first reply over UDP, 0: [DefaultUDPTimeout].
	UDPTimeout time.Duration
	// Concurrent bounds the requests under way at once, 0: [DefaultConcurrent];
	// half as many go to one tracker. Others wait, as long as their context lets
	// them.
	Concurrent int
}

// Client announces to trackers and scrapes them. Its methods may be called
// concurrently.
//
// Rules for URLs: the schemes are http, https and udp. Addresses that are no
// machine's (unspecified, multicast), link-local ones and the metadata services of
// clouds are refused, as are trackers on this machine unless their path is /announce
// or begins with /announce/ (udp: none, or that) and is written plainly: without
// segments of dots, percent-encoding, backslashes and semicolons. A redirect leads no
// nearer to this machine than the server that sent it, and not from https to http. What
// is checked is the address that is dialled, and for a redirect that of the connection
// that it came over. Certificates are verified. At most [wire.MaxAnswer] bytes of an
// answer are read, after decompression.
//
// Errors: [*tracker.FailureError] when the tracker refused, [*AnswerError] when
// it sent something else than an answer, [*SilenceError] when it said nothing in
// time, [*URLError] for a URL that is not asked, an error with
// [ErrForbiddenAddress] for an address that is not, and those of package net.
// None of them shows more of a URL than scheme and host: paths and queries hold
// passkeys.
type Client struct {
	opts  Options
	slots chan struct{}

	dialer netguard.Dialer
	http   [familyCount]*netguard.Client

	mu     sync.Mutex
	udp    map[udpKey]*udpTracker // guarded by mu
	hosts  map[string]*hostSlots  // guarded by mu
	closed bool                   // guarded by mu
}

// New returns a client. Close it after use.
func New(o Options) (*Client, error) {
	if o.TLS != nil && o.TLS.InsecureSkipVerify {
		return nil, errors.New("trackerclient: TLS certificates must be verified")
	}
	if o.Timeout < 0 || o.UDPTimeout < 0 || o.Concurrent < 0 {
		return nil, errors.New("trackerclient: negative timeout or concurrency")
	}
	if o.UserAgent == "" {
		o.UserAgent = "spate/" + spate.Version
	}
	if strings.ContainsFunc(o.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, fmt.Errorf("trackerclient: user agent %q is not printable ASCII", o.UserAgent)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.UDPTimeout == 0 {
		o.UDPTimeout = DefaultUDPTimeout
	}
	if o.Concurrent == 0 {
		o.Concurrent = DefaultConcurrent
	}
	c := &Client{
		opts: o, slots: make(chan struct{}, o.Concurrent), udp: map[udpKey]*udpTracker{}, hosts: map[string]*hostSlots{},
		dialer: netguard.Dialer{Dial: o.Dial, DialsNames: true, LocalAddr: o.LocalAddr, Resolver: o.Resolver},
	}
	for f := range familyCount {
		c.http[f] = c.httpClient(f)
	}
	return c, nil
}

// Close gives up what is under way over UDP and closes idle connections. The
// client is not used afterwards.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	open := c.udp
	c.udp = nil
	c.mu.Unlock()
	for _, t := range open {
		t.close(net.ErrClosed)
	}
	for _, h := range c.http {
		h.Close()
	}
	return nil
}

// Announce tells the tracker at rawURL of req and returns its answer. A tracker
// whose name has addresses of both families is told over both at once (BEP 7),
// and what it answers is put together.
func (c *Client) Announce(ctx context.Context, rawURL string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, done, err := c.begin(ctx, u)
	if err != nil {
		return nil, err
	}
	defer done()
	if c.bothFamilies(ctx, u) {
		return c.announceBoth(ctx, u, req)
	}
	return c.announce(ctx, familyAny, u, req)
}

// announce announces over one family.
func (c *Client) announce(ctx context.Context, f family, u *url.URL, req *tracker.AnnounceRequest) (resp *tracker.AnnounceResponse, err error) {
	if u.Scheme == "udp" {
		resp, err = c.announceUDP(ctx, f, u, req)
	} else {
		resp, err = c.announceHTTP(ctx, f, u, req)
	}
	if err != nil {
		return nil, c.explain(ctx, u, err)
	}
	return resp, nil
}

// Scrape asks the tracker at rawURL, an announce URL, for the counts of hashes:
// at most [tracker.MaxScrapeUDP] of them, one or more. Swarms that the tracker
// does not know may be missing in what it returns.
func (c *Client) Scrape(ctx context.Context, rawURL string, hashes []spate.InfoHash) ([]tracker.ScrapeEntry, error) {
	if len(hashes) == 0 || len(hashes) > tracker.MaxScrapeUDP {
		return nil, fmt.Errorf("trackerclient: a scrape is of 1 to %d info-hashes, not %d", tracker.MaxScrapeUDP, len(hashes))
	}
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, done, err := c.begin(ctx, u)
	if err != nil {
		return nil, err
	}
	defer done()
	var out []tracker.ScrapeEntry
	if u.Scheme == "udp" {
		out, err = c.scrapeUDP(ctx, familyAny, u, hashes)
	} else {
		out, err = c.scrapeHTTP(ctx, familyAny, u, hashes)
	}
	if err != nil {
		return nil, c.explain(ctx, u, err)
	}
	return out, nil
}

// begin waits for a place among the concurrent requests, first of the tracker's
// own, so that a tracker that is down leaves half of them to the others, then of
// all; and starts the clock.
func (c *Client) begin(ctx context.Context, u *url.URL) (context.Context, func(), error) {
	host := c.enterHost(u.Host)
	for _, slots := range [...]chan struct{}{host.slots, c.slots} {
		select {
		case slots <- struct{}{}:
			continue
		case <-ctx.Done():
		}
		if slots == c.slots {
			<-host.slots
		}
		c.leaveHost(u.Host, host)
		return nil, nil, c.explain(ctx, u, ctx.Err())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.opts.Timeout, errTimeout)
	return ctx, func() {
		cancel()
		<-c.slots
		<-host.slots
		c.leaveHost(u.Host, host)
	}, nil
}

// hostSlots are the places of one tracker.
type hostSlots struct {
	slots chan struct{}
	users int // guarded by Client.mu
}

// enterHost returns the places of host, to be left again.
func (c *Client) enterHost(host string) *hostSlots {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[host]
	if h == nil {
		h = &hostSlots{slots: make(chan struct{}, max(1, c.opts.Concurrent/2))}
		c.hosts[host] = h
	}
	h.users++
	return h
}

func (c *Client) leaveHost(host string, h *hostSlots) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.users--; h.users == 0 {
		delete(c.hosts, host)
	}
}

// parseURL checks what can be checked of a tracker's URL before its name is
// resolved.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, &URLError{Reason: "it cannot be read"} // url.Error would show it whole
	}
	if err := checkURL(u); err != nil {
		return nil, err
	}
	u.Fragment = ""
	return u, nil
}

func checkURL(u *url.URL) error {
	fail := func(reason string) error { return &URLError{URL: origin(u), Reason: reason} }
	switch u.Scheme {
	case "http", "https":
	case "udp":
		if u.Port() == "" {
			return fail("a udp tracker needs a port")
		}
	default:
		return fail("its scheme is none of http, https, udp")
	}
	if u.Hostname() == "" {
		return fail("it names no host")
	}
	return nil
}

// origin is the part of u that may be shown.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// Package trackerclient announces to trackers and scrapes them over HTTP, HTTPS (BEP 3,
// 7, 23, 31, 48), UDP (BEP 15, 41) and WebSocket, as WebTorrent does.
// [Tiers] is the announce list of a torrent (BEP
// 12).
//
// The URL of a tracker comes from a torrent, which can be written by anybody. A
// [Client] therefore restricts the addresses that it connects to.
package trackerclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"spate"
	"spate/internal/netguard"
	"spate/internal/units"
	"spate/tracker"
)

// The defaults of [Options].
const (
	DefaultTimeout    = time.Minute
	DefaultUDPTimeout = 15 * time.Second // BEP 15; doubled with each try
	DefaultConcurrent = 50
)

// MaxPeers is the number of peers that an answer has at most for each address family. A client
// chooses them at random if the tracker sends more. Trackers send 200 at most if they are not
// asked for more.
const MaxPeers = 500

// udpTries is the number of packets that are sent before the client gives up (BEP 15).
// The client waits 15 s x 2^8 for a reply to the last one.
const udpTries = 9

// Options configures a [Client]. The zero value selects the defaults.
type Options struct {
	// Dial opens connections. The network is "tcp" or "udp", followed by 4 or 6 if the
	// address family matters. nil selects package net. A custom function must resolve
	// host names itself and is responsible for the addresses that they lead to.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// DialUDP opens connections to UDP trackers, in place of Dial, for example on the UDP
	// port at which peers connect. The network is "udp", "udp4" or "udp6", and the address
	// is an "IP:PORT" that the client has resolved and allows. If DialUDP returns
	// [errors.ErrUnsupported], or is nil, the client opens a socket for each tracker.
	DialUDP func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolver resolves host names. nil selects [net.DefaultResolver]. A custom Dial
	// ignores it.
	Resolver *net.Resolver
	// Proxy returns the proxy for requests to the URL of a tracker, or nil for a direct
	// connection. The scheme of a proxy is socks5 or http, and its URL has a port. A proxy gets host
	// names unresolved; local names are refused. An announce to a UDP tracker for whose URL Proxy returns a proxy
	// is an error, and nothing is sent. nil: all connections are direct.
	Proxy func(to *url.URL) (via *url.URL, err error)
	// LocalAddr is the local address of connections; any if it is not valid. Trackers
	// are then contacted only over its address family. With a loopback address, they are
	// contacted only on this machine, and no names except localhost are resolved. A custom
	// Dial ignores it.
	LocalAddr netip.Addr
	// UserAgent is sent to HTTP trackers. Empty selects the name and version of this
	// module.
	UserAgent string
	// TLS is the configuration for https. InsecureSkipVerify must be false.
	TLS *tls.Config
	// Timeout limits one announce or scrape including its retries and redirects. 0
	// selects [DefaultTimeout]. A context can end a request earlier.
	Timeout time.Duration
	// UDPTimeout is the time to wait for a reply to the first UDP packet. 0 selects
	// [DefaultUDPTimeout].
	UDPTimeout time.Duration
	// Concurrent limits the number of concurrent requests. 0 selects
	// [DefaultConcurrent]. One tracker gets at most half of them. Other requests wait
	// until their context ends.
	Concurrent int
}

// Client announces to trackers and scrapes them. It is safe for concurrent use.
//
// The scheme of a URL must be http, https or udp; [Client.AnnounceSignals] takes ws and wss, and
// [Client.Scrape] takes all five. The client refuses to connect to:
//
//   - unspecified, multicast and link-local addresses and the metadata services of clouds
//   - a tracker on this machine, unless its path is /announce or /scrape (for udp also
//     if it has no path) and is written plainly: without dot segments,
//     percent-encoding, backslashes and semicolons
//   - a private address after a redirect from a public one
//   - this machine after a redirect from another machine
//   - a host that is neither a name nor an address in its usual form, such as 127.1
//   - over http, https, ws and wss, a port of another service, such as 25
//   - an http URL after a redirect from https
//
// It checks the address that it actually connects to, and for a redirect the address of
// the connection that sent it. It verifies TLS certificates. It
// reads at most [wire.MaxAnswer] bytes of a response after decompression.
//
// The errors are [*tracker.FailureError] if the tracker refused, [*AnswerError] if the
// response is malformed, [*SilenceError] if there was none in time, [*URLError] for an
// unusable URL, [*AddressError] for a forbidden address, and those of package net. They
// show only the scheme and host of a URL, because the path and query may contain a
// passkey.
type Client struct {
	opts  Options
	slots chan struct{}

	dialer    netguard.Dialer
	dialerUDP netguard.Dialer // its Dial is Options.DialUDP
	http      [familyCount]*netguard.Client

	mu     sync.Mutex
	udp    map[udpKey]*udpTracker // guarded by mu
	hosts  map[string]*hostSlots  // guarded by mu
	closed bool                   // guarded by mu

	sockets            map[string]*wsTracker // by URL; guarded by mu
	wsCtx              context.Context       // ends when the client is closed
	wsStop             context.CancelFunc
	wsRetry, wsSilence time.Duration // wsFirstRetry and wsSilence; tests shorten them
	wsRuns             sync.WaitGroup
}

// New returns a client. Call Close when it is no longer needed.
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
		dialer: netguard.Dialer{Dial: o.Dial, DialsNames: true, LocalAddr: o.LocalAddr, OnlyLoopback: o.LocalAddr.IsLoopback(), Resolver: o.Resolver, Proxy: o.Proxy},
	}
	c.wsRetry, c.wsSilence = wsFirstRetry, wsSilence
	c.wsCtx, c.wsStop = context.WithCancel(context.Background())
	c.dialerUDP = c.dialer
	c.dialerUDP.Dial, c.dialerUDP.DialsNames = o.DialUDP, false
	for f := range familyCount {
		c.http[f] = c.httpClient(f)
	}
	return c, nil
}

// Close cancels the UDP requests in progress and closes the connections to WebSocket trackers and
// idle connections. The client must not be used afterwards.
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
	c.wsStop()
	c.wsRuns.Wait()
	return nil
}

// Announce sends req to the tracker at rawURL and returns its response. If the host
// name has addresses of both families, it announces over both at once (BEP 7) and
// merges the responses.
func (c *Client) Announce(ctx context.Context, rawURL string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	u, err := parseRequestURL(rawURL)
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

// announce announces over one address family.
func (c *Client) announce(ctx context.Context, f family, u *url.URL, req *tracker.AnnounceRequest) (resp *tracker.AnnounceResponse, err error) {
	if u.Scheme == "udp" {
		resp, err = c.announceUDP(ctx, f, u, req)
	} else {
		resp, err = c.announceHTTP(ctx, f, u, req)
	}
	if err != nil {
		return nil, c.explain(ctx, u, err)
	}
	resp.Peers = append(resp.Peers, c.lookUp(ctx, resp.PeerNames)...)
	resp.Peers = someOf(resp.Peers, MaxPeers)
	return resp, nil
}

// someOf returns n of the peers, chosen at random, or all if there are fewer. It reorders peers.
func someOf(peers []netip.AddrPort, n int) []netip.AddrPort {
	if len(peers) <= n {
		return peers
	}
	for i := range n {
		j := i + rand.IntN(len(peers)-i)
		peers[i], peers[j] = peers[j], peers[i]
	}
	return slices.Clone(peers[:n])
}

// Scrape requests the counts of hashes from the tracker whose announce URL is rawURL.
// It accepts 1 to [tracker.MaxScrapeUDP] hashes. The result may lack swarms that the
// tracker does not know.
func (c *Client) Scrape(ctx context.Context, rawURL string, hashes []spate.InfoHash) ([]tracker.ScrapeEntry, error) {
	if len(hashes) == 0 || len(hashes) > tracker.MaxScrapeUDP {
		return nil, fmt.Errorf("trackerclient: a scrape must have 1 to %s, not %d", units.Plural(tracker.MaxScrapeUDP, "info-hash"), len(hashes))
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
	switch u.Scheme {
	case "udp":
		out, err = c.scrapeUDP(ctx, familyAny, u, hashes)
	case "ws", "wss":
		return c.scrapeWS(ctx, u, hashes)
	default:
		out, err = c.scrapeHTTP(ctx, familyAny, u, hashes)
	}
	if err != nil {
		return nil, c.explain(ctx, u, err)
	}
	return out, nil
}

// begin waits until a request to the tracker may start, then applies the timeout. It
// first takes one of the tracker's own slots, so that a tracker that does not respond
// leaves half of the client's slots to the others.
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

// hostSlots limits the concurrent requests to one tracker.
type hostSlots struct {
	slots chan struct{}
	users int // guarded by Client.mu
}

// enterHost returns the slots of host. The caller must call leaveHost.
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
	h.users--
	if h.users == 0 {
		delete(c.hosts, host)
	}
}

// parseURL parses the URL of a tracker and checks all that can be checked before its
// host name is resolved.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, &URLError{Reason: "it is malformed"} // the text of a url.Error would contain the whole URL
	}
	if err := checkURL(u); err != nil {
		return nil, err
	}
	u.Fragment = ""
	return u, nil
}

// parseRequestURL parses the URL of a tracker that is asked by one request.
func parseRequestURL(raw string) (*url.URL, error) {
	u, err := parseURL(raw)
	if err == nil && (u.Scheme == "ws" || u.Scheme == "wss") {
		return nil, &URLError{URL: origin(u), Reason: "WebSocket trackers are for WebRTC, which is turned off here"}
	}
	return u, err
}

func checkURL(u *url.URL) error {
	fail := func(reason string) error { return &URLError{URL: origin(u), Reason: reason} }
	switch u.Scheme {
	case "http", "https", "ws", "wss":
	case "udp":
		if u.Port() == "" {
			return fail("a udp tracker needs a port")
		}
	default:
		return fail("the scheme must be http, https, udp, ws or wss")
	}
	if u.Hostname() == "" {
		return fail("it has no host")
	}
	return nil
}

// origin returns the part of u that may be shown: scheme and host.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

package doctor

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"spate"
	"spate/internal/netguard"
	"spate/internal/proxy"
	"spate/internal/units"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// Trackers asks trackers for checks.
type Trackers struct {
	Bind  netip.Addr    // the local address of connections; the zero Addr: any
	Names *net.Resolver // nil: that of package net
	Proxy proxy.Chooser // chooses the proxies of requests; nil: all are direct
	// IPv4 and IPv6 are the local addresses of packets to the internet; not valid: no route.
	IPv4, IPv6 netip.Addr
	// Port is the port that is announced. It must not be that of a process that takes part in the
	// swarm, because trackers may know a peer by its address and port. 0 selects one that hardly any
	// program uses.
	Port    uint16
	Now     func() time.Time
	Timeout time.Duration // for each family of a tracker; 0: 15 seconds
}

const (
	unusedPort  = 65535           // announced if Trackers.Port is 0
	leaveWithin = 3 * time.Second // limits the announce of "stopped"
	latePeers   = 20              // peers that CheckAgain asks for
)

// way is an address family over which a tracker is asked.
type way struct {
	label string     // such as " over IPv6"; "" if the URL has an address
	local netip.Addr // the local address; not valid: any
}

// Check announces a torrent to a tracker over each address family that both sides have, and
// announces "stopped" at once.
func (t *Trackers) Check(ctx context.Context, rawURL string, ih spate.InfoHash) []Finding {
	name := siteOf(rawURL)
	u, err := url.Parse(rawURL)
	if err != nil {
		return []Finding{about("tracker", name, "the URL cannot be parsed").as(Fail, "correct or remove the URL: spate edit")}
	}
	if t.offBehindProxy(u) {
		return []Finding{about("tracker", name, "not asked, because UDP does not go through the proxy").as(Note, "")}
	}
	ways, out := t.ways(ctx, name, u)
	for _, w := range ways {
		out = append(out, t.ask(ctx, name, rawURL, ih, w))
	}
	return out
}

// offBehindProxy reports whether a tracker speaks UDP, and a proxy carries all connections.
func (t *Trackers) offBehindProxy(u *url.URL) bool {
	if t.Proxy == nil || u.Scheme != "udp" {
		return false
	}
	via, err := t.Proxy(u)
	return via != nil || err != nil
}

// Served reports whether findings of Check say that the tracker has answered an announce.
func Served(list []Finding) bool {
	return slices.ContainsFunc(list, func(f Finding) bool { return f.Check == "tracker" && (f.Level == OK || f.Level == Warn) })
}

// NoSeed reports whether findings of Check say that the tracker has answered an announce and knows no seed.
func NoSeed(list []Finding) bool {
	return Served(list) && !slices.ContainsFunc(list, func(f Finding) bool { return Served([]Finding{f}) && !f.noSeed })
}

// CheckAgain announces a torrent again to a tracker that has answered Check and knew no seed, because a
// seed may have started meanwhile, and announces "stopped" at once. It returns the peers in the answer.
func (t *Trackers) CheckAgain(ctx context.Context, rawURL string, ih spate.InfoHash) (f Finding, peers []netip.AddrPort) {
	name := siteOf(rawURL)
	f = about("tracker", name, "it does not answer a second time").as(Note, "")
	u, err := url.Parse(rawURL)
	if err != nil {
		return f, nil
	}
	ways, _ := t.ways(ctx, name, u)
	for _, w := range ways {
		resp, _, err := t.announce(ctx, rawURL, ih, w, latePeers)
		switch {
		case err != nil:
			continue
		case resp.Complete > 0:
			return about("tracker", name, "it knows %s now", units.Plural(resp.Complete, "seed")), resp.Peers
		}
		f = about("tracker", name, "it still knows no seed; one that has just started may need a moment, so run doctor again").as(Note, "")
		peers = append(peers, resp.Peers...)
	}
	return f, peers
}

// Scrape asks a tracker for the numbers of peers of a private torrent that another tracker serves. It
// announces nothing, because a private torrent is announced to one tracker at a time (BEP 27).
func (t *Trackers) Scrape(ctx context.Context, rawURL string, ih spate.InfoHash) []Finding {
	name := siteOf(rawURL)
	const only = "not announced to, because the torrent is private and another tracker serves it"
	u, err := url.Parse(rawURL)
	if err != nil {
		return t.Check(ctx, rawURL, ih) // which asks nobody
	}
	if t.offBehindProxy(u) {
		return t.Check(ctx, rawURL, ih)
	}
	ways, out := t.ways(ctx, name, u)
	for _, w := range ways {
		c, err := t.client(w)
		if err != nil {
			return append(out, failed("tracker", name, "it cannot be asked"+w.label, err, t.Now()))
		}
		entries, err := c.Scrape(ctx, rawURL, []spate.InfoHash{ih})
		c.Close()
		var (
			answer  *trackerclient.AnswerError
			failure *tracker.FailureError
			lacks   *trackerclient.URLError
		)
		switch {
		case errors.As(err, &answer), errors.As(err, &failure), errors.As(err, &lacks):
			out = append(out, about("tracker", name, "%s; it answers no scrape%s", only, w.label).as(Note, ""))
		case err != nil:
			out = append(out, failed("tracker", name, "it does not answer"+w.label, err, t.Now()))
		case len(entries) == 0:
			out = append(out, about("tracker", name, "%s; its scrape%s does not have the torrent", only, w.label).as(Note, ""))
		default:
			out = append(out, about("tracker", name, "it answers a scrape%s and knows %s; %s", w.label, units.Plural(max(0, entries[0].Complete), "seed"), only))
		}
	}
	return out
}

// client returns a client that asks trackers in one way.
func (t *Trackers) client(w way) (*trackerclient.Client, error) {
	timeout := cmp.Or(t.Timeout, 15*time.Second)
	return trackerclient.New(trackerclient.Options{LocalAddr: w.local, Resolver: t.Names, Proxy: t.Proxy, Timeout: timeout, UDPTimeout: timeout / 4})
}

// ways returns the address families over which a tracker is asked, and findings about the others.
func (t *Trackers) ways(ctx context.Context, name string, u *url.URL) (ways []way, out []Finding) {
	host := u.Hostname()
	if t.Proxy != nil {
		if via, err := t.Proxy(u); via != nil || err != nil { // the proxy resolves the name
			return []way{{" through the proxy", t.Bind}}, nil
		}
	}
	_, err := netip.ParseAddr(host)
	if err == nil || t.Bind.IsValid() || netguard.LocalHost(host) {
		return []way{{"", t.Bind}}, nil
	}
	if err := netguard.CheckHost(host); err != nil {
		return nil, []Finding{failed("tracker", name, "it cannot be asked", err, t.Now())}
	}
	names := t.Names
	if names == nil {
		names = net.DefaultResolver
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var failure error
	for _, f := range []struct {
		network, label string
		local          netip.Addr
	}{{"ip4", " over IPv4", t.IPv4}, {"ip6", " over IPv6", t.IPv6}} {
		addrs, err := names.LookupNetIP(ctx, f.network, host)
		switch {
		case err != nil || len(addrs) == 0:
			failure = cmp.Or(failure, err)
		case !f.local.IsValid():
			out = append(out, about("tracker", name, "not asked%s, which this machine does not have", f.label).as(Note, ""))
		default:
			ways = append(ways, way{f.label, f.local})
		}
	}
	if len(ways) == 0 && len(out) == 0 && failure != nil {
		out = append(out, failed("tracker", name, "it cannot be asked", failure, t.Now()))
	}
	return ways, out
}

// ask announces to a tracker in one way.
func (t *Trackers) ask(ctx context.Context, name, rawURL string, ih spate.InfoHash, w way) Finding {
	resp, took, err := t.announce(ctx, rawURL, ih, w, 1)
	if err != nil {
		return failed("tracker", name, "it does not serve the torrent"+w.label, err, t.Now())
	}
	f := about("tracker", name, "it answers%s in %v", w.label, took.Round(100*time.Microsecond))
	f.noSeed = resp.Complete == 0
	if resp.Complete >= 0 {
		f.Text += " and knows " + units.Plural(resp.Complete, "seed")
	}
	if resp.Warning != "" {
		f.Text += "; it warns: " + resp.Warning
		return f.as(Warn, "follow the warning, or ask its operator")
	}
	return f
}

// announce announces to a tracker in one way, asks for numWant peers, and announces "stopped" at once. It
// also returns the time that the answer took.
func (t *Trackers) announce(ctx context.Context, rawURL string, ih spate.InfoHash, w way, numWant int) (*tracker.AnnounceResponse, time.Duration, error) {
	c, err := t.client(w)
	if err != nil {
		return nil, 0, err
	}
	defer c.Close()
	req := &tracker.AnnounceRequest{InfoHash: ih, PeerID: spate.NewPeerID(), Port: cmp.Or(t.Port, unusedPort), Left: tracker.Unknown, Event: tracker.EventStarted, NumWant: numWant}
	began := time.Now()
	resp, err := announce(ctx, c, rawURL, req)
	took := time.Since(began)
	if err == nil || ctx.Err() != nil { // an announce that was interrupted may have arrived
		leave(ctx, c, rawURL, req)
	}
	return resp, took, err
}

// leave announces "stopped" after req, also if ctx has ended. The tracker forgets the peer by itself
// if this fails.
func leave(ctx context.Context, c *trackerclient.Client, rawURL string, req *tracker.AnnounceRequest) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	req.Event, req.NumWant = tracker.EventStopped, 0
	announce(ctx, c, rawURL, req)
}

// announce announces to a tracker, without offers if it is a WebSocket tracker.
func announce(ctx context.Context, c *trackerclient.Client, rawURL string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	if strings.HasPrefix(rawURL, "ws://") || strings.HasPrefix(rawURL, "wss://") {
		return c.AnnounceSignals(ctx, rawURL, req, nil)
	}
	return c.Announce(ctx, rawURL, req)
}

// Clock returns the clock and the certificate of an HTTP tracker that has answered an announce.
func (t *Trackers) Clock(ctx context.Context, w *Web, rawURL string) ([]Finding, []ServerTime) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, nil
	}
	r, err := w.ask(ctx, http.MethodGet, rawURL, netguard.ToMachine, 0)
	if err != nil {
		return nil, nil // Check has reported what keeps it from answering
	}
	return r.certificate(t.Now()), r.clock
}

// siteOf returns the scheme and the host of a URL, because the rest can contain a passkey.
func siteOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return "a tracker"
	}
	return u.Scheme + "://" + u.Host
}

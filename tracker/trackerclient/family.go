package trackerclient

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"spate/tracker"
)

// family is the address family that a request uses.
type family uint8

const (
	familyAny family = iota
	family4
	family6
	familyCount
)

// secondFamilyGrace is how long the client waits for the response over the second
// family after it has the first one. It is short because the caller needs the peers.
const secondFamilyGrace = 3 * time.Second

// of returns network, "tcp" or "udp", with the suffix for the family f.
func (f family) of(network string) string { return network + [...]string{"", "4", "6"}[f] }

// bothFamilies reports whether the host of u is a name with addresses of both families,
// and the options of the client allow both.
func (c *Client) bothFamilies(ctx context.Context, u *url.URL) bool {
	host := u.Hostname()
	if via, err := c.proxyFor(u); via != nil || err != nil {
		return false // the proxy resolves the name
	}
	if _, err := netip.ParseAddr(host); err == nil || c.opts.Dial != nil || c.opts.LocalAddr.IsValid() {
		return false
	}
	resolver := c.opts.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	addrs, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false // the connection attempt will return the error
	}
	is4 := func(a netip.Addr) bool { return a.Unmap().Is4() }
	return slices.ContainsFunc(addrs, is4) && slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !is4(a) })
}

// proxyFor returns the proxy for requests to u, or nil.
func (c *Client) proxyFor(u *url.URL) (*url.URL, error) {
	if c.opts.Proxy == nil {
		return nil, nil
	}
	return c.opts.Proxy(u)
}

// announceBoth announces over both families concurrently. If both fail, it returns the
// error of IPv4.
func (c *Client) announceBoth(ctx context.Context, u *url.URL, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		f    family
		resp *tracker.AnnounceResponse
		err  error
	}
	results := make(chan result, 2)
	for _, f := range [...]family{family4, family6} {
		go func() {
			resp, err := c.announce(ctx, f, u, req)
			results <- result{f, resp, err}
		}()
	}
	first := <-results
	var grace <-chan time.Time
	if first.err == nil {
		timer := time.NewTimer(secondFamilyGrace)
		defer timer.Stop()
		grace = timer.C
	}
	select {
	case second := <-results:
		if second.f == family4 {
			first, second = second, first
		}
		switch {
		case first.err != nil && second.err != nil:
			return nil, first.err
		case first.err != nil:
			return second.resp, nil
		case second.err != nil:
			return first.resp, nil
		}
		return merge(first.resp, second.resp), nil
	case <-grace:
		return first.resp, nil
	}
}

// merge adds to a the peers and values of b that a lacks, and returns a.
func merge(a, b *tracker.AnnounceResponse) *tracker.AnnounceResponse {
	known := map[netip.AddrPort]bool{}
	for _, p := range a.Peers {
		known[p] = true
	}
	for _, p := range b.Peers {
		if !known[p] {
			known[p] = true
			a.Peers = append(a.Peers, p)
		}
	}
	a.Interval = max(a.Interval, b.Interval)
	a.MinInterval = max(a.MinInterval, b.MinInterval)
	a.Complete = max(a.Complete, b.Complete)
	a.Incomplete = max(a.Incomplete, b.Incomplete)
	a.Downloaded = max(a.Downloaded, b.Downloaded)
	if a.Warning == "" {
		a.Warning = b.Warning
	}
	if a.TrackerID == "" {
		a.TrackerID = b.TrackerID
	}
	if !a.ExternalIP.IsValid() {
		a.ExternalIP = b.ExternalIP
	}
	return a
}

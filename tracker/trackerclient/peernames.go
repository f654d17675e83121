package trackerclient

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// Bounds of the lookup of the peers that a tracker names by DNS names.
const (
	lookupTime   = 5 * time.Second
	maxNameAddrs = 4 // addresses of one name
)

// lookUp returns the addresses of peers that a tracker named as host:port. It looks up all names
// at the same time, and leaves out names that have no address or are not found in time. It
// looks up none if the client is bound to a loopback address, or if Options.Dial or a proxy for all
// connections resolves names, because lookups would then bypass it. The addresses are those of a stranger: the
// caller decides which of them it uses.
func (c *Client) lookUp(ctx context.Context, names []string) []netip.AddrPort {
	if len(names) == 0 || c.opts.Dial != nil || c.opts.LocalAddr.IsLoopback() {
		return nil
	}
	if via, err := c.proxyFor(&url.URL{Scheme: "tcp"}); via != nil || err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	r := c.opts.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	found := make([][]netip.AddrPort, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		host, port, err := net.SplitHostPort(name)
		n, perr := strconv.ParseUint(port, 10, 16)
		if err != nil || perr != nil {
			continue
		}
		wg.Go(func() {
			addrs, _ := r.LookupNetIP(ctx, "ip", host) // a name that is not found is no peer
			for _, a := range addrs[:min(len(addrs), maxNameAddrs)] {
				found[i] = append(found[i], netip.AddrPortFrom(a.Unmap().WithZone(""), uint16(n)))
			}
		})
	}
	wg.Wait()
	var all []netip.AddrPort
	for _, f := range found {
		all = append(all, f...)
	}
	return all
}

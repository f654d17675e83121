package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"spate/internal/reach"
	"spate/internal/units"
	"spate/internal/weburl"
	"spate/portmap"
	"spate/publish"
)

// publicAddress is where others reach a publisher. It changes with the address of the home.
type publicAddress struct {
	base     *url.URL
	guessed  bool             // base is a guess; others may have seen another address than the router's
	mapped   bool             // the router passes connections to base
	announce [][]string       // trackers of all releases, those of this process first
	own      int              // number of tiers of this process in announce
	origins  []netip.AddrPort // where peers reach the seed
}

// settleTime bounds how long a publisher waits for the router, because the torrents that it
// makes contain the external address.
const settleTime = 4 * time.Second

// siteRules returns the ports of the site and the UDP tracker that the router should map. There
// are none if the site is on loopback, or if others reach it at another port, such as a proxy's.
func (p *Publisher) siteRules() []portmap.Rule {
	http := p.sockets.httpAddr()
	var secure []portmap.Rule
	if p.addressHTTPS != nil && !addrPortOf(p.addressHTTPS.listener.Addr()).Addr().IsLoopback() {
		secure = p.addressHTTPS.rules()
	}
	if u := p.conf.PublicURL; http.Addr().IsLoopback() || u != nil && portOf(u) != http.Port() {
		return secure
	}
	udp, _ := netip.ParseAddrPort(p.sockets.udpAddr())
	switch {
	case !udp.IsValid() || udp.Addr().IsLoopback():
		return append([]portmap.Rule{{Protocols: portmap.TCP, Internal: http.Port()}}, secure...)
	case udp.Port() == http.Port():
		return append([]portmap.Rule{{Protocols: portmap.TCP | portmap.UDP, Internal: http.Port()}}, secure...)
	}
	return append([]portmap.Rule{{Protocols: portmap.TCP, Internal: http.Port()}, {Protocols: portmap.UDP, Internal: udp.Port()}}, secure...)
}

// siteMapped reports whether a router passes connections of strangers to the site.
func (p *Publisher) siteMapped() bool {
	if p.session.ports == nil {
		return false
	}
	port, st := p.sockets.httpAddr().Port(), p.session.ports.Status()
	return slices.ContainsFunc(slices.Concat(st.IPv4.Mappings, st.IPv6.Mappings), func(m portmap.Mapping) bool {
		return m.Protocol == portmap.TCP && m.Internal == port
	})
}

// portOf returns the port of an http or https URL.
func portOf(u *url.URL) uint16 {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(n)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// findAddress returns where others reach the publisher now: at the public URL, at the address of
// the router if that maps the site, or else at a guessed address of this machine. If others see
// another address than that of the router, so that it is a guess, the tracker names the seed at both
// addresses.
func (p *Publisher) findAddress(ctx context.Context) *publicAddress {
	a, udp, http := &publicAddress{}, p.sockets.udpAddr(), p.sockets.httpAddr()
	var local *url.URL
	local, a.guessed = publicURL(p.conf.PublicURL, http, p.secure != nil)
	a.base = local
	router, other := p.session.mappedOrSeen()
	if at := router.Reached(portmap.TCP, http.Port()); p.conf.PublicURL == nil && at.IsValid() {
		a.base, a.guessed, a.mapped = weburl.FromAddr(local.Scheme, at), other.IsValid(), true
		if _, port, err := net.SplitHostPort(udp); err == nil {
			n, _ := strconv.ParseUint(port, 10, 16)
			udp = ""
			if at := router.Reached(portmap.UDP, uint16(n)); at.IsValid() {
				udp = at.String()
			}
		}
	}
	own := announceURLs(a.base, udp, p.secure != nil)
	a.own, a.announce = len(own), append(own, p.conf.Trackers...)
	named, port := p.conf.PublicURL != nil, p.session.PeerPort()
	if named {
		port = p.session.AdvertisedPort()
	}
	a.origins = originAddrs(ctx, p.env.resolver(), p.conf.Session.Options.Bind, local, named, port)
	if at := router.Reached(p.session.peerProtocol(), p.session.PeerPort()); at.IsValid() && !slices.Contains(a.origins, at) {
		a.origins = append([]netip.AddrPort{at}, a.origins...)
		if other.IsValid() {
			a.origins = append(a.origins, netip.AddrPortFrom(other, at.Port()))
		}
	}
	return a
}

// use makes an address the current one.
func (p *Publisher) use(a *publicAddress) {
	urls := slices.Concat(a.announce[:a.own]...)
	if at, err := netip.ParseAddr(a.base.Hostname()); err == nil && p.addressHTTPS != nil {
		urls = append(urls, publish.Absolute(weburl.FromAddr("https", netip.AddrPortFrom(at, p.addressHTTPS.port())), "/announce"))
		urls = append(urls, publish.Absolute(weburl.FromAddr("https", netip.AddrPortFrom(at, 443)), "/announce"))
	}
	p.own.set(urls, a.origins[0])
	p.address.Store(a)
	p.addressHTTPS.look()
}

// followAddress replaces the address in releases when the router gets another one, until ctx
// ends. While the router maps nothing, the last address stays.
func (p *Publisher) followAddress(ctx context.Context) error {
	if p.session.ports == nil {
		return nil
	}
	every := reachEvery
	if p.conf.PublicURL != nil {
		every = time.Minute // findAddress resolves the name
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var pace movePace
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if router := p.session.mapped(); router.Way == portmap.None || !pace.allows(time.Now()) {
			continue
		}
		was, is := p.address.Load(), p.findAddress(ctx)
		if was.mapped && !is.mapped || ctx.Err() != nil {
			continue
		}
		moved := is.base.String() != was.base.String() || !slices.EqualFunc(is.announce, was.announce, slices.Equal)
		if moved || !sameAddrs(is.origins, was.origins) {
			pace.moved(time.Now())
			p.move(ctx, was, is, moved)
		}
	}
}

// sameAddrs reports whether a and b have the same addresses in any order, because that of a
// name's addresses changes.
func sameAddrs(a, b []netip.AddrPort) bool {
	sorted := func(list []netip.AddrPort) []netip.AddrPort {
		return slices.SortedFunc(slices.Values(list), netip.AddrPort.Compare)
	}
	return slices.Equal(sorted(a), sorted(b))
}

// movePace limits how often the releases move, because a router can name another address each
// time. The pause after a move is 30 seconds. It doubles up to an hour while moves follow each
// other, and begins again after a day without one.
type movePace struct {
	last  time.Time // of the last move
	pause time.Duration
}

func (m *movePace) allows(now time.Time) bool { return m.last.IsZero() || now.Sub(m.last) >= m.pause }

func (m *movePace) moved(now time.Time) {
	if m.last.IsZero() || now.Sub(m.last) > 24*time.Hour {
		m.pause = 15 * time.Second
	}
	m.last, m.pause = now, min(2*m.pause, time.Hour)
}

// move changes the address of all releases.
func (p *Publisher) move(ctx context.Context, was, is *publicAddress, moved bool) {
	p.use(is)
	out, err := p.publisher.Move(ctx, is.base, is.announce)
	if err != nil && ctx.Err() == nil {
		p.env.Warnf("the releases still have the address %s: %v", was.base, err)
	}
	for _, problem := range out.Problems {
		p.env.Log.Warn("a release could not be moved to the new address", "err", problem)
	}
	if err := p.pinAgain(ctx); err != nil && ctx.Err() == nil {
		p.env.Log.Warn("the tracker names an old address of this machine", "err", err)
	}
	if !moved {
		return
	}
	p.env.Warnf("others now reach this at %s instead of %s: links and .torrent files with the old address are dead; a name (dynamic DNS) with --public-url avoids this", is.base, was.base)
	if n := len(out.Repointed); n > 0 {
		p.env.Notef("the torrents of %s now contain the URL %s", units.Plural(n, "release"), is.base)
	}
	if n := len(out.Unsigned); n > 0 {
		p.env.Warnf("the signatures of %s were removed; start spate serve with --sign to sign again", units.Plural(n, "release"))
	}
}

// pinAgain tells the tracker the present addresses of this machine for all releases that it
// seeds.
func (p *Publisher) pinAgain(ctx context.Context) error {
	list, _, err := p.publisher.Catalog().List(ctx, publish.Query{All: true})
	errs := []error{err}
	for _, r := range list {
		t := p.session.Torrent(r.Hash()) // nil while it is dormant
		served := p.publisher.NotSeeded(r.Hash()) == nil && (t == nil || p.seedStateOf(t).origin)
		errs = append(errs, p.publisher.SetServed(r, served))
	}
	return errors.Join(errs...)
}

// dhtNode returns the DHT node of the seed as HOST:PORT, with the host of the site, or "" if it is
// disabled or if machines outside this network cannot reach the site. The port is that of the UDP
// tracker if the node answers there too, because others reach that port if they reach the tracker.
func (p *Publisher) dhtNode() string {
	a := p.address.Load()
	host, port := a.base.Hostname(), p.session.AdvertisedPort()
	if p.session.nodes == nil || port == 0 || Reach(host) != "" {
		return ""
	}
	if p.conf.TrackerDHT {
		for _, u := range slices.Concat(a.announce[:a.own]...) {
			if t, err := url.Parse(u); err == nil && t.Scheme == "udp" {
				return t.Host
			}
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// answerDHT answers a message of the DHT on the port of the UDP tracker.
func (p *Publisher) answerDHT(from netip.AddrPort, packet, out []byte) []byte {
	if p.session.nodes == nil {
		return nil
	}
	return p.session.nodes.node.Answer(from, packet, out)
}

// Reach returns what is known about whether others on the internet can connect.
func (p *Publisher) Reach() reach.Status { return p.session.Reach() }

// DialBack asks connected peers to connect to this process; see [Session.DialBack].
func (p *Publisher) DialBack(ctx context.Context) reach.DialBack { return p.session.DialBack(ctx) }

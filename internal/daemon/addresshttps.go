package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"time"

	"spate/internal/netguard"
	"spate/internal/sockerr"
	"spate/internal/weburl"
	"spate/portmap"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
)

// addressHTTPS serves HTTPS at the public address of a publisher, beside plain HTTP, with a certificate
// for the address itself (RFC 8738). Such certificates are valid for six days; certmagic renews them
// after two thirds of this time.
type addressHTTPS struct {
	env      *Env
	ca       *authority
	listener net.Listener // HTTPS
	routed   net.Listener // HTTPS at the port that the router maps; nil: none
	plain    net.Listener // answers HTTP challenges and redirects; nil: none
	// onlyRouted says that listener is at the port that the router maps.
	onlyRouted bool
	anyAddr    bool // the authority may issue certificates for private addresses too

	// at returns where others reach the listener, as far as is known. Its address may be private, or
	// not valid.
	at func() netip.AddrPort
	// base returns the URL of the plain site.
	base func() *url.URL

	moved       chan struct{} // contains an element if the address may have changed
	settled     chan struct{} // closed once the first certificate came or turned out not to
	settledOnce sync.Once

	mu      sync.Mutex
	managed netip.Addr // the address whose certificate is obtained and renewed
	told    string     // the last problem that was printed
}

// shortLived is the profile of certificates for addresses: Let's Encrypt issues them with this profile
// only. Authorities without profiles ignore it.
const shortLived = "shortlived"

// routedPort is the port to which the router shall pass port 443. Some routers map no ports below 1024 of
// their network. miniupnpd, asked by PCP for one that its rules forbid, never answers anybody again.
const routedPort = "8443"

// openAddressHTTPS opens the listeners of HTTPS at the address. It returns nil if c has no Address. The
// caller sets at and base before it calls run. routed says that a router may map ports.
func (e *Env) openAddressHTTPS(c *HTTPSConfig, state string, routed bool) (_ *addressHTTPS, err error) {
	if c.Address == "" {
		return nil, nil
	}
	h := &addressHTTPS{env: e, anyAddr: c.CA != "", moved: make(chan struct{}, 1), settled: make(chan struct{})}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	var missing error
	h.listener, missing = net.Listen("tcp", c.Address)
	if routed {
		host, _, _ := net.SplitHostPort(c.Address)
		if h.routed, err = net.Listen("tcp", net.JoinHostPort(host, routedPort)); err != nil {
			h.routed, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
		}
		if err != nil {
			return nil, listenError(err, "HTTPS", "tcp", c.Address, "https-listen")
		}
	}
	switch {
	case missing == nil:
	case notPermitted(missing) && c.AnyPort && h.routed != nil:
		h.listener, h.routed = h.routed, nil
		h.onlyRouted = true
	default:
		return nil, listenError(missing, "HTTPS", "tcp", c.Address, "https-listen")
	}
	own := addrPortOf(h.listener.Addr())
	template := certmagic.ACMEIssuer{
		Profile: shortLived, ListenHost: own.Addr().String(), AltTLSALPNPort: int(own.Port()), DisableHTTPChallenge: true,
	}
	if c.Redirect != "" {
		h.plain, err = net.Listen("tcp", c.Redirect)
		switch {
		case err == nil:
			template.DisableHTTPChallenge, template.AltHTTPPort = false, int(addrPortOf(h.plain.Addr()).Port())
		case c.AnyPort:
			e.Log.Info("plain HTTP is not redirected", "err", err)
		default:
			return nil, listenError(err, "the redirect to HTTPS", "tcp", c.Redirect, "redirect")
		}
	}
	h.ca, err = e.newACME(c, state, template, h.event)
	return h, err
}

// behindNAT reports whether others reach this machine through a router that can map ports: its address of
// IPv4 is private. bind is the local address; the zero Addr: any.
func behindNAT(bind netip.Addr) bool {
	if !bind.IsValid() || bind.IsUnspecified() {
		bind = RouteAddr(false)
	}
	return bind.Is4() && netguard.KindOf(bind) == netguard.Private
}

// notPermitted reports whether the user may not use a port.
func notPermitted(err error) bool {
	return errors.Is(err, fs.ErrPermission) || sockerr.Is(err, syscall.EACCES)
}

// rules returns the port that the router should map: the authority connects to port 443 or 80 only.
func (h *addressHTTPS) rules() []portmap.Rule {
	port := h.routedPort()
	if port == 0 {
		return nil
	}
	return []portmap.Rule{{Protocols: portmap.TCP, Internal: port, Wanted: 443, Optional: true}}
}

// port returns the local port of HTTPS.
func (h *addressHTTPS) port() uint16 { return addrPortOf(h.listener.Addr()).Port() }

// routedPort returns the local port that the router should map, or 0.
func (h *addressHTTPS) routedPort() uint16 {
	switch {
	case h.onlyRouted:
		return h.port()
	case h.routed != nil:
		return addrPortOf(h.routed.Addr()).Port()
	}
	return 0
}

// tls returns the configuration of the listener. Clients name no address in their handshake (RFC 6066,
// section 3), so that each handshake but that of a challenge gets the certificate of the present address.
func (h *addressHTTPS) tls() *tls.Config {
	c := h.ca.tls()
	next := c.GetCertificate
	c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if slices.Equal(hello.SupportedProtos, []string{acmez.ACMETLS1Protocol}) {
			return next(hello)
		}
		h.mu.Lock()
		addr := h.managed
		h.mu.Unlock()
		if !addr.IsValid() {
			return nil, errors.New("there is no certificate yet")
		}
		named := *hello
		named.ServerName = addr.String()
		return next(&named)
	}
	return c
}

// run obtains and renews the certificate of the present address until ctx ends.
func (h *addressHTTPS) run(ctx context.Context) error {
	defer h.ca.cache.Stop()
	tick := time.NewTicker(reachEvery)
	defer tick.Stop()
	stop := func() {} // ends the requests for the certificate of managed
	for {
		if addr := h.at().Addr(); h.issuable(addr) && addr != h.managed { // run alone changes managed
			stop()
			work, cancel := context.WithCancel(ctx)
			defer cancel()
			stop = cancel
			if err := h.manage(work, addr); err != nil {
				h.problem(fmt.Sprintf("no certificate for %s: %v", addr, err), "")
			}
		} else if !h.managed.IsValid() {
			h.tellPrivate(addr)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.moved:
		case <-tick.C:
		}
	}
}

// look makes run look at the address again. h may be nil.
func (h *addressHTTPS) look() {
	if h == nil {
		return
	}
	select {
	case h.moved <- struct{}{}:
	default:
	}
}

// issuable reports whether the authority may issue a certificate for an address.
func (h *addressHTTPS) issuable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && (h.anyAddr || netguard.KindOf(a) == netguard.Public)
}

// manage makes addr the address whose certificate is obtained and renewed until ctx ends.
func (h *addressHTTPS) manage(ctx context.Context, addr netip.Addr) error {
	h.mu.Lock()
	was := h.managed
	h.managed = addr
	h.mu.Unlock()
	if was.IsValid() {
		h.ca.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: was.String()}})
	}
	if err := h.ca.checkStored(addr.String()); err != nil {
		return err
	}
	return h.ca.config.ManageAsync(ctx, []string{addr.String()})
}

// url returns the URL of the site over HTTPS, or nil while there is no valid certificate for the
// present address. h may be nil.
func (h *addressHTTPS) url() *url.URL {
	if h == nil {
		return nil
	}
	at := h.at()
	if !at.IsValid() {
		return nil
	}
	for _, c := range h.ca.cache.AllMatchingCertificates(at.Addr().String()) {
		if now := h.env.Now(); c.Leaf != nil && !now.Before(c.Leaf.NotBefore) && now.Before(c.Leaf.NotAfter) {
			return weburl.FromAddr("https", at)
		}
	}
	return nil
}

// await waits until the first certificate came, or turned out not to come, at most for a time. h may be
// nil.
func (h *addressHTTPS) await(ctx context.Context, most time.Duration) {
	if h == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-h.settled:
	case <-ctx.Done():
	}
}

// settle says that the first certificate came or turned out not to.
func (h *addressHTTPS) settle() { h.settledOnce.Do(func() { close(h.settled) }) }

// handler answers the challenges of the authority over plain HTTP, and leads other requests to the site:
// over HTTPS if there is a certificate. The redirect is temporary, because a certificate can expire.
func (h *addressHTTPS) handler() http.Handler {
	return h.ca.issuer.HTTPChallengeHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := h.url()
		if to == nil {
			to = h.base()
		}
		w.Header().Set("Connection", "close")
		w.Header().Set("Location", to.Scheme+"://"+to.Host+localURI(r.URL))
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
}

// close closes the listeners. h may be nil.
func (h *addressHTTPS) close() {
	if h == nil {
		return
	}
	for _, l := range []net.Listener{h.listener, h.routed, h.plain} {
		if l != nil {
			l.Close()
		}
	}
}

// serveAddress makes the tracker node serve h beside the socket of plain HTTP. h may be nil.
func (n *TrackerNode) serveAddress(h *addressHTTPS, site func() http.Handler) {
	if h == nil {
		return
	}
	n.also = append(n.also, h.run)
	for _, l := range []net.Listener{h.listener, h.routed} {
		if l != nil {
			n.also = append(n.also, func(ctx context.Context) error {
				return n.env.serveHTTP(ctx, n.server.TLSListener(l, h.tls()), site(), n.line)
			})
		}
	}
	if h.plain != nil {
		n.also = append(n.also, func(ctx context.Context) error {
			return n.env.serveHTTP(ctx, n.server.Bound(h.plain), h.handler(), nil)
		})
	}
}

// httpsAddr returns where others reach HTTPS at the address of this publisher: at the router, or at the
// address of the site.
func (p *Publisher) httpsAddr() netip.AddrPort {
	routed, outside := p.addressHTTPS.routedPort(), p.addressHTTPS.port()
	if p.addressHTTPS.plain == nil {
		outside = 443 // the authority has reached no other
	}
	if u := p.conf.PublicURL; u == nil {
		if at := p.session.mapped().Reached(portmap.TCP, routed); at.IsValid() {
			return at
		}
	} else if named, err := netip.ParseAddr(u.Hostname()); err == nil {
		if at := p.session.mapped().Reached(portmap.TCP, routed); at.Addr() == named {
			return at
		}
	}
	a, err := netip.ParseAddr(p.address.Load().base.Hostname())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, outside)
}

// SiteURL returns the URL that links to the site contain: over HTTPS if this publisher has a certificate
// for its address, and otherwise [Publisher.BaseURL]. Torrents contain the latter, so that they do not
// depend on the certificate.
func (p *Publisher) SiteURL() *url.URL {
	if u := p.addressHTTPS.url(); u != nil {
		return u
	}
	return p.address.Load().base
}

// awaitHTTPSMost bounds how long a publisher waits for the certificate of its address before it prints
// links. Let's Encrypt takes a few seconds.
const awaitHTTPSMost = 20 * time.Second

// AwaitHTTPS waits until links may contain https: until the certificate of the address came, or turned
// out not to. It returns at once without [HTTPSConfig.Address].
func (p *Publisher) AwaitHTTPS(ctx context.Context) { p.addressHTTPS.await(ctx, awaitHTTPSMost) }

package daemon

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddyserver/certmagic"
)

// HTTPSConfig says how HTTPS is served: with a certificate in files, with a certificate for
// a domain or for an address from an ACME authority, or not at all if it is zero.
type HTTPSConfig struct {
	CertFile, KeyFile string

	Domain   string
	Email    string // contact address for the authority; may be empty
	CA       string // directory URL of the authority; empty is Let's Encrypt
	CARoots  string // file with the roots that verify the authority's own HTTPS; may be empty
	Redirect string // HOST:PORT that redirects plain HTTP to HTTPS; empty: none

	// Address is the HOST:PORT that serves HTTPS beside plain HTTP, with a certificate for the public
	// address of this machine. Empty: none.
	Address string
	// AnyPort says that another port than that of Address may be used, which the router then maps,
	// and that the listener of Redirect may be missing: both are defaults that a user may lack the
	// permission for.
	AnyPort bool
}

// ValidDomain reports whether an ACME authority can issue a certificate for name.
func ValidDomain(name string) bool {
	return certmagic.SubjectQualifiesForCert(name) && !strings.ContainsAny(name, "*/:")
}

// secure holds the parts of HTTPS that an [HTTPSConfig] configures.
type secure struct {
	config   *tls.Config
	redirect net.Listener // listener of the redirect from plain HTTP; nil: no redirect
	handler  http.Handler // handler of redirect
	domain   string
	manage   func(context.Context) error // obtains certificates; nil with a certificate in files
}

// openHTTPS prepares HTTPS for the server at addr. It returns nil for plain HTTP.
func (e *Env) openHTTPS(c *HTTPSConfig, state string, addr netip.AddrPort) (*secure, error) {
	if c.Domain != "" {
		return e.openACME(c, state, addr)
	}
	config, err := e.LoadCertificate(c.CertFile, c.KeyFile)
	if err != nil || config == nil {
		return nil, err
	}
	return &secure{config: config}, nil
}

// openACME prepares HTTPS with certificates of an ACME authority for the domain of t.
func (e *Env) openACME(t *HTTPSConfig, state string, addr netip.AddrPort) (_ *secure, err error) {
	s := &secure{domain: t.Domain}
	template := certmagic.ACMEIssuer{
		ListenHost: addr.Addr().Unmap().String(), AltTLSALPNPort: int(addr.Port()), DisableHTTPChallenge: true,
	}
	if t.Redirect != "" {
		if s.redirect, err = net.Listen("tcp", t.Redirect); err != nil {
			return nil, listenError(err, "the redirect to HTTPS", "tcp", t.Redirect, "redirect")
		}
		template.DisableHTTPChallenge = false
		template.AltHTTPPort = int(addrPortOf(s.redirect.Addr()).Port())
	}
	a, err := e.newACME(t, state, template, e.certEvent)
	if err != nil {
		return nil, err
	}
	if err := a.checkStored(t.Domain); err != nil {
		return nil, err
	}
	s.handler = a.issuer.HTTPChallengeHandler(redirectTo(t.Domain, addr.Port()))
	s.config = a.tls()
	s.manage = func(ctx context.Context) error {
		defer a.cache.Stop()
		if err := a.config.ManageAsync(ctx, []string{t.Domain}); err != nil {
			return fmt.Errorf("the certificate of %s: %w", t.Domain, err)
		}
		<-ctx.Done()
		return nil
	}
	return s, nil
}

// certEvent prints notes and warnings about certificates.
func (e *Env) certEvent(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch event {
	case "cert_obtained":
		e.Notef("received a certificate for %s", name)
	case "cert_failed":
		err, _ := data["error"].(error)
		e.Warnf("no certificate for %s yet: %v", name, err)
		e.Notef("  the name must resolve to this machine, and ports 80 and 443 must reach spate; it tries again")
	default:
		e.Log.Debug("certificate", "event", event, "name", name)
	}
	return nil
}

// redirectTo returns a handler that redirects to the same path over HTTPS.
func redirectTo(domain string, port uint16) http.Handler {
	host := domain
	if port != 443 {
		host = net.JoinHostPort(domain, strconv.Itoa(int(port)))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Location", "https://"+host+localURI(r.URL))
		w.WriteHeader(http.StatusPermanentRedirect)
	})
}

// localURI returns the path and the query of u, which start with a slash even if the request
// line has none.
func localURI(u *url.URL) string {
	uri := "/" + strings.TrimPrefix(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		uri += "?" + u.RawQuery
	}
	return uri
}

// close closes the listener of the redirect.
func (s *secure) close() {
	if s != nil && s.redirect != nil {
		s.redirect.Close()
	}
}

// use makes the tracker node serve HTTPS according to s. s may be nil.
func (n *TrackerNode) use(s *secure) {
	if s == nil {
		return
	}
	n.tls = s.config
	if s.manage != nil {
		n.also = append(n.also, s.manage)
	}
	if s.redirect != nil {
		n.also = append(n.also, func(ctx context.Context) error {
			return n.env.serveHTTP(ctx, n.server.Bound(s.redirect), s.handler, nil)
		})
	}
}

// always wraps next so that browsers use only HTTPS for the domain (RFC 6797), if certificates
// are renewed automatically. No other site uses the domain.
func (s *secure) always(next http.Handler) http.Handler {
	if s == nil || s.domain == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=2592000")
		next.ServeHTTP(w, r)
	})
}

package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/folder"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// HTTPSConfig says how HTTPS is served: with a certificate in files, with a certificate for
// a domain from an ACME authority, or not at all if it is zero.
type HTTPSConfig struct {
	CertFile, KeyFile string

	Domain   string
	Email    string // contact address for the authority; may be empty
	CA       string // directory URL of the authority; empty is Let's Encrypt
	CARoots  string // file with the roots that verify the authority's own HTTPS; may be empty
	Redirect string // HOST:PORT that redirects plain HTTP to HTTPS; empty: none
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

// openACME prepares HTTPS with certificates of an ACME authority. certmagic stores them in the
// state directory.
func (e *Env) openACME(t *HTTPSConfig, state string, addr netip.AddrPort) (_ *secure, err error) {
	s := &secure{domain: t.Domain}
	store := filepath.Join(state, "certificates")
	silent := zap.NewNop() // OnEvent logs the important events
	var cfg *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return cfg, nil },
		Logger:           silent,
	})
	cfg = certmagic.New(cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: store},
		Logger:  silent, OnEvent: e.certEvent,
	})
	template := certmagic.ACMEIssuer{
		CA: t.CA, Email: t.Email, Agreed: true, Logger: silent, ListenHost: addr.Addr().Unmap().String(),
		AltTLSALPNPort: int(addr.Port()), DisableHTTPChallenge: true,
	}
	if template.CA == "" {
		template.CA = certmagic.LetsEncryptProductionCA
	}
	if t.CARoots != "" {
		pem, err := filetrust.Read(t.CARoots, maxPEM, filetrust.Power, e.Warnf)
		if err != nil {
			return nil, err
		}
		template.TrustedRoots = x509.NewCertPool()
		if !template.TrustedRoots.AppendCertsFromPEM(pem) {
			return nil, fault.Usagef("%s has no certificates in the PEM format", t.CARoots)
		}
	}
	if t.Redirect != "" {
		if s.redirect, err = net.Listen("tcp", t.Redirect); err != nil {
			return nil, listenError(err, "the redirect to HTTPS", "tcp", t.Redirect, "redirect")
		}
		template.DisableHTTPChallenge = false
		template.AltHTTPPort = int(addrPortOf(s.redirect.Addr()).Port())
	}
	issuer := certmagic.NewACMEIssuer(cfg, template)
	cfg.Issuers = []certmagic.Issuer{issuer}
	if err := e.checkStored(store, issuer.IssuerKey(), t.Domain); err != nil {
		return nil, err
	}
	s.handler = issuer.HTTPChallengeHandler(redirectTo(t.Domain, addr.Port()))
	s.config = cfg.TLSConfig()
	s.config.NextProtos = append([]string{"h2", "http/1.1"}, s.config.NextProtos...)
	s.manage = func(ctx context.Context) error {
		defer cache.Stop()
		if err := cfg.ManageAsync(ctx, []string{t.Domain}); err != nil {
			return fmt.Errorf("the certificate of %s: %w", t.Domain, err)
		}
		<-ctx.Done()
		return nil
	}
	return s, nil
}

// checkStored sets aside the stored certificate of a domain if it is damaged, and warns. certmagic would
// never replace it. A missing one is no damage.
func (e *Env) checkStored(store, issuer, domain string) error {
	keys := certmagic.StorageKeys
	var files [3][]byte
	var damage error
	for i, key := range []string{keys.SiteCert(issuer, domain), keys.SitePrivateKey(issuer, domain), keys.SiteMeta(issuer, domain)} {
		var err error
		if files[i], err = folder.ReadNamed(filepath.Join(store, filepath.FromSlash(key)), maxPEM); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			damage = err
		}
	}
	if damage == nil {
		_, damage = tls.X509KeyPair(files[0], files[1])
	}
	if damage == nil && !json.Valid(files[2]) {
		damage = errors.New("its description is not JSON")
	}
	if damage == nil {
		return nil
	}
	aside, err := atomicfile.SetAside(filepath.Join(store, filepath.FromSlash(keys.CertsSitePrefix(issuer, domain))))
	if err != nil {
		return fmt.Errorf("the stored certificate of %s is damaged (%w), and cannot be moved away: %w", domain, damage, err)
	}
	e.Warnf("the stored certificate of %s is damaged (%v): it was moved to %s, and a new one is requested", domain, damage, aside)
	return nil
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

package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"spate/internal/fault"
	"spate/internal/torrentfile"

	"github.com/caddyserver/certmagic"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
)

// tlsFlags are the flags of what can be reached over HTTPS: with a certificate
// in files, or with one for a domain from an ACME authority.
type tlsFlags struct {
	cert, key string
	domain    string
	email     string
	ca        string // the authority's directory, "" is Let's Encrypt
	caRoots   string // a file with what its own HTTPS is checked by
	redirect  string // plain HTTP here leads to HTTPS; "off": nowhere
}

func (t *tlsFlags) add(f *pflag.FlagSet) {
	t.addFiles(f)
	f.StringVar(&t.domain, "domain", "", "HTTPS at this `NAME`, with a certificate that is fetched and renewed; --listen is then :443")
	f.StringVar(&t.redirect, "redirect", ":80", "with --domain, lead plain HTTP on this `ADDR` there; off: nowhere")
	f.StringVar(&t.email, "acme-email", "", "tell the authority this `ADDRESS`, for when a certificate is about to end")
	f.StringVar(&t.ca, "acme-ca", "", "the authority at this directory `URL` (default: Let's Encrypt)")
	f.StringVar(&t.caRoots, "acme-ca-roots", "", "the certificates in this `FILE` vouch for that authority")
}

func (t *tlsFlags) addFiles(f *pflag.FlagSet) {
	f.StringVar(&t.cert, "tls-cert", "", "HTTPS with the certificate in this `FILE`, read again when it changes")
	f.StringVar(&t.key, "tls-key", "", "the `FILE` with the certificate's key")
}

// prepare makes of --domain what it means for where to listen and how others
// get there. It is called before anything is opened.
func (t *tlsFlags) prepare(l *listenFlags, publicURL *string, listenGiven bool) error {
	if t.domain == "" {
		return nil
	}
	if t.cert != "" || t.key != "" {
		return fault.Usagef("--domain fetches a certificate: --tls-cert and --tls-key are for when there is one")
	}
	if !certmagic.SubjectQualifiesForCert(t.domain) || strings.ContainsAny(t.domain, "*/:") {
		return fault.UsageHint("write it as files.example.org", "--domain %s is no name that a certificate can be for", t.domain)
	}
	if !listenGiven {
		l.listen = ":443"
	}
	if *publicURL == "" {
		u := url.URL{Scheme: "https", Host: t.domain}
		if _, port, err := net.SplitHostPort(l.listen); err == nil && port != "443" && port != "0" {
			u.Host = net.JoinHostPort(t.domain, port)
		}
		*publicURL = u.String()
	}
	return nil
}

// secure is HTTPS as its flags say.
type secure struct {
	config   *tls.Config
	redirect net.Listener // of plain HTTP, or nil
	handler  http.Handler // what answers there
	domain   string
	manage   func(context.Context) error // fetches certificates; nil: they are files
}

// secure opens what the flags say for the HTTPS server at addr; nil is none.
func (a *app) secure(t *tlsFlags, state string, bind addrValue, addr netip.AddrPort) (*secure, error) {
	if t.domain != "" {
		return a.acme(t, state, bind, addr)
	}
	config, err := t.files(a.Now)
	if err != nil || config == nil {
		return nil, err
	}
	return &secure{config: config}, nil
}

// acme is HTTPS with certificates that certmagic keeps in the state directory.
func (a *app) acme(t *tlsFlags, state string, bind addrValue, addr netip.AddrPort) (_ *secure, err error) {
	s := &secure{domain: t.domain}
	silent := zap.NewNop() // OnEvent tells what matters
	var cfg *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return cfg, nil },
		Logger:           silent,
	})
	cfg = certmagic.New(cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: filepath.Join(state, "certificates")},
		Logger:  silent, OnEvent: a.certEvent,
	})
	template := certmagic.ACMEIssuer{
		CA: t.ca, Email: t.email, Agreed: true, Logger: silent, ListenHost: addr.Addr().Unmap().String(),
		AltTLSALPNPort: int(addr.Port()), DisableHTTPChallenge: true,
	}
	if template.CA == "" {
		template.CA = certmagic.LetsEncryptProductionCA
	}
	if t.caRoots != "" {
		pem, err := torrentfile.ReadLimited(t.caRoots, 1<<20)
		if err != nil {
			return nil, err
		}
		template.TrustedRoots = x509.NewCertPool()
		if !template.TrustedRoots.AppendCertsFromPEM(pem) {
			return nil, fault.Usagef("--acme-ca-roots %s has no certificates in the PEM format", t.caRoots)
		}
	}
	if t.redirect != "" && !strings.EqualFold(t.redirect, "off") {
		l := listenFlags{listen: t.redirect, bind: bind}
		address, err := l.bound("--redirect", t.redirect, "80")
		if err != nil {
			return nil, err
		}
		if s.redirect, err = net.Listen("tcp", address); err != nil {
			return nil, fault.WithHint(listenError(err, "the redirect to HTTPS", "tcp", address, "--redirect"), "choose another with --redirect :PORT, or --redirect off")
		}
		template.DisableHTTPChallenge = false
		template.AltHTTPPort = int(addrPortOf(s.redirect.Addr()).Port())
	}
	issuer := certmagic.NewACMEIssuer(cfg, template)
	cfg.Issuers = []certmagic.Issuer{issuer}
	s.handler = issuer.HTTPChallengeHandler(redirectTo(t.domain, addr.Port()))
	s.config = cfg.TLSConfig()
	s.config.NextProtos = append([]string{"h2", "http/1.1"}, s.config.NextProtos...)
	s.manage = func(ctx context.Context) error {
		defer cache.Stop()
		if err := cfg.ManageAsync(ctx, []string{t.domain}); err != nil {
			return fmt.Errorf("the certificate of %s: %w", t.domain, err)
		}
		<-ctx.Done()
		return nil
	}
	return s, nil
}

// certEvent tells what becomes of certificates.
func (a *app) certEvent(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch event {
	case "cert_obtained":
		a.Notef("there is a certificate for %s", name)
	case "cert_failed":
		err, _ := data["error"].(error)
		a.Warnf("no certificate for %s yet: %v", name, err)
		a.Notef("  its name has to lead to this machine, and ports 80 and 443 to here; it is tried again")
	default:
		a.Log.Debug("certificate", "event", event, "name", name)
	}
	return nil
}

// redirectTo leads to the same path over HTTPS.
func redirectTo(domain string, port uint16) http.Handler {
	host := domain
	if port != 443 {
		host = net.JoinHostPort(domain, strconv.Itoa(int(port)))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Location", "https://"+host+r.URL.RequestURI())
		w.WriteHeader(http.StatusPermanentRedirect)
	})
}

// close lets go of what was opened and never run.
func (s *secure) close() {
	if s != nil && s.redirect != nil {
		s.redirect.Close()
	}
}

// use makes n serve HTTPS as s says.
func (n *node) use(s *secure) {
	if s == nil {
		return
	}
	n.tls = s.config
	if s.manage != nil {
		n.also = append(n.also, s.manage)
	}
	if s.redirect != nil {
		n.also = append(n.also, func(ctx context.Context) error { return n.app.serveHTTP(ctx, n.server.Bound(s.redirect), s.handler) })
	}
}

// always has browsers use HTTPS alone from now on, where the certificate is
// renewed by itself. A domain is given for this site: nothing else is on it.
func (s *secure) always(next http.Handler) http.Handler {
	if s == nil || s.domain == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=2592000")
		next.ServeHTTP(w, r)
	})
}

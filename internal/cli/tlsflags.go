package cli

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/spf13/pflag"

	"spate/internal/daemon"
	"spate/internal/fault"
)

// tlsFlags are the flags of HTTPS: with a certificate in files, or with a certificate for a
// domain from an ACME authority.
type tlsFlags struct {
	cert, key string
	domain    string
	email     string
	ca        string
	caRoots   string
	redirect  string
}

func (t *tlsFlags) add(f *pflag.FlagSet) {
	t.addFiles(f)
	f.StringVar(&t.domain, "domain", "", "serve HTTPS for `NAME` on :443 with an automatic certificate")
	f.StringVar(&t.redirect, "redirect", ":80", "redirect HTTP on this `ADDR` to --domain, or off")
	f.StringVar(&t.email, "acme-email", "", "give the authority this mail `ADDRESS`")
	f.StringVar(&t.ca, "acme-ca", "", "get certificates from this directory `URL` (default: Let's Encrypt)")
	f.StringVar(&t.caRoots, "acme-ca-roots", "", "verify that authority with the roots in this `FILE`")
}

func (t *tlsFlags) addFiles(f *pflag.FlagSet) {
	f.StringVar(&t.cert, "tls-cert", "", "serve HTTPS with the certificate in this `FILE`")
	f.StringVar(&t.key, "tls-key", "", "read the key of the certificate from this `FILE`")
}

// prepare checks the flags, and sets --listen and --public-url if --domain is given.
// listenGiven reports whether --listen is on the command line.
func (t *tlsFlags) prepare(l *listenFlags, publicURL *string, listenGiven bool) error {
	if t.domain == "" {
		return t.checkFiles()
	}
	if t.cert != "" || t.key != "" {
		return fault.Usagef("--domain gets a certificate automatically: leave out --tls-cert and --tls-key")
	}
	if !daemon.ValidDomain(t.domain) {
		return fault.UsageHint("write it as files.example.org", "--domain %s: no certificate can be issued for this name", t.domain)
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

// checkFiles returns an error if only one of --tls-cert and --tls-key is given.
func (t *tlsFlags) checkFiles() error {
	if (t.cert == "") != (t.key == "") {
		return fault.Usagef("give both --tls-cert and --tls-key, or neither")
	}
	return nil
}

// config converts the flags.
func (t *tlsFlags) config(bind netip.Addr) (c daemon.HTTPSConfig, err error) {
	c = daemon.HTTPSConfig{CertFile: t.cert, KeyFile: t.key, Domain: t.domain, Email: t.email, CA: t.ca, CARoots: t.caRoots}
	if t.domain != "" && t.redirect != "" && !strings.EqualFold(t.redirect, off) {
		c.Redirect, err = bound("--redirect", t.redirect, "80", bind)
	}
	return c, err
}
